"""The benchmark: `python -m toykit.bench` prints ratios taken side by side in one run, and writes them as JSON and a picture.

Nothing here is asserted; a busy machine changes seconds, and ratios less. Images are scikit-image's photos with this project's
scribbles, two crops of each; predictions are simulated for K classes: `toykit.seed_model.seed_logits` plus smooth noise.
"""

import json
import os
import platform
import statistics
import time
import warnings
from pathlib import Path

import click
import torch
from torch import Tensor

from toykit import (
    Energy,
    NearestNeighbors,
    SelfLabelingLoss,
    SparseNonLocal,
    __version__,
    datasets,
    random_walker,
    soft_jaccard,
    solve,
)
from toykit._shared.files import write_atomically
from toykit.bench.dense import dense
from toykit.conventions import seeded_classes
from toykit.potts import RELAXATIONS
from toykit.seed_model import seed_logits
from toykit.solvers import ConvergenceWarning
from toykit.solvers.block_descent import solver as fast
from toykit.solvers.layouts.four_colour_grid import pack

CLASSES = 21
#: Names of the benchmark's parts, in order.
PARTS = ("race", "copies", "quadratic", "jaccard", "scaling", "step", "sparse", "dense")


def problems(count: int, height: int, width: int, classes: int = CLASSES) -> tuple[Tensor, Tensor, Tensor]:
    """(logits, image, seeds) of `count` crops: the photos in order of name, left and right (or upper and lower) crop."""
    generator = torch.Generator().manual_seed(0)
    found = []
    photos = datasets.photos(2 * max(height, width))
    for number in range(count):
        image, seeds = photos[number % len(photos)].tensors()
        scale = max(height / image.shape[2], width / image.shape[3])
        size = (max(height, round(image.shape[2] * scale)), max(width, round(image.shape[3] * scale)))
        image = torch.nn.functional.interpolate(image, size, mode="area")
        seeds = torch.nn.functional.interpolate(seeds[:, None].float(), size, mode="nearest")[:, 0].long()
        last = number // len(photos) % 2 == 1
        top, left = (size[0] - height, size[1] - width) if last else (0, 0)
        image, seeds = (
            image[..., top : top + height, left : left + width],
            seeds[:, top : top + height, left : left + width],
        )
        coarse = torch.randn(1, classes, 8, 10, generator=generator)
        noise = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
        found.append((seed_logits(image, seeds, classes) + 2 * noise, image, seeds))
    return tuple(torch.cat(parts) for parts in zip(*found, strict=True))


def timed(run):
    """What `run` returns, and the seconds that it took."""
    start = time.perf_counter()
    found = run()
    return found, time.perf_counter() - start


def best_time(run, repeats: int = 3) -> float:
    """Seconds of the quickest of some runs, after one that is not counted."""
    run()
    return min(timed(run)[1] for _ in range(repeats))


def race(count: int, batch: int, height: int, width: int, show, neighborhood=None, opponents=("gd", "adam")):
    """Time to the energies of Adam-200 and GD-200 (autograd), for each relaxation with CCE; and where the solvers end.

    An energy counts as reached within a thousandth. Seconds are those of a batch: the paper's solver takes its 200 steps, the
    fast one, image by image, as many sweeps as that image needs.
    """
    logits, image, seeds = problems(count, height, width)
    batches = [slice(b, b + batch) for b in range(0, count, batch)]
    first = tuple(x[batches[0]] for x in (logits, image, seeds))
    results = {}
    for relaxation in RELAXATIONS:
        energy = Energy("CCE", relaxation, neighborhood=neighborhood or NearestNeighbors())
        constants = torch.cat([energy.subproblem(*(x[b] for x in (logits, image, seeds))).constant() for b in batches])
        seconds, ends, traces = {}, {}, {}
        for optimizer in opponents:
            used = batches if optimizer == "adam" else batches[:1]  # one batch tells plain descent's story
            runs, spent = timed(
                lambda energy=energy, optimizer=optimizer, used=used: [
                    solve(*(x[b] for x in (logits, image, seeds)), energy, "gradient", optimizer=optimizer).energies
                    for b in used
                ]
            )
            seconds[optimizer] = spent / len(used)
            traces[optimizer] = torch.cat(runs, 1)
            traces[optimizer] = traces[optimizer] - constants[: traces[optimizer].shape[1]]
            ends[optimizer] = traces[optimizer][-1]
        found = [solve(*(x[b] for x in (logits, image, seeds)), energy, "fast") for b in batches]
        trace = torch.cat([pad(s.energies, max(f.steps for f in found) + 1) for s in found], 1) - constants
        complete = best_time(lambda energy=energy: solve(*first, energy, "fast"), 2)
        row = {"sweeps": max(s.steps for s in found), "fast_seconds": complete}
        for optimizer in opponents:
            reached = trace[:, : len(ends[optimizer])] <= ends[optimizer] * 1.001
            missed = int((~reached.any(0)).sum())
            # an image that never gets there is charged the whole run
            first_hit = reached.float().argmax(0).clamp_min(1)
            sweeps = first_hit.where(reached.any(0), row["sweeps"]).tolist()

            def alone(energy=energy, sweeps=sweeps):
                for b, needed in enumerate(sweeps):
                    one = (x[b : b + 1] for x in (logits, image, seeds))
                    solve(*one, energy, "fast", max_steps=needed, tolerance=0)

            spent = best_time(alone, 2) * batch / len(sweeps)
            row |= {
                f"{optimizer}_seconds": seconds[optimizer],
                f"sweeps_to_{optimizer}": sorted(sweeps),
                f"missed_{optimizer}": missed,
                f"seconds_to_{optimizer}": spent,
                f"times_faster_{optimizer}": seconds[optimizer] / spent,
            }
        ratio = trace[-1] / ends["adam"]
        row |= {"energy_to_adam_median": float(ratio.median()), "energy_to_adam_worst": float(ratio.max())}
        curves = traces | {"fast": trace}
        row["curves"] = {name: (curve.mean(1) / ends["adam"].mean()).tolist() for name, curve in curves.items()}
        results[relaxation] = row
        low, high = row["sweeps_to_adam"][0], row["sweeps_to_adam"][-1]
        show(
            f"{relaxation:4} to Adam-200: {row['times_faster_adam']:4.0f} times faster ({row['seconds_to_adam']:.2f} s, "
            f"{low} to {high} sweeps, {row['missed_adam']} missed)"
            + (f"; to GD-200: {row['times_faster_gd']:4.0f} times" if "gd" in opponents else "")
        )
        show(
            f"     to its own end {seconds['adam'] / complete:.0f} times faster ({row['sweeps']} sweeps); energy/Adam's: "
            f"median {row['energy_to_adam_median']:.3f}, worst {row['energy_to_adam_worst']:.4f}"
        )
    return results


def sparse(height: int, width: int, show) -> dict:
    """The sparse non-local neighbourhood: the race with Adam on one image, and a sweep's cost as the edges grow."""
    results = {"race": race(1, 1, height, width, show, SparseNonLocal(), ("adam",)), "sweep": {}}
    problem = problems(1, height, width)
    start = problem[0].softmax(1)  # given labels: no sweeps on Q come first
    for far in (0, 1, 2, 4, 8):
        neighborhood = SparseNonLocal(far=far)
        edges = int((neighborhood.edges(problem[1]).weights > 0).sum())
        row = {"edges": edges}
        for relaxation in ("Q", "CD"):
            energy = Energy("CCE", relaxation, neighborhood=neighborhood)
            few, many = (
                best_time(
                    lambda n=n, energy=energy: solve(*problem, energy, "fast", start=start, max_steps=n, tolerance=0)
                )
                for n in (5, 25)
            )
            row[relaxation] = (many - few) / 20
        results["sweep"][far] = row
        show(f"{edges:9,} edges: a sweep {row['Q'] * 1e3:.0f} ms (Q), {row['CD'] * 1e3:.0f} ms (CD)")
    return results


def pad(trace: Tensor, length: int) -> Tensor:
    """A trace (T, B) continued by its last row."""
    return torch.cat([trace, trace[-1:].expand(length - len(trace), -1)])


def copies(height: int, width: int, show) -> dict:
    """Cost of one sweep in copies (read and write) of the logits, by kernel."""
    logits, image, seeds = problems(4, height, width)
    target = torch.empty_like(logits)
    copy = best_time(lambda: target.copy_(logits), 20)
    results = {"copy_seconds": copy, "copy_gigabytes_per_second": 2 * logits.numel() * 4 / copy / 1e9}
    show(f"one copy of {tuple(logits.shape)}: {copy * 1e3:.2f} ms, {results['copy_gigabytes_per_second']:.0f} GB/s")
    for relaxation in ("Q", "CD"):
        problem = Energy("CCE", relaxation).subproblem(logits, image, seeds)
        for kernel in ("numba", "torch"):
            quarters = pack(problem, problem.fix_seeds(problem.sigma))
            sweep, _ = fast.kernel_of(kernel, logits.device)
            pieces = [quarters[b : b + 1] for b in range(4)]
            seconds = best_time(
                lambda sweep=sweep, pieces=pieces, r=relaxation: [sweep(p, "CCE", r, 0.3, fast.OMEGA) for p in pieces],
                3,
            )
            results[f"{relaxation}_{kernel}"] = seconds / copy
            show(f"{relaxation:4} one sweep, {kernel} kernel: {seconds / copy:.0f} copies ({seconds * 1e3:.0f} ms)")
    return results


def quadratic(height: int, width: int, show) -> dict:
    """The quadratic system by each backend, and the seeds-only walker against scikit-image's."""
    from skimage.segmentation import random_walker as skimage_walker

    logits, image, seeds = problems(1, height, width)
    results = {}
    exact, direct = timed(lambda: random_walker(logits, image, seeds))
    results["direct_seconds"] = direct
    show(f"eta 0.3: scipy direct {direct:.2f} s, residual {float(exact.residual):.0e}")
    random_walker(logits, image, seeds, backend="sor", tolerance=0.5)  # compiles
    for backend in ("sor", "cg", "amg"):
        found, seconds = timed(lambda b=backend: random_walker(logits, image, seeds, backend=b, tolerance=1e-6))
        results[f"{backend}_seconds"] = seconds
        show(
            f"eta 0.3: {backend} {seconds:.2f} s, direct/{backend} {direct / seconds:.1f}, residual {float(found.residual):.0e}"
        )
    energy = Energy("Q", "Q")
    seconds = best_time(lambda: solve(logits, image, seeds, energy, tolerance=1e-5), 2)
    found = solve(logits, image, seeds, energy, tolerance=1e-5)
    off = float((found.labels.double() - exact.labels).norm() / exact.labels.norm())
    results |= {"fast_seconds": seconds, "fast_jaccard": float(soft_jaccard(found.labels.double(), exact.labels))}
    show(f"eta 0.3: fast (float32, sweep tolerance 1e-5) {seconds:.2f} s, direct/fast {direct / seconds:.1f}, "
         f"relative error {off:.0e}, soft Jaccard {results['fast_jaccard']:.5f}")  # fmt: skip
    kinds = len(set(seeds[seeds < 254].tolist()))
    walker, ours = timed(lambda: random_walker(logits[:, :kinds], image, seeds, eta=0.0))
    markers = torch.where(seeds[0] < 254, seeds[0] + 1, 0).numpy()
    picture = image[0].permute(1, 2, 0).numpy() / 255
    _, theirs = timed(
        lambda: skimage_walker(picture, markers, mode="cg_mg", tol=1e-6, channel_axis=-1, return_full_prob=True)
    )
    results |= {"seeds_only_seconds": ours, "skimage_cg_mg_seconds": theirs, "skimage_to_ours": theirs / ours}
    show(f"seeds only, {kinds} classes: ours (direct, residual {float(walker.residual):.0e}) {ours:.2f} s, skimage cg_mg "
         f"(tol 1e-6) {theirs:.2f} s, skimage/ours {theirs / ours:.1f}")  # fmt: skip
    return results


def jaccard(show) -> dict:
    """Soft Jaccard index of the fast solver with the closed form on H_Q + P_Q, over all photos at hand."""
    scores = []
    for sample in [*datasets.photos(320), *datasets.grabcut_seeds(320)]:
        image, seeds = sample.tensors()
        logits = seed_logits(image, seeds, len(sample.classes))
        unlabelled = seeds == 255
        exact = random_walker(logits, image, seeds).labels
        found = solve(logits, image, seeds, Energy("Q", "Q")).labels.double()
        scores.append(float(soft_jaccard(found, exact, unlabelled)))
    show(f"soft Jaccard with the closed form, {len(scores)} scribble maps: mean {statistics.mean(scores):.4%}, "
         f"least {min(scores):.4%}")  # fmt: skip
    return {"maps": len(scores), "mean": statistics.mean(scores), "least": min(scores)}


def scaling(show) -> dict:
    """Seconds of ten sweeps (CCE, CD; eight on Q) against pixels at K = 12, against classes at 128 x 128; fitted exponents."""
    results = {"pixels": {}, "classes": {}}

    def measure(size: int, classes: int) -> float:
        problem = problems(1, size, size, classes)
        return best_time(lambda: solve(*problem, max_steps=10, tolerance=0), 3)

    for size in (64, 128, 256, 512, 1024):
        results["pixels"][size * size] = measure(size, 12)
    for classes in (12, 21, 42, 75, 150):
        results["classes"][classes] = measure(128, classes)
    for name in ("pixels", "classes"):
        x, y = (torch.tensor(list(v), dtype=torch.float64).log() for v in (results[name], results[name].values()))
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
        results[f"{name}_exponent"] = slope
        show(
            f"ten sweeps grow as {name}^{slope:.2f}: " + ", ".join(f"{k}: {v:.3f} s" for k, v in results[name].items())
        )
    return results


def step(show) -> dict:
    """A training step of DeepLabV3+ (MobileNetV2), batch 12 at 192 x 192: seeds only, and with self-labelling.

    The solver's part depends on the predictions: "untrained" are the new network's own, almost uniform, the slowest;
    "simulated" adds the other parts' predictions, as after the paper's first phase, in which it sees the seeds alone.
    "on cells" seeks labels at a quarter of the resolution, of the classes that the photo has seeds of, at lambda/eta 200 and
    bandwidth 20; the solver's share is its own time in that step.
    """
    try:
        import segmentation_models_pytorch as smp
    except ImportError:
        show("training step: skipped, needs segmentation-models-pytorch")
        return {}
    simulated, image, seeds = problems(12, 192, 192)
    network = smp.DeepLabV3Plus("mobilenet_v2", encoder_weights=None, encoder_output_stride=16, classes=CLASSES)
    descent = torch.optim.SGD(network.parameters(), lr=1e-3)
    criterion = SelfLabelingLoss(Energy())
    cells = SelfLabelingLoss(Energy(eta=1.0, lam=200.0, neighborhood=NearestNeighbors(20.0)), stride=4)
    present = seeded_classes(seeds, CLASSES)
    losses = {
        "seeds only": lambda logits: torch.nn.functional.cross_entropy(logits, seeds, ignore_index=255),
        "untrained": lambda logits: criterion(logits, image, seeds),
        "simulated": lambda logits: criterion(logits + simulated, image, seeds),
        "on cells": lambda logits: cells(logits + simulated, image, seeds, present),
    }
    results = {}
    for name, loss in losses.items():

        def one(loss=loss):
            descent.zero_grad()
            loss(network(image / 255)).backward()
            descent.step()

        results[name] = best_time(one, 3)
    problem = cells.subproblem(simulated, image, seeds, present)
    results["solver_share_on_cells"] = best_time(lambda: cells.solve(problem), 3) / results["on cells"]
    show(f"labels on cells of 4 x 4 pixels, {int(present.sum())} classes in 12 photos: the solver takes "
         f"{results['solver_share_on_cells']:.1%} of a step")  # fmt: skip
    for name in ("untrained", "simulated", "on cells"):
        results[f"ratio_{name}"] = results[name] / results["seeds only"]
        show(f"training step, 12 x 192 x 192, K = {CLASSES}, predictions {name}: seeds only {results['seeds only']:.2f} s, "
             f"with self-labelling {results[name]:.2f} s, ratio {results[f'ratio_{name}']:.2f}")  # fmt: skip
    return results


def draw(results: dict, path: Path) -> None:
    """Mean energy against time, for all relaxations and solvers."""
    import matplotlib.pyplot as plt

    from toykit import plots
    from toykit._shared.palette import LINE_COLORS, LINE_STYLES

    plots.style()
    figure, axes = plt.subplots(2, 3, figsize=(10, 5.5), sharex=True, layout="constrained")
    for axis, (relaxation, row) in zip(axes.flat, results.items(), strict=True):
        for number, (name, label) in enumerate({"gd": "gradient descent", "adam": "Adam", "fast": "fast"}.items()):
            curve = row["curves"][name]
            whole = row["fast_seconds"] if name == "fast" else row[f"{name}_seconds"]
            steps = row["sweeps"] if name == "fast" else len(curve) - 1
            seconds = [whole * n / steps for n in range(1, len(curve))]
            axis.plot(seconds, curve[1:], color=LINE_COLORS[number], linestyle=LINE_STYLES[number], label=label)
        axis.axhline(1, color="0.7", linewidth=0.8)
        axis.set(title=relaxation, xscale="log", ylim=(0.5, 2.5))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    figure.supxlabel("seconds for a batch (mean over sweeps)")
    figure.supylabel("energy / Adam's after 200 steps")
    write_atomically(path, lambda file: figure.savefig(file, format="png", dpi=110))
    plt.close(figure)


@click.command(context_settings={"show_default": True})
@click.option(
    "--part", "parts", type=click.Choice(PARTS), multiple=True, help="Only this part; repeatable.  [default: all]"
)
@click.option("--images", default=12, help="Images of the race.")
@click.option("--batch", default=4, help="Images a batch.")
@click.option("--size", nargs=2, default=(240, 320), help="Height and width of the race's images.")
@click.option("--threads", default=min(os.cpu_count() or 1, 2), help="Threads of torch and numba.")
@click.option("-o", "output", default=Path("bench"), type=click.Path(file_okay=False, path_type=Path))
def main(parts, images, batch, size, threads, output) -> None:
    """Measure the solvers on this machine; about 30 minutes on two cores, most of it the paper's solver's."""
    output.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(threads)
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = {
        "machine": {"processor": platform.processor() or platform.machine(), "threads": threads, "torch": torch.__version__,
                    "python": platform.python_version(), "toykit": __version__},
        "settings": {"images": images, "batch": batch, "size": list(size), "classes": CLASSES, "eta": 0.3, "lam": 6.0,
                     "bandwidth": NearestNeighbors().bandwidth},
    }  # fmt: skip
    runs = {
        "race": lambda: race(images, batch, *size, click.echo),
        "copies": lambda: copies(*size, click.echo),
        "quadratic": lambda: quadratic(375, 500, click.echo),
        "jaccard": lambda: jaccard(click.echo),
        "scaling": lambda: scaling(click.echo),
        "step": lambda: step(click.echo),
        "sparse": lambda: sparse(*size, click.echo),
        "dense": lambda: dense(threads, click.echo),
    }
    for name in parts or PARTS:
        click.echo(f"-- {name}")
        results[name] = runs[name]()
        text = json.dumps(results, indent=1)
        write_atomically(output / "bench.json", lambda file, text=text: file.write(text.encode()))
    if "race" in results:
        draw(results["race"], output / "bench.png")
    click.echo(f"\n{output}/bench.json" + (f", {output}/bench.png" if "race" in results else ""))


if __name__ == "__main__":
    main()
