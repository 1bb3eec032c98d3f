"""The command `toykit sweep`: run a table of trainings, or tune them, with any number of workers."""

import signal
import sys
from pathlib import Path

import click


class _ListsTables(click.Command):
    """A command whose help lists the tables."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each table's name with the first line of its file."""
        from toykit.training.sweep.table import tables

        with formatter.section("Tables"):
            lines = {name: path.read_text(encoding="utf-8").splitlines()[0] for name, path in tables().items()}
            formatter.write_dl([(name, line.lstrip("# ")) for name, line in lines.items()])


class _SweepGroup(_ListsTables, click.Group):
    """A group in which a table's name stands for the command `run`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Insert `run` before arguments that name no command."""
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_SweepGroup, short_help="Train a table of networks, or tune them.")
def sweep() -> None:
    """Train a table of networks, or tune them: toykit sweep TABLE is short for toykit sweep run TABLE."""


storage_option = click.option(
    "--storage", envvar="TOYKIT_SWEEP_STORAGE", metavar="URL",
    help="A database for many machines, e.g. postgresql+psycopg://USER@HOST/DATABASE.  [default: a journal in the folder]",
)  # fmt: skip


@sweep.command(cls=_ListsTables)
@click.argument("table", metavar="TABLE")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "-o", "folder", type=click.Path(file_okay=False, path_type=Path), help="Folder of the sweep.  [default: runs/TABLE]"
)
@storage_option
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1), help="Processes on this machine.")
@click.option("--lease", default=60.0, show_default=True, type=click.FloatRange(0.5),
              help="Seconds without a sign of life after which a worker's trial is taken up.")  # fmt: skip
@click.option("--worker", is_flag=True, hidden=True)
def run(
    table: str,
    overrides: tuple[str, ...],
    folder: Path | None,
    storage: str | None,
    workers: int,
    lease: float,
    worker: bool,
) -> None:
    """Train every row of TABLE, a YAML file or the name of a shipped table, from every seed.

    The file's format is in the docstring of toykit.training.sweep (python -m pydoc toykit.training.sweep). KEY=VALUE
    overrides a setting of every row, e.g. data.root=VOC2012. The same command resumes an interrupted sweep; on another
    machine, with the same --storage and the same name of the folder, it takes part. table.csv and table.md in the folder
    are the result.
    """
    from toykit.training.sweep.launch import default_folder, run_sweep
    from toykit.training.sweep.sweep import Sweep, work
    from toykit.training.sweep.table import load_table

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a worker then gives its trial back
    folder = folder or default_folder(table)
    try:
        if worker:
            work(Sweep(load_table(table), folder, storage, lease), click.echo)
            return
        run_sweep(table, folder, overrides, storage, workers, lease, click.echo)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; rerun the command to resume", err=True)
        sys.exit(130)
    click.echo((folder / "table.md").read_text(encoding="utf-8"))
    click.echo(folder / "table.csv")


@sweep.command()
@click.argument("target", metavar="FOLDER|TABLE")
@storage_option
def status(target: str, storage: str | None) -> None:
    """Print how far a sweep has come: trials by state, best values, time left, the table so far."""
    from toykit.training.sweep.launch import status as report

    try:
        click.echo(report(target, storage))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        raise click.ClickException(str(error)) from error
