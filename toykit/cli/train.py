"""The command `toykit train`: train a segmentation network from a configuration."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from toykit.cli.shown_warnings import shown_warnings
from toykit.training.load import load_config, presets


class _TrainCommand(click.Command):
    """A command whose help lists the presets."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each preset's name with the first line of its file."""
        with formatter.section("Presets"):
            formatter.write_dl([(name, _title(path)) for name, path in presets().items()])


def _title(path: Path) -> str:
    """Return the first line of a preset, without its comment mark."""
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def _message(error: Exception) -> str:
    """Return an error's message; for an error in a loading process, without the traceback that torch adds to it."""
    text = str(error)
    if not text.startswith("Caught "):
        return text
    kind = text.split()[1]
    return text.rpartition(f"\n{kind}: ")[2].strip()


@contextmanager
def _termination() -> Iterator[Callable[[], bool]]:
    """Note SIGTERM, e.g. of a cluster's scheduler, instead of ending at once; yield a function that returns whether it came."""
    received = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: received.append(number))
    try:
        yield lambda: bool(received)
    finally:
        signal.signal(signal.SIGTERM, before)


@click.command(cls=_TrainCommand, short_help="Train a network from scribbles.")
@click.argument("config", metavar="CONFIG")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "-o", "run_dir", type=click.Path(file_okay=False, path_type=Path), help="Folder of the run.  [default: runs/NAME]"
)
@click.option("--resume/--fresh", default=True, show_default=True,
              help="Resume from the folder's checkpoint if there is one, or start over.")  # fmt: skip
@click.option("--print", "only_print", is_flag=True, help="Print the resolved configuration and train nothing.")
def train(config: str, overrides: tuple[str, ...], run_dir: Path | None, resume: bool, only_print: bool) -> None:
    """Train a segmentation network with the configuration CONFIG: a YAML file, or the name of a preset.

    KEY=VALUE overrides a setting, e.g. method=seeds_only schedule.epochs=5 data.only=[cat,dog]. The run's folder contains
    the resolved configuration, versions, metrics.json, TensorBoard events, pictures, a checkpoint, and the best and the
    last weights (best.pt, last.pt). SIGTERM saves after the step and ends with status 143; rerun the command to resume.
    On several GPUs: torchrun --nproc-per-node N -m toykit train ...
    """
    try:
        chosen = load_config(config, overrides)
        if only_print:
            from omegaconf import OmegaConf

            click.echo(OmegaConf.to_yaml(OmegaConf.create(chosen.to_dict())), nl=False)
            return
        from toykit.training import StoppedError
        from toykit.training import train as run_training

        try:
            with shown_warnings(), _termination() as asked:
                folder = run_dir or Path("runs") / Path(config).stem
                result = run_training(chosen, folder, resume=resume, should_stop=asked)
        except StoppedError as stopped:
            click.echo(str(stopped), err=True)
            sys.exit(128 + signal.SIGTERM)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:  # errors of a device are RuntimeErrors
        raise click.ClickException(_message(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; rerun the command to resume from the last checkpoint", err=True)
        sys.exit(130)
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes have the same result
        return
    if result.history[-1]["val_iou"] is not None:
        for name, iou in zip(result.classes, result.history[-1]["val_iou"], strict=True):
            click.echo(f"{name}: {'-' if iou is None else f'{iou:.1%}'}")
    click.echo(f"mIoU on the validation set: {'-' if result.miou is None else f'{result.miou:.1%}'}")
    click.echo(result.folder)
