"""The command `toykit segment`: soft labels, a hard mask and a picture for one photo, or for a folder of photos."""

import sys
from functools import partial
from pathlib import Path
from typing import Any

import click

from toykit._shared.photo_jobs import JobOptions
from toykit.cli.folders import finish_folder
from toykit.cli.shown_warnings import shown_warnings
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.energy import Energy
from toykit.mixture_model import ROUNDS
from toykit.neighborhoods import NearestNeighbors
from toykit.potts import RELAXATIONS
from toykit.segment import Labelling, class_shares, read_logits, read_sample, segment_folder
from toykit.segment import segment as segment_sample
from toykit.segment.labelling import CELLS, FILES, LARGE, LARGE_TOLERANCE
from toykit.solvers import SOLVERS
from toykit.solvers.gradient import OPTIMIZERS


class Bandwidth(click.ParamType):
    """A number, or "auto"."""

    name = "number|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float | str:
        """Return the number as a float, or "auto"; anything else is a usage error."""
        try:
            return "auto" if value == "auto" else float(value)
        except ValueError:
            self.fail(f"expected a number or auto, got {value!r}", param, ctx)


@click.command(short_help="Label photos from scribbles.")
@click.argument("image", metavar="IMAGE|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.argument("seeds", metavar="SEEDS|FOLDER", type=click.Path(exists=True, path_type=Path))
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the results.  [default: the first argument's name + -segments]")  # fmt: skip
@click.option("--unlabelled", type=click.IntRange(0, 255), default=255, show_default=True, metavar="ID",
              help='Id in an indexed PNG that means "no label", besides 255.')  # fmt: skip
@click.option("--workers", type=click.IntRange(min=1),
              help="For folders: number of processes on this machine, one core each.")  # fmt: skip
@click.option("--scheduler", metavar="ADDRESS",
              help="For folders: a running Dask scheduler (tcp://HOST:PORT), whose workers see the folders at the same "
              "paths.")  # fmt: skip
@click.option("--resume/--fresh", default=True, show_default=True,
              help="For folders: skip finished photos, or label all of them again.")  # fmt: skip
@click.option("--relaxation", type=click.Choice(list(RELAXATIONS)),
              help="Potts relaxation P of the pairwise term.  [default: CD]")  # fmt: skip
@click.option("--cross-entropy", type=click.Choice(list(CROSS_ENTROPIES)),
              help="Cross-entropy H of the unary term.  [default: CCE]")  # fmt: skip
@click.option("--unary", default="seeds", show_default=True, metavar="seeds|none|FILE.npy",
              help="Predictions of the unary term: a colour-and-position model fitted on the seeds; none (eta = 0: seeds "
              "and edges alone decide); or a network's logits (for folders: a folder with NAME.npy).")  # fmt: skip
@click.option("--refine", type=click.IntRange(min=0), default=ROUNDS, show_default=True,
              help="Largest number of refits of the model of the seeds to soft labels (self-labelling); with --features "
              "at most one.")  # fmt: skip
@click.option("--features", metavar="NAME|FILE",
              help="Add a pre-trained network to the model of the seeds: a timm model, or a file of weights in the layout of "
              "torchvision (MobileNetV2, ResNet-101) or timm (ViT-B/16).")  # fmt: skip
@click.option("--stride", type=click.IntRange(min=1), metavar="PIXELS",
              help="Label cells of PIXELS x PIXELS and interpolate the labels at the pixels.  [default: 1; for fast on photos "
              f"of more than {LARGE / 1e6:.1f} megapixels, the least that leaves at most {CELLS / 1e6:.1f} million "
              "cells]")  # fmt: skip
@click.option("--eta", type=click.FloatRange(min=0), default=0.3, show_default=True, help="Weight of the unary term.")
@click.option("--lambda", "lam", type=click.FloatRange(min=0), default=6.0, show_default=True,
              help="Weight of the pairwise term.")  # fmt: skip
@click.option("--bandwidth", type=Bandwidth(), default="auto", show_default=True,
              help="Colour bandwidth in units of 0..255, or auto.")  # fmt: skip
@click.option("--connectivity", type=click.Choice(["4", "8"]), default="8", show_default=True,
              help="Number of neighbours of a pixel.")  # fmt: skip
@click.option("--solver", type=click.Choice([name.replace("_", "-") for name in SOLVERS]), default="fast",
              show_default=True,
              help="gradient is the paper's and takes the three options below; closed-form is exact, for H and P both "
              "Q; graph-cut and mean-field give hard labels (of the cells, with --stride), for BL.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adam", show_default=True,
              help="Optimiser of the gradient solver.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=200, show_default=True,
              help="Number of steps of the gradient solver.")  # fmt: skip
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=0.075, show_default=True,
              help="Learning rate of the gradient solver.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(min=0, max=1, max_open=True),
              help="Relative tolerance of the solvers fast, gradient and closed-form.  [default: the solver's; for fast on "
              f"photos of more than {LARGE / 1e6:.1f} megapixels {LARGE_TOLERANCE:g}]")  # fmt: skip
@click.option("--max-steps", type=click.IntRange(min=1),
              help="Largest number of steps of the solver fast.  [default: the solver's]")  # fmt: skip
def segment(
    image: Path,
    seeds: Path,
    output: Path | None,
    unlabelled: int,
    workers: int | None,
    scheduler: str | None,
    resume: bool,
    relaxation: str | None,
    cross_entropy: str | None,
    unary: str,
    refine: int,
    features: str | None,
    stride: int | None,
    eta: float,
    lam: float,
    bandwidth: float | str,
    connectivity: str,
    solver: str,
    optimizer: str,
    steps: int,
    lr: float,
    tolerance: float | None,
    max_steps: int | None,
) -> None:
    """Compute soft labels, a hard mask and a picture for one IMAGE with scribbles SEEDS, or for two FOLDERs of them.

    SEEDS is an indexed PNG (class ids, 255 = unlabelled, 254 = padding) or a JSON file of strokes (see
    toykit/supervision/strokes.py), for the photo or for another size of it, which is scaled. Seeds that look as if something
    else was meant are reported. Writes NAME_labels.npz, NAME_mask.png and NAME_picture.png. The solver fast starts photos
    of more than 512 x 512 pixels from the labels of a smaller photo. Photos of more than 4.2 megapixels it labels on cells
    of 2 x 2 pixels (3 x 3 from 8.4 megapixels on, and so on) unless --stride is given, and it stops when a sweep lowers the
    energy by at most 0.1%, instead of 0.01%, unless --tolerance is given; the printed message repeats both.

    In folders, the seeds of NAME.jpg are NAME.png, NAME.json, NAME_scribbles.png or NAME_scribbles.json. The results also
    get summary.csv, one row per photo. Rerun the command after an interruption: it skips finished photos. A photo that
    fails is reported, the others are labelled, and the exit code is 1.
    """
    import matplotlib

    matplotlib.use("agg")
    method = solver.replace("-", "_")
    folders = image.is_dir()
    if folders != seeds.is_dir():
        raise click.UsageError(f"{image}, {seeds}: expected two files or two folders")
    _refuse_unused(not folders, "one photo", ["workers", "scheduler", "resume"])
    _refuse_unused(scheduler is not None, "--scheduler", ["workers"])
    _refuse_unused(unary == "none", "--unary none", ["eta"])
    _refuse_unused(unary != "seeds", f"--unary {unary}", ["refine", "features"])
    _refuse_unused(method != "gradient", f"--solver {solver}", ["optimizer", "steps", "lr"])
    _refuse_unused(SOLVERS[method].hard, f"--solver {solver}, which uses BL", ["relaxation"])
    known = SOLVERS[method].option_names()
    _refuse_unused(True, f"--solver {solver}", [name for name in ("tolerance", "max_steps") if name not in known])
    terms = {"cross_entropy": "Q", "relaxation": "Q"} if method == "closed_form" else {}
    terms |= {"relaxation": "BL"} if SOLVERS[method].hard else {}
    chosen = {"cross_entropy": cross_entropy, "relaxation": relaxation}
    terms |= {name: value for name, value in chosen.items() if value is not None}
    options: dict[str, Any] = {"optimizer": optimizer, "steps": steps, "lr": lr} if method == "gradient" else {}
    limits = {"tolerance": tolerance, "max_steps": max_steps, "stride": stride}
    options |= {name: value for name, value in limits.items() if value is not None}
    options |= {"rounds": refine, "features": features} if unary == "seeds" else {}
    output = output or Path(f"{image.absolute().name if folders else image.stem}-segments")
    logits = None if unary in ("seeds", "none") else Path(unary)
    try:
        neighborhood = NearestNeighbors(bandwidth, int(connectivity))
        energy = Energy(**terms, eta=0.0 if unary == "none" else eta, lam=lam, neighborhood=neighborhood)
        work = Labelling(output, energy, method, unlabelled, options)
        if folders:
            report = partial(click.echo, err=True)
            _label_folder(image, seeds, work, logits, JobOptions(not resume, workers, scheduler, report))
        else:
            _label_photo(image, seeds, work, logits)
    except (ValueError, TypeError, OSError, ImportError) as error:
        raise click.ClickException(str(error)) from error


def _label_photo(image: Path, seeds: Path, work: Labelling, logits: Path | None) -> None:
    """Label one photo and print its classes' shares, the solver's message and the files."""
    from tqdm import tqdm

    for given in (image, seeds, *([] if logits is None else [logits])):
        for kind in FILES:
            result = work.output / f"{image.stem}_{kind}"
            if result.exists() and given.exists() and result.samefile(given):
                raise ValueError(f"{given}: a result would replace it; choose another folder (-o)")
    with shown_warnings():
        sample = read_sample(image, seeds, work.unlabelled)
        height, width = sample.seeds.shape
        scores = None if logits is None else read_logits(logits, len(sample.classes), (width, height))
    total = work.options["steps"] + 1 if work.method == "gradient" else None
    with tqdm(total=total, desc="solving", unit="step", disable=None) as bar:
        # the fast solver's copies of labels for a callback would cost a large photo time and memory
        move = {"progress": bar.update} if work.method == "fast" else {"callback": lambda *_: bar.update() and None}
        options = {**work.options, **move}
        segmentation = segment_sample(
            sample, work.output, work.energy, work.method, logits=scores, on_failure="ignore", **options
        )
    for name, share in class_shares(sample, segmentation.solution, segmentation.mask).items():
        click.echo(f"{name}: {share:.1%} of the pixels")
    click.echo(segmentation.solution.message)
    for path in segmentation.files.values():
        click.echo(path)


def _label_folder(photos: Path, seeds: Path, work: Labelling, logits: Path | None, jobs: JobOptions) -> None:
    """Label a folder of photos, print how many are finished, and exit with 1 if a photo failed."""
    if logits is not None and not logits.is_dir():
        raise NotADirectoryError(f"--unary {logits}: expected a folder with NAME.npy for each photo")
    try:
        rows = segment_folder(photos, seeds, work, logits=logits, jobs=jobs)
    except KeyboardInterrupt:
        click.echo("interrupted; rerun the command to label the other photos", err=True)
        sys.exit(130)
    finish_folder(rows, work.output, "labelled")


def _refuse_unused(condition: bool, because: str, names: list[str]) -> None:
    """Raise a usage error if an option was given that has no effect."""
    source = click.get_current_context().get_parameter_source
    given = [f"--{name.replace('_', '-')}" for name in names if source(name) == click.core.ParameterSource.COMMANDLINE]
    if condition and given:
        raise click.UsageError(f"{', '.join(given)}: has no effect with {because}; leave it out")
