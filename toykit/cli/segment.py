"""The command `toykit segment`: soft labels, a hard mask and a picture for one photo."""

from pathlib import Path
from typing import Any

import click

from toykit import PADDING
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.mixture_model import ROUNDS
from toykit.potts import RELAXATIONS
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


@click.command(short_help="Label one photo from its scribbles.")
@click.argument("image", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.argument("seeds", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the results.  [default: IMAGE's name + -segments]")  # fmt: skip
@click.option("--relaxation", type=click.Choice(list(RELAXATIONS)),
              help="Potts relaxation P of the pairwise term.  [default: CD]")  # fmt: skip
@click.option("--cross-entropy", type=click.Choice(list(CROSS_ENTROPIES)),
              help="Cross-entropy H of the unary term.  [default: CCE]")  # fmt: skip
@click.option("--unary", default="seeds", show_default=True, metavar="seeds|none|FILE.npy",
              help="Predictions of the unary term: a colour-and-position model fitted on the seeds; none (eta = 0: seeds "
              "and edges alone decide); or a network's logits.")  # fmt: skip
@click.option("--refine", type=click.IntRange(min=0), default=ROUNDS, show_default=True,
              help="Largest number of refits of the model of the seeds to soft labels (self-labelling).")  # fmt: skip
@click.option("--features", metavar="NAME|FILE",
              help="Add a pre-trained network to the model of the seeds: a timm model, or a file of weights in the layout of "
              "torchvision (MobileNetV2, ResNet-101) or timm (ViT-B/16).")  # fmt: skip
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
              "Q; graph-cut and mean-field give hard labels, for BL.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adam", show_default=True,
              help="Optimiser of the gradient solver.")  # fmt: skip
@click.option("--steps", type=click.IntRange(min=1), default=200, show_default=True,
              help="Number of steps of the gradient solver.")  # fmt: skip
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=0.075, show_default=True,
              help="Learning rate of the gradient solver.")  # fmt: skip
def segment(
    image: Path,
    seeds: Path,
    output: Path | None,
    relaxation: str | None,
    cross_entropy: str | None,
    unary: str,
    refine: int,
    features: str | None,
    eta: float,
    lam: float,
    bandwidth: float | str,
    connectivity: str,
    solver: str,
    optimizer: str,
    steps: int,
    lr: float,
) -> None:
    """Compute soft labels, a hard mask and a picture for one IMAGE with scribbles SEEDS.

    SEEDS is an indexed PNG (class ids, 255 = unlabelled, 254 = padding) or a JSON file of strokes (see
    toykit/supervision/strokes.py). Writes NAME_labels.npz, NAME_mask.png and NAME_picture.png.
    """
    import matplotlib

    matplotlib.use("agg")
    import torch
    from tqdm import tqdm

    from toykit.energy import Energy
    from toykit.neighborhoods import NearestNeighbors
    from toykit.segment import hard_mask, read_logits, read_sample
    from toykit.segment import segment as segment_sample

    method = solver.replace("-", "_")
    _refuse_unused(unary == "none", "--unary none", ["eta"])
    _refuse_unused(unary != "seeds", f"--unary {unary}", ["refine", "features"])
    _refuse_unused(method != "gradient", f"--solver {solver}", ["optimizer", "steps", "lr"])
    _refuse_unused(SOLVERS[method].hard, f"--solver {solver}, which uses BL", ["relaxation"])
    terms = {"cross_entropy": "Q", "relaxation": "Q"} if method == "closed_form" else {}
    terms |= {"relaxation": "BL"} if SOLVERS[method].hard else {}
    chosen = {"cross_entropy": cross_entropy, "relaxation": relaxation}
    terms |= {name: value for name, value in chosen.items() if value is not None}
    options = {"optimizer": optimizer, "steps": steps, "lr": lr} if method == "gradient" else {}
    try:
        neighborhood = NearestNeighbors(bandwidth, int(connectivity))
        energy = Energy(**terms, eta=0.0 if unary == "none" else eta, lam=lam, neighborhood=neighborhood)
        sample = read_sample(image, seeds)
        height, width = sample.seeds.shape
        classes = len(sample.classes)
        logits = torch.zeros(1, classes, height, width) if unary == "none" else None
        logits = read_logits(unary, classes, (width, height)) if unary not in ("seeds", "none") else logits
        with tqdm(total=steps + 1 if options else None, desc="solving", unit="step", disable=None) as bar:
            segmentation = segment_sample(
                sample, output or Path(f"{image.stem}-segments"), energy, method, logits=logits,
                rounds=refine, features=features,
                callback=lambda *_: bar.update() and None, on_failure="ignore", **options,
            )  # fmt: skip
    except (ValueError, TypeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    mask = hard_mask(sample, segmentation.solution)
    for number, name in enumerate(sample.classes):
        click.echo(f"{name}: {(mask[sample.seeds != PADDING] == number).mean():.1%} of the pixels")
    click.echo(segmentation.solution.message)
    for path in segmentation.files.values():
        click.echo(path)


def _refuse_unused(condition: bool, because: str, names: list[str]) -> None:
    """Raise a usage error if an option was given that has no effect."""
    source = click.get_current_context().get_parameter_source
    given = [f"--{name}" for name in names if source(name) == click.core.ParameterSource.COMMANDLINE]
    if condition and given:
        raise click.UsageError(f"{', '.join(given)}: has no effect with {because}; leave it out")
