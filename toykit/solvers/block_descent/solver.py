"""The fast solver: over-relaxed block descent, monotone by construction. On the grid the blocks are four colours.

The paper takes 200 steps of gradient descent on logits, by autograd. Here a quarter of the pixels, none a neighbour of another,
moves at once towards its exact proximal step while the rest is held fixed (`toykit.solvers.layouts.four_colour_grid`); then the
next quarter moves. Five ideas make this fast:

- gradients from three products per pair (`toykit.solvers.block_descent.scalar_forms`): no autograd, no softmax, and labels can
  reach a vertex;
- a separate step length for each pixel, from a majoriser; the cross-entropy enters by its exact proximal map;
- steps 1.75 times as long (successive over-relaxation): the number of sweeps grows as the square root of the condition number;
- a line search of a pixel's own energy, which has a closed form along its step: a pixel whose energy would rise moves less far
  or not at all, so the whole energy never rises beyond rounding, whatever the relaxation and the input;
- classes that occur neither in a row of pixels nor among its neighbours are skipped (in the numba kernel).

Relaxations other than Q begin with a few sweeps on Q, which is convex: this escapes poor local minima near the start (and is
not needed where NQ, LQ and CD start from coarser grids, see below).
CD and CCE begin on a Q with less of the unary, that is, with more smoothing (`UNARY_SHARE`). On an image
where this ends above the start, the descent is repeated without them.

Sweeps move labels by a few pixels each. On large images, and where predictions decide little, the descent therefore starts from
labels of coarser grids (`toykit.solvers.block_descent.levels`).

Three kernels do the same arithmetic: torch (any device), numba (the CPU, where numba is installed; several times faster) and
Triton (grids on a CUDA device, where Triton is installed). With numba the images of a batch are divided among torch's threads.
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
from toykit.solvers.block_descent.descent import Descent, check_simplex, relative_decrease, set_seeds
from toykit.solvers.block_descent.kernels import kernel_of, takes_numba
from toykit.solvers.block_descent.levels import SOFT, coarse_starts, is_large, number_of_levels, prolong
from toykit.solvers.block_descent.options import FastOptions
from toykit.solvers.block_descent.outcome import Outcome, join
from toykit.solvers.layouts.edge_list import EdgeListProblem, list_edges
from toykit.solvers.layouts.four_colour_grid import FourColourGrid, pack
from toykit.solvers.solution import Solution

#: Over-relaxation factor; largest number of warm-up sweeps on Q; relative decrease below which the warm-up stops.
OMEGA, WARM_UP, WARM_UP_TOLERANCE = 1.75, 12, 0.005
#: The share of eta in the warm-up; 1 for relaxations that are not listed. On photos, a smaller share gives CD and CCE a lower
#: final energy on average (slightly lower on the grid, a tenth lower for CCE with far edges), though not on every photo. NQ and
#: LQ reach the same energy, sooner with the full unary. BL is lower on some photos and higher on others.
UNARY_SHARE = {"CD": 1 / 2, "CCE": 1 / 100}
#: Side by side: the largest number of classes of an image, and of pixels that images may fill together in a row.
FEW_CLASSES, LONG_ROW = 8, 1024
#: Sweeps between convergence checks on a GPU; each check synchronises.
POLL = 8
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
        given = None if start is None else start[group]
        run = descent(problem[group], given, options.active_classes, report, start is None, next(starts))
        run.descend(tolerance, options.max_steps)
        return Outcome.of(run)

    outcomes = [outcome for part in in_threads(solve, parts) for outcome in part]
    return join(outcomes, scale, tolerance, problem.sigma, options.active_classes > 0)


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


class _Descent(Descent):
    """The descent of labels in the layout of their edges.

    kernels: sweep and energy. in_rows: whether several images lie side by side. detour: whether sweeps on Q may
    precede those on the relaxation. coarse: from `start_from_levels`.
    """

    def __init__(
        self,
        kernels,
        in_rows: bool,
        problem: Subproblem,
        start: Tensor | None,
        threshold: float,
        report,
        detour: bool,
        coarse: tuple[Tensor, Tensor] | None = None,
    ):
        super().__init__(problem, start, threshold, report)
        (self.sweep, self.energy_of), self.detour, self.from_cells = kernels, detour, False
        if coarse is not None:  # before the layout needs its memory
            coarse = prolong(coarse[0], self.problem), coarse[1]
        self.layout = self._lay_out(in_rows)
        energy = self.energy()
        self.takes_detour = torch.full_like(energy, detour, dtype=torch.bool)
        self.begin(energy if coarse is None else self._start_from(*coarse, energy))

    def _start_from(self, labels: Tensor, better: Tensor, energy: Tensor) -> Tensor:
        """Take coarse labels on the `better` images where they have less than the energy (B,); return the lower one."""
        self.layout.restore(labels, better)
        now = self.energy()
        below = now < energy
        if not bool(below.all()):
            labels = torch.where(below[:, None, None, None], labels, self.first())
            self.layout.restore(labels, ~below)
        self.from_coarser, large = int(below.sum()), is_large(self.problem)
        if large or self.problem.energy.relaxation in SOFT:
            self.takes_detour &= ~below
        self.from_cells = large and self.from_coarser == len(below)
        if not self.from_cells:  # else nothing will lead back to these labels: they are not kept
            self.given = labels
        return torch.where(below, now, energy)

    def _lay_out(self, in_rows: bool) -> FourColourGrid | EdgeListProblem:
        """Return the sub-problem with its first labels in the layout of its edges."""
        if not self.problem.edges.on_grid:
            return list_edges(self.problem, self.first())
        grid = pack(self.problem, self.first())  # which releases them as soon as it can
        return grid.side_by_side() if in_rows and len(self.problem.sigma) > 1 else grid

    def energy(self) -> Tensor:
        """Compute the energy (B,), float64, without the constant."""
        terms = self.problem.energy
        return self.energy_of(self.layout, terms.cross_entropy, terms.relaxation, terms.eta)

    def current(self) -> Tensor:
        return self.layout.unpack()

    def descend(self, tolerance: float, max_steps: int) -> None:
        """Sweep until the energy stops changing, or the callback or max_steps ends it; never above the start."""
        start, terms, sweeps = self.trace[0], self.problem.energy, max_steps
        detour = self.detour and terms.relaxation != "Q" and terms.lam > 0 and max_steps >= 2 * WARM_UP
        if not self.notify() and detour:
            # the same shares of the sweeps whatever other images of the group need
            first = min(max_steps - 1, max(max_steps // 2, WARM_UP + 4)) - WARM_UP
            sweeps = max_steps - WARM_UP - first
            some = bool(self.takes_detour.any())
            if some:
                self._warm_up()
            self._run(tolerance, first)
            above = self.takes_detour & (self.energy() > start) if some else self.takes_detour
            if bool(above.any()):  # the sweeps on Q increased the energy: those images start again without them
                self.layout.restore(self.first(), above)
                self.residual[above] = torch.inf
        self._run(tolerance, sweeps)
        last = self.energy()
        if not self.from_cells:
            if bool((last > start).any()):  # stopped on a detour, or rounding
                self.layout.restore(self.first(), last > start)
            last = torch.minimum(last, start)
        # the trace adds up the changes that the line search computed; the energy itself contains their rounding errors
        self.trace = [torch.maximum(t, last) for t in self.trace]
        self.trace[-1] = last

    def _warm_up(self) -> None:
        """Sweep on Q, as long as the energy changes much."""
        terms, total = self.problem.energy, torch.zeros_like(self.trace[0])
        eta = terms.eta * UNARY_SHARE.get(terms.relaxation, 1.0)
        x = replace(self.layout, free=self.layout.free * self.layout.at_pixels(self.takes_detour))
        for _ in range(WARM_UP):
            change = self.sweep(x, terms.cross_entropy, "Q", eta, OMEGA)
            total = total + change
            self.trace.append(self.trace[-1])
            on_gpu = change.device.type == "cuda"
            moving = change < WARM_UP_TOLERANCE * total  # both are negative
            if self.notify() or (not on_gpu and not bool(moving.any())):
                break
            if len(moving) > 1 and not on_gpu:
                x.free.mul_(x.at_pixels(moving))

    def _run(self, tolerance: float, sweeps: int) -> None:
        """Sweep on the images that have not converged until the energy of each stops changing, at most so many times."""
        terms, moving = self.problem.energy, self.residual > tolerance
        if not bool(moving.any()):
            return
        # a single image ends the sweeps when it has converged; on a GPU that is noticed some sweeps later
        freezes = moving.device.type == "cuda" or len(moving) > 1
        x = replace(self.layout, free=self.layout.free * self.layout.at_pixels(moving)) if freezes else self.layout
        now = self.energy() if len(self.trace) > 1 else self.trace[0]
        rounding = torch.finfo(self.problem.sigma.dtype).eps * self.trace[0].abs()
        end = len(self.trace) + sweeps
        while len(self.trace) < end and not self.stopped:
            change = self.sweep(x, terms.cross_entropy, terms.relaxation, terms.eta, OMEGA)
            now = now + change
            self.residual = torch.where(moving, relative_decrease(change, now, rounding), self.residual)
            moving = moving & (self.residual > tolerance)
            if freezes:
                x.free.mul_(x.at_pixels(moving))  # an image that has converged is frozen, in this copy
            self.trace.append(torch.minimum(self.trace[-1], now))
            self.notify()
            if (now.device.type != "cuda" or len(self.trace) % POLL == 0) and not bool(moving.any()):
                break


def _descent_of(
    edges: Edges, kernel: str, device: torch.device, in_rows: bool
) -> "Callable[..., _Descent | DenseDescent]":
    """Return the constructor of the descent, to call with (problem, start, threshold, report, detour, coarse)."""
    if not edges.listed:
        if kernel not in ("auto", "torch"):
            raise ValueError(f'kernel={kernel!r} needs a list of edges; on dense neighbourhoods take kernel="torch"')
        return DenseDescent
    return partial(_Descent, kernel_of(kernel, device, edges.on_grid), in_rows)
