"""The fast solver: which images are solved together, in which thread, from which labels, and with which descent.

The descents are over-relaxed block descent (`toykit.solvers.block_descent.listed`), and one of proximal steps for dense
neighbourhoods (`toykit.solvers.block_descent.dense`).

Sweeps move labels by a few pixels each. On large images, and where predictions decide little, the descent therefore starts from
labels of coarser grids (`toykit.solvers.block_descent.levels`).

With numba the images of a batch are divided among torch's threads.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from toykit._shared.threads import in_threads
from toykit.energy import Subproblem
from toykit.neighborhoods import Edges
from toykit.solvers.block_descent.dense import DenseDescent
from toykit.solvers.block_descent.descent import Descent, check_simplex, set_seeds
from toykit.solvers.block_descent.kernels import kernel_of, takes_numba
from toykit.solvers.block_descent.levels import coarse_starts, number_of_levels
from toykit.solvers.block_descent.listed import ListedDescent
from toykit.solvers.block_descent.options import FastOptions
from toykit.solvers.block_descent.outcome import Outcome, join
from toykit.solvers.solution import Solution

#: Side by side: the largest number of classes of an image, and of pixels that images may fill together in a row.
FEW_CLASSES, LONG_ROW = 8, 1024
#: Numbers in the labels of images that are solved at a time, at most (in several times the memory); for each thread, at least.
IN_FLIGHT, WORTH_A_THREAD = 2**26, 2**15


def fast_descent(
    problem: Subproblem, options: FastOptions, *, callback: Callable[..., object] | None = None
) -> Solution:
    """Minimise a sub-problem with any cross-entropy and relaxation, on any neighbourhood. Deterministic.

    Dense neighbourhoods have their own descent in torch, `toykit.solvers.block_descent.dense`; one sweep of it is one
    filtering.

    Parameters
    ----------
    problem : Subproblem
    options : FastOptions
    callback : callable, optional
        Called as callback(step, labels, energies) at the start (step 0) and after each sweep, with the lowest energies so far.
        On the CPU it is called for one image after another, with labels (1, K, H, W) and energies (1,). The image's descent
        ends if it returns True.

    Returns
    -------
    Solution
        `energies` are the lowest energies reached after each sweep; `steps` is the number of sweeps of the slowest image; the
        residual is each image's last relative decrease.

    Raises
    ------
    ValueError
        If the kernel does not support the neighbourhood or the device, or `start` is not in the simplex.
    """
    tolerance, start, sigma = options.tolerance, options.start, problem.sigma
    levels = 0 if start is not None else number_of_levels(options.levels, problem)
    size = _group_size(problem, options, callback is not None)
    parts = _parts(problem, options, size, callback is not None)
    descent = _descent_of(problem.edges, options.kernel, sigma.device, in_rows=size > 1 and sigma.device.type == "cpu")
    scale, problem = _scaled(problem)
    several = size < len(sigma)
    labels = sigma.new_empty(sigma.shape if several else 0)  # several groups write theirs into these
    if start is not None:
        problem.check_labels(start, "start")
        check_simplex(start)
        start = set_seeds(problem, start.detach().clone())

    def report(step: int, run: Descent) -> bool:
        """Call the callbacks; return whether one stops the descent."""
        if options.progress is not None:
            options.progress()
        if callback is None:
            return False
        return callback(step, run.labels(), ((run.trace[-1] + run.constant) * scale).to(sigma.dtype)) is True

    silent = partial(descent, threshold=0.0, report=lambda *_: False)

    def solve(part: slice) -> list[Outcome]:
        """Solve some images, one group after another."""
        coarse = (levels, size, options.active_classes, tolerance, silent)
        starts = coarse_starts(problem[part], *coarse) if levels else itertools.repeat(None)
        return [solve_group(slice(first, first + size), starts) for first in range(part.start, part.stop, size)]

    def solve_group(group: slice, starts: Iterator[tuple[Tensor, Tensor] | None]) -> Outcome:
        nonlocal labels
        given = None if start is None else start[group]
        run = descent(problem[group], given, options.active_classes, report, start is None, next(starts))
        run.descend(tolerance, options.max_steps)
        if several:
            labels[group] = run.labels()  # in this thread
        else:
            labels = run.labels()
        return Outcome.of(run)

    outcomes = [outcome for part in in_threads(solve, parts) for outcome in part]
    return join(outcomes, labels, scale, tolerance, options.active_classes > 0)


def _scaled(problem: Subproblem) -> tuple[float, Subproblem]:
    """Divide both weights by the larger one, which avoids over- and underflow; return it, and the problem."""
    energy = problem.energy
    largest = max(energy.eta, energy.lam) or 1.0
    energy = replace(energy, eta=energy.eta / largest, lam=energy.lam / largest)
    if energy.eta == 0:  # without a unary, neither the labels nor the way to them may depend on its kind
        energy = replace(energy, cross_entropy="Q")
    return largest, replace(problem, energy=energy)


def _group_size(problem: Subproblem, options: FastOptions, has_callback: bool) -> int:
    """Return the number of images to solve together.

    On the grid, all of them fill a GPU, and with `side_by_side` a few small ones fill long rows on the CPU. Otherwise each
    image is solved alone, but for coarser grids: it fits the CPU's cache, and lists of edges and active classes differ.
    """
    batch, num_classes, _, width = problem.sigma.shape
    together = options.active_classes == 0 and problem.edges.on_grid
    if together and problem.sigma.device.type == "cuda":
        return batch
    in_rows = options.side_by_side and not has_callback and num_classes <= FEW_CLASSES and takes_numba(options.kernel)
    return max(1, LONG_ROW // width) if together and in_rows else 1


def _parts(problem: Subproblem, options: FastOptions, size: int, has_callback: bool) -> list[slice]:
    """Return the images that each of torch's threads solves; all of them in one part if they are solved one after another.

    Within an image threads wait for each other after every sweep, and torch's own between short loops; images are independent.
    """
    count, numbers = len(problem.sigma), problem.sigma[:size].numel()
    groups = -(-count // size)
    parts = min(torch.get_num_threads(), groups, IN_FLIGHT // numbers, problem.sigma.numel() // WORTH_A_THREAD)
    compiled = problem.edges.listed and problem.sigma.device.type == "cpu" and takes_numba(options.kernel)
    if parts <= 1 or not compiled or has_callback or options.progress is not None:
        return [slice(0, count)]
    return [
        slice(size * first, size * last)
        for first, last in itertools.pairwise(groups * n // parts for n in range(parts + 1))
    ]


def _descent_of(
    edges: Edges, kernel: str, device: torch.device, in_rows: bool
) -> "Callable[..., ListedDescent | DenseDescent]":
    """Return the constructor of the descent, to call with (problem, start, threshold, report, detour, coarse)."""
    if not edges.listed:
        if kernel not in ("auto", "torch"):
            raise ValueError(f'kernel={kernel!r} needs a list of edges; on dense neighbourhoods take kernel="torch"')
        return DenseDescent
    return partial(ListedDescent, kernel_of(kernel, device, edges.on_grid), in_rows)
