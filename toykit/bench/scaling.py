"""The cost of the fast solver's sweeps: in copies of the logits, and as pixels and classes grow."""

from typing import Any

import torch

from toykit import Energy, solve
from toykit.bench.problems import Show, best_time, problems
from toykit.solvers.block_descent import solver as fast
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
    logits, image, seeds = problems(4, height, width)
    target = torch.empty_like(logits)
    copy = best_time(lambda: target.copy_(logits), 20)
    results = {"copy_seconds": copy, "copy_gigabytes_per_second": 2 * logits.numel() * 4 / copy / 1e9}
    show(f"one copy of {tuple(logits.shape)}: {copy * 1e3:.2f} ms, {results['copy_gigabytes_per_second']:.0f} GB/s")
    for relaxation in ("Q", "CD"):
        problem = Energy("CCE", relaxation).subproblem(logits, image, seeds)
        for kernel in ("numba", "torch"):
            grid = pack(problem, problem.fix_seeds(problem.sigma))
            sweep, _ = fast.kernel_of(kernel, logits.device)
            pieces = [grid[b : b + 1] for b in range(4)]
            seconds = best_time(
                lambda sweep=sweep, pieces=pieces, r=relaxation: [sweep(p, "CCE", r, 0.3, fast.OMEGA) for p in pieces],
                3,
            )
            results[f"{relaxation}_{kernel}"] = seconds / copy
            show(f"{relaxation:4} one sweep, {kernel} kernel: {seconds / copy:.0f} copies ({seconds * 1e3:.0f} ms)")
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
        x, y = (torch.tensor(list(v), dtype=torch.float64).log() for v in (seconds, seconds.values()))
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
        results[f"{name}_exponent"] = slope
        show(f"ten sweeps grow as {name}^{slope:.2f}: " + ", ".join(f"{k}: {v:.3f} s" for k, v in seconds.items()))
    return results


def _ten_sweeps(size: int, classes: int) -> float:
    """Return the seconds of ten sweeps on a square image."""
    inputs = problems(1, size, size, classes)
    return best_time(lambda: solve(*inputs, max_steps=10, tolerance=0), 3)
