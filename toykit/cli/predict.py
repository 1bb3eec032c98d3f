"""The command `toykit predict`: masks of new photos by a trained run."""

import sys
from pathlib import Path

import click

from toykit.cli.folders import finish_folder
from toykit.training.predict import LEAST_TILE, TILE


@click.command(short_help="Apply a trained network to photos.")
@click.argument("run", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.argument("photos", nargs=-1, required=True, metavar="PHOTO|FOLDER...",
                type=click.Path(exists=True, path_type=Path))  # fmt: skip
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the results.  [default: RUN's name + -predictions]")  # fmt: skip
@click.option("--soft", is_flag=True, help="Write soft labels, too: NAME_labels.npz.")
@click.option("--flip", is_flag=True, help="Predict the mirrored photo, too, and average the probabilities.")
@click.option("--scale", "factors", type=click.FloatRange(min=0, min_open=True), multiple=True, default=(1.0,),
              show_default=True,
              help="See each photo this many times as large as in evaluation; given several times, the probabilities are "
              "averaged.")  # fmt: skip
@click.option("--tile", type=click.IntRange(min=LEAST_TILE), default=TILE, show_default=True,
              help="Photos of more than tile x tile pixels are computed in overlapping tiles of at most this side, a "
              "multiple of 16: smaller ones need less memory.")  # fmt: skip
@click.option("--weights", type=click.Choice(["best", "last"]), default="best", show_default=True,
              help="Weights of the epoch with the highest validation mIoU, or of the last epoch.")  # fmt: skip
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True,
              help="Where the network runs.")  # fmt: skip
@click.option("--resume/--fresh", default=True, show_default=True,
              help="Skip finished photos, or predict all of them again.")  # fmt: skip
def predict(
    run: Path,
    photos: tuple[Path, ...],
    output: Path | None,
    soft: bool,
    flip: bool,
    factors: tuple[float, ...],
    tile: int,
    weights: str,
    device: str,
    resume: bool,
) -> None:
    """Apply the network of the run's folder RUN to photos, each at its own size.

    Writes NAME_mask.png (class ids, an indexed PNG in VOC's colours), NAME_picture.png, classes.txt and summary.csv with one
    row per photo. By default the masks are those of `toykit evaluate`. Rerun the command after an interruption: it skips
    finished photos. A photo that fails is reported, the others are predicted, and the exit code is 1.
    """
    import matplotlib

    matplotlib.use("agg")
    try:
        from toykit.training import load_network
        from toykit.training.predict_folder import find_photos, predict_photos

        find_photos(photos)  # names that collide are an error before the network is loaded
        trained = load_network(run, weights, device)
        output = output or Path(f"{run.absolute().name}-predictions")
        views = trained.views(factors=factors, flip=flip, tile=tile)
        rows = predict_photos(
            trained, photos, output, soft=soft, views=views, fresh=not resume,
            report=lambda text: click.echo(text, err=True),
        )  # fmt: skip
    except (ValueError, TypeError, OSError, ImportError, RuntimeError) as error:  # errors of a device are RuntimeErrors
        raise click.ClickException(str(error)) from error
    except KeyboardInterrupt:
        click.echo("interrupted; rerun the command to predict the other photos", err=True)
        sys.exit(130)
    finish_folder(rows, output, "predicted")
