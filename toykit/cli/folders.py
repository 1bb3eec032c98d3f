"""What the commands that process a folder of photos print at their end."""

import sys
from pathlib import Path

import click

from toykit._shared.photo_jobs import SUMMARY


def finish_folder(rows: list[dict], output: Path, done: str) -> None:
    """Print how many photos were processed and where the results are; exit with 1 if a photo failed."""
    failed = sum(bool(row["error"]) for row in rows)
    click.echo(f"{len(rows) - failed} of {len(rows)} photos {done}{f', {failed} failed' if failed else ''}")
    click.echo(output / SUMMARY)
    sys.exit(1 if failed else 0)
