"""The commands `toykit data make|check|fetch`: generate the toy set, verify a set on disk, download a set."""

import sys
from pathlib import Path

import click

from toykit import datasets
from toykit._shared.resources import data_root
from toykit.datasets import toy
from toykit.datasets.fetch import fetch_voc
from toykit.datasets.loading import FOLDERS


@click.group()
def data() -> None:
    """Make, check and fetch datasets. data/README.md states where each is expected."""


@data.command()
@click.argument("kind", type=click.Choice(["toy"]))
@click.argument("root", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--train", type=click.IntRange(min=1), default=toy.COUNTS["train"], show_default=True, help="Training images."
)
@click.option(
    "--val", type=click.IntRange(min=1), default=toy.COUNTS["val"], show_default=True, help="Validation images."
)
@click.option(
    "--size", type=click.IntRange(min=32), default=96, show_default=True, help="Side of the images in pixels."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the generator.")
def make(kind: str, root: Path, train: int, val: int, size: int, seed: int) -> None:
    """Generate the set KIND in the new folder ROOT, in VOC's layout, with simulated scribbles."""
    from tqdm import tqdm

    try:
        with tqdm(total=train + val, desc=kind, unit="image", disable=None) as bar:
            toy.make(root, train, val, size, seed, progress=bar.update)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{root}: {train} images to train on, {val} to validate on")


@data.command()
@click.argument("kind", type=click.Choice(datasets.KINDS))
@click.argument("root", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Check only this split.  [default: all]")
def check(kind: str, root: Path | None, split: str | None) -> None:
    """Verify the set KIND in ROOT (default: its folder under TOYKIT_DATA).

    Checks the number of files, that each image has its labels, their sizes and class ids, and that all files can be read.
    Each problem is printed with its file. With any problem the exit code is 1.
    """
    from tqdm import tqdm

    try:
        with tqdm(desc=kind, unit="image", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                if done == 1:
                    bar.reset(total)
                bar.update()

            problems = datasets.check(kind, root, split, progress)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    for problem in problems:
        click.echo(problem)
    click.echo(f"{kind}: {len(problems)} problems" if problems else f"{kind}: no problems")
    sys.exit(bool(problems))


@data.command()
@click.argument("kind", type=click.Choice(["voc"]))
@click.argument("root", required=False, type=click.Path(file_okay=False, path_type=Path))
def fetch(kind: str, root: Path | None) -> None:
    """Download the set KIND, several GB, into ROOT (default: its folder under TOYKIT_DATA)."""
    try:
        fetch_voc(root or data_root() / FOLDERS[kind], click.echo)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        raise click.ClickException(str(error)) from error
