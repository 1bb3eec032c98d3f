"""The command `toykit train`."""

import os
import sys
from pathlib import Path

import click

from toykit.training.load import load_config, presets


class _TrainCommand(click.Command):
    """Its help lists the presets, which are files."""

    def format_epilog(self, ctx, formatter):
        """Each preset's name with the first line of its file."""
        with formatter.section("Presets"):
            formatter.write_dl([(name, _title(path)) for name, path in presets().items()])


def _title(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def _message(error: Exception) -> str:
    """The error's own words; torch puts the worker's whole traceback before those of one from a loading process."""
    text = str(error)
    if not text.startswith("Caught "):
        return text
    kind = text.split()[1]
    return text.rpartition(f"\n{kind}: ")[2].strip()


@click.command(cls=_TrainCommand, short_help="Train a network from scribbles.")
@click.argument("config", metavar="CONFIG")
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "-o", "run_dir", type=click.Path(file_okay=False, path_type=Path), help="The run's folder.  [default: runs/NAME]"
)
@click.option("--resume/--fresh", default=True, show_default=True,
              help="Go on from the folder's checkpoint if there is one, or start over.")  # fmt: skip
@click.option("--print", "only_print", is_flag=True, help="Show the resolved configuration; train nothing.")
def train(config, overrides, run_dir, resume, only_print) -> None:
    """Train a segmentation network as CONFIG says: a YAML file, or a preset's name.

    KEY=VALUE overrides it, e.g. method=seeds_only schedule.epochs=5 data.only=[cat,dog]. The folder gets the resolved
    configuration, versions, metrics.json, TensorBoard's events, pictures and a checkpoint. On several GPUs:
    torchrun --nproc-per-node N -m toykit train ...
    """
    try:
        chosen = load_config(config, overrides)
        if only_print:
            from omegaconf import OmegaConf

            click.echo(OmegaConf.to_yaml(OmegaConf.create(chosen.to_dict())), nl=False)
            return
        from toykit.training import train as run_training

        result = run_training(chosen, run_dir or Path("runs") / Path(config).stem, resume=resume)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:  # a device's errors are RuntimeErrors
        raise click.ClickException(_message(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; the same command goes on from the last checkpoint", err=True)
        sys.exit(130)
    if os.environ.get("RANK", "0") != "0":  # torchrun's other processes have the same result
        return
    if result.history[-1]["val_iou"] is not None:
        for name, iou in zip(result.classes, result.history[-1]["val_iou"], strict=True):
            click.echo(f"{name}: {'-' if iou is None else f'{iou:.1%}'}")
    click.echo(f"mIoU on the validation set: {'-' if result.miou is None else f'{result.miou:.1%}'}")
    click.echo(result.folder)
