"""The commands `toykit data make|check|fetch|convert`: generate, verify or download a set, convert annotations to seeds."""

import sys
from pathlib import Path

import click

from toykit import datasets
from toykit._shared.files import check_writable
from toykit._shared.resources import data_root
from toykit.datasets import toy
from toykit.datasets.fetch import fetch_voc
from toykit.datasets.loading import FOLDERS


@click.group()
def data() -> None:
    """Make, check, fetch and convert datasets. data/README.md states where each is expected."""


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
        check_writable(root)
        with tqdm(total=train + val, desc=kind, unit="image", disable=None) as bar:
            toy.make(root, train, val, size, seed, progress=bar.update)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{root}: {train} images to train on, {val} to validate on")


@data.command()
@click.argument("kind", type=click.Choice(datasets.KINDS))
@click.argument("root", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option("--split", type=click.Choice(["train", "val", "test"]), help="Check only this split.  [default: all]")
@click.option("--unlabelled", type=click.IntRange(0, 255), default=255, show_default=True, metavar="ID",
              help='Id in the drawn maps of a folder that means "no label", besides 255.')  # fmt: skip
def check(kind: str, root: Path | None, split: str | None, unlabelled: int) -> None:
    """Verify the set KIND in ROOT (default: its folder under TOYKIT_DATA).

    Checks the number of files, that each image has its labels, their sizes and class ids, that all files can be read, and
    whether seeds and masks look as if something else was meant. Each problem is printed with its file. With any problem the
    exit code is 1.
    """
    from tqdm import tqdm

    try:
        with tqdm(desc=kind, unit="image", disable=None) as bar:

            def progress(done: int, total: int) -> None:
                if done == 1:
                    bar.reset(total)
                bar.update()

            problems = datasets.check(kind, root, split, progress, unlabelled)
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
        check_writable(root or data_root() / FOLDERS[kind])
        fetch_voc(root or data_root() / FOLDERS[kind], click.echo)
    except (ValueError, OSError, RuntimeError, ImportError) as error:
        raise click.ClickException(str(error)) from error


@data.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder to write.")
@click.option("--background", metavar="NAME",
              help="Name of a class for all pixels away from the shapes.  [default: they stay unlabelled]")  # fmt: skip
@click.option("--margin", type=click.FloatRange(min=0), default=5, show_default=True,
              help="With --background: pixels around the shapes that stay unlabelled.")  # fmt: skip
@click.option("--photos", type=click.Path(exists=True, file_okay=False, path_type=Path),
              help="Folder whose photos are copied to images/.")  # fmt: skip
def convert(source: Path, folder: Path, background: str | None, margin: float, photos: Path | None) -> None:
    """Convert the annotations SOURCE to seeds in a folder that `toykit train` and `toykit segment` read.

    SOURCE is Labelme's JSON or a folder of them, COCO's JSON, CVAT's annotations.xml, or the folder of CVAT's "Segmentation
    mask". Polygons, boxes and masks label the pixels inside; lines and points become strokes of 3 pixels; all other pixels are
    unlabelled. Writes scribbles/ID.png and classes.txt.
    """
    from toykit.datasets.annotations import convert as convert_annotations

    try:
        count, classes, notes = convert_annotations(source, folder, background, margin, photos)
    except (ValueError, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{folder}: {count} seed maps of the classes {', '.join(classes)}")
    for note in notes:
        click.echo(note)
    if photos is None:
        click.echo(f"put the photos into {folder / 'images'}, then: toykit data check folder {folder}")
