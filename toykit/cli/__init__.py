"""The command line: `run` executes the course, `segment` labels a photo, `train` a network; `data`, `dashboard` as they say."""

import os
import sys
from pathlib import Path

# Threads that wait should sleep: where another program wants a core, spinning made the solvers ten times slower. Kernels
# started from here inherit it. OpenMP reads it once, so it stands before torch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

try:
    import click
except ImportError:
    sys.exit("toykit's command line needs the notebooks extra: pip install 'toykit[notebooks]'")

from toykit import PADDING, __version__
from toykit.cli.dashboard import dashboard
from toykit.cli.data import data
from toykit.cli.train import train
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.solvers import SOLVERS
from toykit.solvers.gradient import OPTIMIZERS


class Bandwidth(click.ParamType):
    """A number, or "auto"."""

    name = "number|auto"

    def convert(self, value, param, ctx):
        """The number as a float, or "auto"; a usage error otherwise."""
        try:
            return "auto" if value == "auto" else float(value)
        except ValueError:
            self.fail(f"expected a number or auto, got {value!r}", param, ctx)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="toykit")
def main() -> None:
    """Soft self-labelling and Potts relaxations for weakly-supervised segmentation."""


main.add_command(dashboard)
main.add_command(data)
main.add_command(train)


@main.command()
@click.argument("notebooks", nargs=-1, metavar="[NOTEBOOK]...")
@click.option("-p", "given", nargs=2, multiple=True, metavar="NAME VALUE", help="Set a parameter (repeatable).")
@click.option("--full", is_flag=True, help="Full size instead of smoke size.")
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path), default="executed", show_default=True,
              help="Folder for executed notebooks, HTML and metrics.json.")  # fmt: skip
@click.option("--in-place", is_flag=True, help="Also store the outputs in the notebooks themselves (for maintainers).")
@click.option("--html", "linked", is_flag=True, help="Link the pages to each other and to an index.html.")
@click.option("--list", "only_list", is_flag=True, help="List notebooks with their parameters; run nothing.")
def run(notebooks, given, full, output, in_place, linked, only_list) -> None:
    """Run the course's notebooks headlessly, all of them by default.

    NOTEBOOK is a name (04_random_walker), a number (04) or a file. A failing notebook keeps its partial output and the
    rest still run; the exit code is then 1. The pages in HTML open from a disk and load nothing from the network.
    """
    from toykit.course import runner as course

    try:
        paths = course.find(notebooks)
        if only_list and (given or full or in_place or linked):
            raise ValueError("--list runs nothing; leave -p, --full, --in-place and --html out")
        if len({name for name, _ in given}) < len(given):
            raise ValueError(f"-p: a parameter is given twice in {', '.join(name for name, _ in given)}")
        if only_list:
            for path in paths:
                defaults = ", ".join(f"{name}={value!r}" for name, value in course.parameters(path).items())
                click.echo(f"{path.stem}: {defaults}")
            return
        if in_place and (given or full):
            raise ValueError("--in-place stores the default run; leave -p and --full out")
        plans = course.plan(paths, dict(given), full)
        output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        raise click.UsageError(str(error)) from error
    results = course.run(paths, plans, output, in_place=in_place, linked=linked)
    click.echo(course.format_runs(results))
    click.echo(f"\nexecuted notebooks, HTML and metrics.json: {output / 'index.html' if linked else output}")
    sys.exit(any(r.status != "ok" for r in results))


@main.command(short_help="Label one photo from its scribbles.")
@click.argument("image", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.argument("seeds", type=click.Path(dir_okay=False, exists=True, path_type=Path))
@click.option("-o", "output", type=click.Path(file_okay=False, path_type=Path),
              help="Folder for the results.  [default: IMAGE's name + -segments]")  # fmt: skip
@click.option("--relaxation", type=click.Choice(list(RELAXATIONS)), help="P between neighbours.  [default: CD]")
@click.option("--cross-entropy", type=click.Choice(list(CROSS_ENTROPIES)), help="H to the unary.  [default: CCE]")
@click.option("--unary", default="seeds", show_default=True, metavar="seeds|none|FILE.npy",
              help="Predictions: a colour-and-position model of the seeds; none (eta = 0: the model is only where the "
              "solver starts); or a network's logits.")  # fmt: skip
@click.option("--eta", type=click.FloatRange(min=0), default=0.3, show_default=True, help="Weight of the unary.")
@click.option("--lambda", "lam", type=click.FloatRange(min=0), default=6.0, show_default=True, help="Weight of P.")
@click.option("--bandwidth", type=Bandwidth(), default=9.0, show_default=True,
              help="Colour bandwidth in units of 0..255, or auto.")  # fmt: skip
@click.option("--connectivity", type=click.Choice(["4", "8"]), default="4", show_default=True)
@click.option("--solver", type=click.Choice([name.replace("_", "-") for name in SOLVERS]), default="fast",
              show_default=True,
              help="gradient is the paper's and takes the three options below; closed-form is exact, for Q and Q; graph-cut "
              "and mean-field give hard labels, of BL.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)), default="adam", show_default=True)
@click.option("--steps", type=click.IntRange(min=1), default=200, show_default=True)
@click.option("--lr", type=click.FloatRange(min=0, min_open=True), default=0.075, show_default=True)
def segment(image, seeds, output, relaxation, cross_entropy, unary, eta, lam, bandwidth, connectivity, solver,
            optimizer, steps, lr) -> None:  # fmt: skip
    """Soft labels, a hard mask and a picture for one IMAGE with scribbles SEEDS.

    SEEDS is an indexed PNG (class ids, 255 = unlabelled, 254 = padding) or a JSON file of strokes (see
    toykit/supervision/strokes.py). Writes NAME_labels.npz, NAME_mask.png and NAME_picture.png.
    """
    import matplotlib

    matplotlib.use("agg")
    from tqdm import tqdm

    from toykit.energy import Energy
    from toykit.neighborhoods import NearestNeighbors
    from toykit.segment import hard_mask, read_logits, read_sample
    from toykit.segment import segment as segment_sample

    method = solver.replace("-", "_")
    _refuse_unused(unary == "none", "--unary none", ["eta"])
    _refuse_unused(method != "gradient", f"--solver {solver}", ["optimizer", "steps", "lr"])
    _refuse_unused(SOLVERS[method].hard, f"--solver {solver}, which is the same for all", ["relaxation"])
    usual = {"cross_entropy": "Q", "relaxation": "Q"} if method == "closed_form" else {}
    usual |= {"relaxation": "BL"} if SOLVERS[method].hard else {}
    chosen = {"cross_entropy": cross_entropy, "relaxation": relaxation}
    options = {"optimizer": optimizer, "steps": steps, "lr": lr} if method == "gradient" else {}
    try:
        neighborhood = NearestNeighbors(bandwidth, int(connectivity))
        terms = usual | {name: value for name, value in chosen.items() if value is not None}
        energy = Energy(**terms, eta=0.0 if unary == "none" else eta, lam=lam, neighborhood=neighborhood)
        sample = read_sample(image, seeds)
        size = sample.image.shape[1::-1]
        logits = None if unary in ("seeds", "none") else read_logits(unary, len(sample.classes), size)
        with tqdm(total=steps + 1 if options else None, desc="solving", unit="step", disable=None) as bar:
            found = segment_sample(
                sample, output or Path(f"{image.stem}-segments"), energy, method, logits=logits,
                callback=lambda *_: bar.update() and None, on_failure="ignore", **options,
            )  # fmt: skip
    except (ValueError, TypeError, OSError) as error:
        raise click.ClickException(str(error)) from error
    mask = hard_mask(sample, found.solution)
    for number, name in enumerate(sample.classes):
        click.echo(f"{name}: {(mask[sample.seeds != PADDING] == number).mean():.1%} of the pixels")
    click.echo(found.solution.message)
    for path in found.files.values():
        click.echo(path)


def _refuse_unused(condition: bool, because: str, names: list[str]) -> None:
    """A usage error if an option was given that plays no part."""
    source = click.get_current_context().get_parameter_source
    given = [f"--{name}" for name in names if source(name) == click.core.ParameterSource.COMMANDLINE]
    if condition and given:
        raise click.UsageError(f"{', '.join(given)}: plays no part with {because}; leave it out")
