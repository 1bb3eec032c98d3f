"""`python -m toykit.bench` prints ratios that were measured side by side in one run, and writes them as JSON and a picture.

Nothing here is asserted: other programs on the machine change seconds, and ratios less.
"""

import json
import os
import platform
import sys
import warnings
from pathlib import Path
from typing import Any

if __name__ == "__main__" and any(argument.startswith("--device") for argument in sys.argv):
    from toykit.bench import gpu  # a GPU's machine may lack what the other parts need

    sys.exit(gpu.main(sys.argv[1:]))

import click
import torch

from toykit import ConvergenceWarning, NearestNeighbors, __version__
from toykit._shared.files import write_text
from toykit.bench.dense import dense
from toykit.bench.memory import memory
from toykit.bench.problems import CLASSES
from toykit.bench.quadratic import jaccard, quadratic
from toykit.bench.race import draw, race, sparse
from toykit.bench.scaling import copies, long_range, scaling
from toykit.bench.training_step import step
from toykit.bench.walker import walker

#: Names of the benchmark's parts, in the order in which they run; the part memory runs only where it is asked for.
PARTS = ("race", "copies", "quadratic", "walker", "jaccard", "scaling", "long_range", "step", "sparse", "dense")


@click.command(context_settings={"show_default": True})
@click.option(
    "--part",
    "parts",
    type=click.Choice([*PARTS, "memory"]),
    multiple=True,
    help="Run only this part; repeatable.  [default: all but memory]",
)
@click.option("--images", default=12, help="Number of images of the race.")
@click.option("--batch", default=4, help="Images per batch of the race.")
@click.option("--size", nargs=2, default=(240, 320), help="Height and width of the race's images.")
@click.option(
    "--threads", default=min(os.cpu_count() or 1, 2), help="Threads of torch, which the compiled loops use, too."
)
@click.option("-o", "output", default=Path("bench"), type=click.Path(file_okay=False, path_type=Path),
              help="Folder for bench.json and bench.png.")  # fmt: skip
def main(parts: tuple[str, ...], images: int, batch: int, size: tuple[int, int], threads: int, output: Path) -> None:
    """Measure the solvers on this machine.

    All parts take about 30 minutes on two cores, most of it in the paper's solver. With --device cuda, other parts
    measure a GPU: see --device cuda --help.
    """
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    height, width = size
    results: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": threads, "torch": torch.__version__,
                    "python": platform.python_version(), "toykit": __version__},
        "settings": {"images": images, "batch": batch, "size": list(size), "classes": CLASSES, "eta": 0.3, "lam": 6.0,
                     "bandwidth": NearestNeighbors().bandwidth},
    }  # fmt: skip
    runs = {
        "race": lambda: race(images, batch, height, width, click.echo),
        "copies": lambda: copies(height, width, click.echo),
        "quadratic": lambda: quadratic(375, 500, click.echo),
        "walker": lambda: walker(((375, 500), (1500, 2000)), click.echo),
        "jaccard": lambda: jaccard(click.echo),
        "scaling": lambda: scaling(click.echo),
        "long_range": lambda: long_range(height, width, click.echo),
        "step": lambda: step(click.echo),
        "sparse": lambda: sparse(height, width, click.echo),
        "dense": lambda: dense(threads, click.echo),
        "memory": lambda: memory(click.echo),
    }
    for name in parts or PARTS:
        click.echo(f"-- {name}")
        results[name] = runs[name]()
        write_text(output / "bench.json", json.dumps(results, indent=1))
    if "race" in results:
        draw(results["race"], output / "bench.png")
    click.echo(f"\n{output}/bench.json" + (f", {output}/bench.png" if "race" in results else ""))


if __name__ == "__main__":
    main()
