"""The cost of the fast solver: sweeps in copies of the logits, as pixels and classes grow; and where labels have far to go."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from toykit import UNLABELLED, Energy, solve
from toykit.bench.problems import Inputs, Show, best_time, problems, timed
from toykit.solvers.block_descent.kernels import kernel_of
from toykit.solvers.block_descent.listed import OMEGA
from toykit.solvers.layouts.four_colour_grid import pack


def copies(height: int, width: int, show: Show) -> dict[str, float]:
    """Measure one sweep of each kernel in copies of the logits; a copy reads and writes them once.

    Parameters
    ----------
    height, width : int
        Size of the four images, in pixels.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Seconds and gigabytes per second of a copy; copies per sweep by relaxation and kernel.
    """
    sweeps = {f"{kernel} kernel": kernel_of(kernel, torch.device("cpu"))[0] for kernel in ("numba", "torch")}
    return sweeps_in_copies(problems(4, height, width), sweeps, show)


def sweeps_in_copies(
    inputs: Inputs, sweeps: Mapping[str, Callable[..., object]], show: Show, repeats: int = 3
) -> dict[str, float]:
    """Measure one sweep of some kernels in copies of the logits, on the device of the inputs.

    Parameters
    ----------
    inputs : tuple of Tensor
        (logits, image, seeds) of a batch; on the CPU its images are swept one by one.
    sweeps : mapping of str to callable
        Name -> the kernel's sweep.
    show : callable
        Prints a line.
    repeats : int, default 3
        Number of sweeps of which the fastest counts.

    Returns
    -------
    dict
        See `copies`; the keys of the sweeps are RELAXATION_NAME.
    """
    logits, device = inputs[0], inputs[0].device
    target = torch.empty_like(logits)
    copy = best_time(lambda: target.copy_(logits), 6 * repeats, device)
    results = {"copy_seconds": copy, "copy_gigabytes_per_second": 2 * logits.numel() * 4 / copy / 1e9}
    show(f"one copy of {tuple(logits.shape)}: {copy * 1e3:.2f} ms, {results['copy_gigabytes_per_second']:.0f} GB/s")
    for relaxation in ("Q", "CD"):
        problem = Energy("CCE", relaxation).subproblem(*inputs)
        for name, sweep in sweeps.items():
            grid = pack(problem, problem.fix_seeds(problem.sigma))
            pieces = [grid[b : b + 1] for b in range(len(logits))] if device.type == "cpu" else [grid]
            seconds = best_time(
                lambda sweep=sweep, pieces=pieces, r=relaxation: [sweep(p, "CCE", r, 0.3, OMEGA) for p in pieces],
                repeats, device,
            )  # fmt: skip
            results[f"{relaxation}_{name.removesuffix(' kernel')}"] = seconds / copy
            show(f"{relaxation:4} one sweep, {name}: {seconds / copy:.1f} copies ({seconds * 1e3:.2f} ms)")
    return results


def scaling(show: Show) -> dict[str, Any]:
    """Measure ten sweeps (CCE, CD; eight on Q) against pixels at K = 12 and against classes at 128 x 128.

    Parameters
    ----------
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Seconds by number of pixels and by number of classes, and the exponents of a fitted power law.
    """
    results: dict[str, Any] = {
        "pixels": {size * size: _ten_sweeps(size, 12) for size in (64, 128, 256, 512, 1024)},
        "classes": {classes: _ten_sweeps(128, classes) for classes in (12, 21, 42, 75, 150)},
    }
    for name in ("pixels", "classes"):
        seconds: dict[int, float] = results[name]
        results[f"{name}_exponent"] = slope = _exponent(seconds)
        show(f"ten sweeps grow as {name}^{slope:.2f}: " + ", ".join(f"{k}: {v:.3f} s" for k, v in seconds.items()))
    return results


def long_range(height: int, width: int, show: Show) -> dict[str, Any]:
    """Measure the solver where labels have far to go: uniform predictions, one stroke per class (CCE).

    Parameters
    ----------
    height, width : int
        Size in pixels of the photo on which many sweeps from the predictions are the reference.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        For Q and CD: with levels, seconds in those of 30 sweeps without, the energy in that of 2000 sweeps without, and both
        energies without the unary, which is constant here. For CD, in "pixels": seconds until the default tolerance by number
        of pixels, and in "pixels_exponent" the exponent of a fitted power law.
    """
    results: dict[str, Any] = {}
    inputs = _one_stroke(height, width)
    for relaxation in ("Q", "CD"):
        energy = Energy("CCE", relaxation)
        far = solve(*inputs, energy, max_steps=2000, tolerance=0, levels=0)
        short = best_time(lambda e=energy: solve(*inputs, e, max_steps=30, tolerance=0, levels=0), 3)
        seconds = best_time(lambda e=energy: solve(*inputs, e), 3)
        with_levels, without = solve(*inputs, energy), solve(*inputs, energy, levels=0)
        problem = energy.subproblem(*inputs)
        cuts = {name: float(problem.pairwise(s.labels)) for name, s in
                {"reference": far, "levels": with_levels, "without": without}.items()}  # fmt: skip
        ratio = float(with_levels.energies[-1] / far.energies[-1])
        results[relaxation] = {"energy": ratio, "sweeps_of_30": seconds / short, "pairwise": cuts}
        show(
            f"{relaxation:4} far labels: energy {ratio:.4f} of 2000 sweeps' in {seconds / short:.2f} times the time of 30; "
            f"pairwise {cuts['levels'] / cuts['reference']:.2f} (without levels, converged: "
            f"{cuts['without'] / cuts['reference']:.2f})"
        )
    pixels: dict[int, float] = {}
    for size in (64, 128, 256, 512, 1024, 2048):
        inputs = _one_stroke(size, size)
        pixels[size * size] = min(timed(lambda x=inputs: solve(*x, Energy("CCE", "CD")))[1] for _ in range(2))
    results |= {"pixels": pixels, "pixels_exponent": _exponent(pixels)}
    show(
        f"CD   far labels until converged: grows as pixels^{results['pixels_exponent']:.2f}: "
        + ", ".join(f"{k}: {v:.3f} s" for k, v in pixels.items())
    )
    return results


def _one_stroke(height: int, width: int) -> Inputs:
    """Return the second photo's problem with uniform predictions for its classes, and each class's largest stroke only."""
    from scipy.ndimage import label

    _, image, seeds = (x[1:] for x in problems(2, height, width))
    kept = torch.full_like(seeds, UNLABELLED)
    classes = int(seeds[seeds < UNLABELLED].max()) + 1
    for k in range(classes):
        parts = torch.zeros(height, width, dtype=torch.int32)
        label((seeds[0] == k).numpy(), [[1] * 3] * 3, parts.numpy())
        if parts.any():
            kept[0][parts == parts[parts > 0].bincount().argmax()] = k
    return torch.zeros(1, classes, height, width), image, kept


def _exponent(seconds: dict[int, float]) -> float:
    """Return the exponent of the power law that fits seconds by number."""
    x, y = (torch.tensor(list(v), dtype=torch.float64).log() for v in (seconds, seconds.values()))
    return float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())


def _ten_sweeps(size: int, classes: int) -> float:
    """Return the seconds of ten sweeps on a square image."""
    inputs = problems(1, size, size, classes)
    return best_time(lambda: solve(*inputs, max_steps=10, tolerance=0, levels=0), 3)
