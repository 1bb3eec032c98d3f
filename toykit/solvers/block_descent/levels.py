"""Levels of the fast solver: start from the solution on coarser grids, so that labels cross a large image in few sweeps.

A sweep moves information by a few pixels. Where the predictions do not decide (untrained networks, eta near 0), labels have to
travel from the seeds through the whole image, and their energy falls too slowly to notice that they still do. On cells of 2, 4,
8, ... pixels the way is 2, 4, 8, ... times shorter:

1. the sub-problem is restricted to cells of 2 x 2 pixels, and again, until the shorter side has about `SMALLEST` cells;
2. the coarsest one is solved from its predictions; its labels, interpolated, are the start on the next finer grid; and so on;
3. the labels of the cells of 2 x 2 pixels, interpolated, are the start on the image, if their energy is below that of the
   predictions. The descent then takes its usual sweeps, with its usual test of convergence.

The energy of a cell stands for a quarter of its pixels' sum. Hence an edge between two cells weighs a quarter of the sum of the
edges that cross their boundary, the unary of CE takes the mean of the logits, and that of the others the mean of the
predictions (exact for RCE and Q up to a constant). These sums are exact for labels that are equal in each cell. Where labels
change evenly over many cells, the relaxations that are quadratic in small differences cost half as much: they keep half of lam
from level to level (`SOFT`). Seeds are pooled by `toykit.energy.cells`: a cell with a seed is a seed.

Where predictions decide, the coarse labels are no better than the predictions after a few sweeps, and for some relaxations
they lead to a worse local minimum. So the cells of 4 x 4 pixels are a trial: unless the labels that come from coarser cells
have less energy there than the predictions after `TRIAL` sweeps, the descent starts from the predictions, as without levels.

An image of more than `LARGE` pixels starts from the labels of its cells of 2 x 2 pixels in any case, without a trial: they
are solved in the same way, so a photo of 12 megapixels passes through 3, 0.75 and 0.19. The sweeps on Q, which precede those
on the relaxation, are then needed on the coarsest grid only, and a few sweeps are left on the image.

For the relaxations in `SOFT` they are needed on the coarsest grid only, on images of any size: on photos the final energy was
0.03% above that with them on each grid (at most 0.2%), in a third to three quarters of the time. BL and CCE ended up to 10%
higher.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import product, repeat

import torch
import torch.nn.functional as F
from torch import Tensor

from toykit.conventions import PADDING
from toykit.energy import Subproblem
from toykit.energy.cells import cell_logits, cell_photo, cell_seeds, cell_size, to_pixels
from toykit.neighborhoods import Edges, GridEdges
from toykit.simplex import extended_log, softmax
from toykit.solvers.block_descent.descent import Descent, restrict_to_active, set_seeds

#: Least number of cells along the shorter side of the coarsest grid, and least number of pixels of an image, with "auto".
SMALLEST, LEAST_PIXELS = 8, 128 * 128
#: Number of pixels above which an image starts from its cells of 2 x 2 pixels without a trial.
LARGE = 512 * 512
#: Numbers in the labels of the images whose coarser grids are solved together.
TOGETHER = 2**24
#: Least `pull` of the predictions, with "auto": from there on a trial would cost time and hardly ever succeed.
LEAST_PULL = 1e-3
#: The share of the pairwise weight that is left on the next coarser grid; 1 for relaxations that are not listed.
SOFT = {"Q": 1 / 2, "NQ": 1 / 2, "CD": 1 / 2, "LQ": 1 / 2}
#: Tolerance and largest number of sweeps on each coarser grid. For `SOFT` relaxations the tolerance is at least `LOOSE` times
#: that of the image; BL, which is not among them, would end up to 0.2% higher.
COARSE_TOLERANCE, LOOSE, COARSE_SWEEPS = 1e-4, 0.3, 40
#: Sweeps from the predictions with which the trial compares.
TRIAL = 4
#: Terms for which no levels are used: BL is concave, and with these unaries, which pull undecided labels towards undecided
#: predictions, it ended up to 60% above the descent from the predictions, in other local minima.
WITHOUT_LEVELS = {("Q", "BL"), ("RCE", "BL")}
#: Makes a descent of a sub-problem from given labels. detour: whether sweeps on Q may come first; coarse: `start_from_levels`.
MakeDescent = Callable[..., Descent]


def number_of_levels(levels: int | str, problem: Subproblem) -> int:
    """Return the number of coarser grids.

    Parameters
    ----------
    levels : int or "auto"
        As in `toykit.solvers.FastOptions`.
    problem : Subproblem
        Of B images.

    Returns
    -------
    int
        At most as many as leave `SMALLEST` cells along the shorter side. With "auto", 0 for images of few pixels; where the
        predictions decide (`pull`), as many as leave at most `LARGE` cells.
    """
    energy, size = problem.energy, problem.sigma.shape[2:]
    if (energy.cross_entropy, energy.relaxation) in WITHOUT_LEVELS or not problem.edges.on_grid:
        return 0
    fitting = 0
    while min(cell_size(size, 2 ** (fitting + 1))) >= SMALLEST:
        fitting += 1
    if isinstance(levels, int):
        return min(levels, fitting)
    if size[0] * size[1] >= LEAST_PIXELS and bool((pull(problem) < LEAST_PULL).any()):
        return fitting
    halvings = 0
    while halvings < fitting and math.prod(cell_size(size, 2**halvings)) > LARGE:
        halvings += 1
    return halvings


def is_large(problem: Subproblem) -> bool:
    """Return whether images have more than `LARGE` pixels."""
    return math.prod(problem.seeds.shape[1:]) > LARGE


def pull(problem: Subproblem) -> Tensor:
    """Compute how strongly predictions decide labels, against the pairwise term, per image: (B,), at least 0.

    This is eta / lam times (K mean_i sigma_i.sigma_i - 1) / (K - 1), which is 0 for uniform predictions and eta / lam for
    certain ones. The mean is that of every fourth unlabelled pixel of every fourth row.
    """
    energy, num_classes = problem.energy, problem.sigma.shape[1]
    if energy.lam == 0:
        return problem.sigma.new_full((len(problem.sigma),), float("inf"))
    free = problem.unlabelled[:, ::4, ::4]
    squares = problem.sigma[:, :, ::4, ::4].square().sum(1)
    mean = squares.where(free, 0).flatten(1).sum(1) / free.flatten(1).sum(1).clamp_min(1)
    return energy.eta / energy.lam * ((num_classes * mean - 1) / max(1, num_classes - 1)).clamp_min(0)


def coarse_starts(
    problem: Subproblem, levels: int, size: int, threshold: float, tolerance: float, descent_of: MakeDescent
) -> Iterator[tuple[Tensor, Tensor] | None]:
    """Iterate over groups of images and solve their coarser sub-problems; see `start_from_levels`.

    On coarse grids most of the time goes into calls. So those of several groups are solved together.

    Parameters
    ----------
    problem : Subproblem
        Of B images.
    levels : int
        Number of coarser grids, at least 1.
    size : int
        Number of images in a group.
    threshold : float
        Least probability of an active class: above 0, a group's labels are on its active classes only, see `Descent`.
    tolerance, descent_of : float, callable
        As for `start_from_levels`.

    Yields
    ------
    tuple of Tensor, or None
        `start_from_levels` for the group; None where the trial failed on all of its images.
    """
    together = 1 if threshold or size > 1 else max(1, TOGETHER // problem.sigma[0].numel())
    for first in range(0, len(problem.sigma), size * together):
        some = problem[first : first + size * together]
        found = start_from_levels(_active(some, threshold), levels, tolerance, descent_of)
        if found is None:
            yield from repeat(None, math.ceil(len(some.sigma) / size))
            continue
        parts = [part if bool(part[1].any()) else None for part in zip(*(x.split(size) for x in found), strict=True)]
        del found
        while parts:  # no name holds a part while its group descends: of a large photo every copy counts
            yield parts.pop(0)


def _active(problem: Subproblem, threshold: float) -> Subproblem:
    """Return the sub-problem on its active classes; of all classes with a threshold of 0."""
    if threshold == 0:
        return problem
    return restrict_to_active(problem, set_seeds(problem, problem.sigma.clone()), threshold)[1]


def start_from_levels(
    problem: Subproblem, levels: int, tolerance: float, descent_of: MakeDescent
) -> tuple[Tensor, Tensor] | None:
    """Solve coarser sub-problems; return labels to start from.

    Parameters
    ----------
    problem : Subproblem
        Of B images, on the edges of a grid.
    levels : int
        Number of coarser grids, at least 1.
    tolerance : float
        With which the image will be solved.
    descent_of : callable
        Makes the descent of a coarser sub-problem from given labels.

    Returns
    -------
    labels : Tensor, float (B, K, ceil(H / 2), ceil(W / 2))
        Of the cells of 2 x 2 pixels, see `prolong`; the predictions where the trial failed.
    better : Tensor, bool (B,)
        The images on which it succeeded; None instead of both if there are none.
    """
    cells = coarsen(problem)
    better = torch.ones(len(problem.sigma), dtype=torch.bool, device=problem.sigma.device)
    if is_large(problem):
        return _solve(cells, _predictions(cells), tolerance, descent_of, levels=levels - 1), better
    grids = [cells]
    while len(grids) < levels:
        grids.append(coarsen(grids[-1]))
    trial = min(1, levels - 2)
    labels = _solve(grids[-1], _predictions(grids[-1]), tolerance, descent_of)
    for number in range(levels - 2, -1, -1):
        labels = prolong(labels, grids[number])
        if number == trial:
            better = _below_predictions(grids[number], labels, descent_of)
            if not bool(better.any()):
                return None
            if not bool(better.all()):
                chosen = better.nonzero()[:, 0]
                labels, grids = labels[chosen], [grid[chosen] for grid in grids[: number + 1]]
        labels = _solve(grids[number], labels, tolerance, descent_of, detour=problem.energy.relaxation not in SOFT)
    whole = _predictions(cells)
    whole[better] = labels
    return whole, better


def coarsen(problem: Subproblem) -> Subproblem:
    """Restrict a sub-problem on a grid to cells of 2 x 2 pixels; its energy is about a quarter, see the top of this file.

    Parameters
    ----------
    problem : Subproblem
        Of B images (H, W), on the edges of a grid.

    Returns
    -------
    Subproblem
        Of B images (ceil(H / 2), ceil(W / 2)).
    """
    logarithmic = problem.energy.cross_entropy == "CE"
    marks = problem.seeds
    pooled, image = cell_logits(problem.logits if logarithmic else problem.sigma, marks, 2), problem.image
    image, seeds = cell_photo(image, marks, 2).to(pooled.dtype), cell_seeds(marks, pooled.shape[1], 2)
    # padding gets labels in the simplex, too: interpolation reaches it from the cells beside it
    pooled = pooled.where((seeds != PADDING)[:, None], 0 if logarithmic else 1 / pooled.shape[1])
    logits, sigma = (pooled, softmax(pooled)) if logarithmic else (extended_log(pooled), pooled)
    edges = coarse_edges(problem.edges, problem.seeds.shape[1:])
    energy = replace(problem.energy, lam=problem.energy.lam * SOFT.get(problem.energy.relaxation, 1.0))
    return replace(problem, energy=energy, logits=logits, sigma=sigma, image=image, seeds=seeds, edges=edges)


def coarse_edges(edges: Edges, size: Sequence[int]) -> GridEdges:
    """Return the edges between cells of 2 x 2 pixels: a quarter of the sum of the edges that cross their boundary.

    Parameters
    ----------
    edges : GridEdges
        Of B images.
    size : sequence of int
        H and W of the images.

    Returns
    -------
    GridEdges
        With the same offsets. Edges between two pixels of a cell are left out: they cost nothing for equal labels.

    Raises
    ------
    TypeError
        For edges other than a grid's.
    """
    if not isinstance(edges, GridEdges):
        raise TypeError(f"expected the edges of a grid, got {type(edges).__name__}")
    height, width = cell_size(size, 2)
    totals = {offset: edges.weights[0].new_zeros(len(edges.weights[0]), height, width) for offset in edges.offsets}
    for (dy, dx), weight in zip(edges.offsets, edges.weights, strict=True):
        left = max(0, -dx)
        at_first = F.pad(weight, (left, 2 * width - left - weight.shape[2], 0, 2 * height - weight.shape[1]))
        for row, column in product((0, 1), (0, 1)):  # of an edge's first end in its cell
            crossing, offset = at_first[:, row::2, column::2], ((row + dy) // 2, (column + dx) // 2)
            if offset == (0, -1):  # the cell to the left; counted from there
                crossing, offset = crossing.roll(-1, 2), (0, 1)
            if offset != (0, 0):
                totals[offset] += crossing
    weights = (total[:, : height - dy, max(0, -dx) : width - max(0, dx)] / 4 for (dy, dx), total in totals.items())
    return GridEdges(edges.offsets, tuple(weights))


def prolong(labels: Tensor, problem: Subproblem) -> Tensor:
    """Interpolate labels of cells of 2 x 2 pixels at a sub-problem's pixels, bilinearly, with its seeds fixed."""
    return set_seeds(problem, to_pixels(labels, problem.seeds.shape[1:], 2).contiguous())


def _predictions(problem: Subproblem) -> Tensor:
    """Return the predictions as labels in the simplex; on active classes only, their sum is below 1."""
    return problem.sigma / problem.sigma.sum(1, keepdim=True)


def _solve(
    problem: Subproblem, start: Tensor, tolerance: float, descent_of: MakeDescent, detour: bool = True, levels: int = 0
) -> Tensor:
    """Return the labels of a coarser sub-problem, loosely converged."""
    coarse = start_from_levels(problem, levels, tolerance, descent_of) if levels else None
    run = descent_of(problem, set_seeds(problem, start), detour=detour, coarse=coarse)
    loose = LOOSE * tolerance if problem.energy.relaxation in SOFT else 0.0
    run.descend(max(COARSE_TOLERANCE, loose), COARSE_SWEEPS)
    return run.labels()


def _below_predictions(problem: Subproblem, labels: Tensor, descent_of: MakeDescent) -> Tensor:
    """Return whether labels have less energy than the predictions after `TRIAL` sweeps, bool (B,)."""
    local = descent_of(problem, set_seeds(problem, _predictions(problem)), detour=False)
    local.descend(0.0, TRIAL)
    return descent_of(problem, labels, detour=False).trace[0] < local.trace[-1]
