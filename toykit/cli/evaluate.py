"""The command `toykit evaluate`: mIoU of a trained run on any set."""

import csv
import io
import json
from pathlib import Path

import click

from toykit._shared.files import check_writable, write_text


@click.command(short_help="Compute a trained network's mIoU.")
@click.argument("run", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True,
              help="Part of the set; only CamVid has test.")  # fmt: skip
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for evaluation_SPLIT.csv and .json.  [default: RUN]")  # fmt: skip
@click.option("--weights", type=click.Choice(["best", "last"]), default="best", show_default=True,
              help="Weights of the epoch with the highest validation mIoU, or of the last epoch.")  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
              help="Where the network runs.")  # fmt: skip
def evaluate(run: Path, overrides: tuple[str, ...], split: str, output: Path | None, weights: str, device: str) -> None:
    """Compute the mIoU and each class's IoU of the network of the run's folder RUN.

    By default it uses the run's set. KEY=VALUE changes its settings, e.g. data.root=elsewhere data.val_limit=100; the set must
    have the network's classes, and masks.
    """
    output = output or run
    try:
        from toykit.training import evaluate_run, load_network

        check_writable(output)
        result = evaluate_run(load_network(run, weights, device), split, overrides)
        _write(output / f"evaluation_{split}", result)
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:  # errors of a device are RuntimeErrors
        raise click.ClickException(str(error)) from error
    width = max(map(len, result["classes"]))
    for name, iou in zip(result["classes"], result["iou"], strict=True):
        click.echo(f"{name:{width}}  {_percent(iou):>6}")
    for name in ("accuracy", "accuracy_inside", "accuracy_boundary"):
        click.echo(f"{name.replace('_', ', ')}: {_percent(result[name])}")
    click.echo(f"mIoU on {result['photos']} photos ({split}): {_percent(result['miou'])}")
    click.echo(output / f"evaluation_{split}.csv")


def _percent(share: float | None) -> str:
    """Write a share in percent; a dash for None."""
    return "-" if share is None else f"{share:.1%}"


def _write(path: Path, result: dict) -> None:
    """Write the result as JSON, and the IoU of each class and the other numbers as CSV, in [0, 1]."""
    write_text(path.with_suffix(".json"), json.dumps(result, indent=1) + "\n")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("measure", "class", "value"))
    writer.writerows(("iou", name, iou) for name, iou in zip(result["classes"], result["iou"], strict=True))
    writer.writerows((name, "", result[name]) for name in ("miou", "accuracy", "accuracy_inside", "accuracy_boundary"))
    write_text(path.with_suffix(".csv"), text.getvalue())
