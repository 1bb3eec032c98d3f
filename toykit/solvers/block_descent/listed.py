"""Over-relaxed block descent on listed edges, monotone by construction. On the grid the blocks are four colours.

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
not needed where NQ, LQ and CD start from coarser grids, see `toykit.solvers.block_descent.levels`).
CD and CCE begin on a Q with less of the unary, that is, with more smoothing (`UNARY_SHARE`). On an image
where this ends above the start, the descent is repeated without them.

Three kernels do the same arithmetic: torch (any device), numba (the CPU, where numba is installed; several times faster) and
Triton (grids on a CUDA device, where Triton is installed).
"""

from dataclasses import replace

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.solvers.block_descent.descent import Descent, relative_decrease
from toykit.solvers.block_descent.levels import SOFT, is_large, prolong
from toykit.solvers.layouts.edge_list import EdgeListProblem, list_edges
from toykit.solvers.layouts.four_colour_grid import FourColourGrid, pack

#: Over-relaxation factor; largest number of warm-up sweeps on Q; relative decrease below which the warm-up stops.
OMEGA, WARM_UP, WARM_UP_TOLERANCE = 1.75, 12, 0.005
#: The share of eta in the warm-up; 1 for relaxations that are not listed. On photos, a smaller share gives CD and CCE a lower
#: final energy on average (slightly lower on the grid, a tenth lower for CCE with far edges), though not on every photo. NQ and
#: LQ reach the same energy, sooner with the full unary. BL is lower on some photos and higher on others.
UNARY_SHARE = {"CD": 1 / 2, "CCE": 1 / 100}
#: Sweeps between convergence checks on a GPU; each check synchronises.
POLL = 8


class ListedDescent(Descent):
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
        (self.sweep_of, self.energy_of), self.detour, self.from_cells = kernels, detour, False
        self.known: Tensor | None = None  # the energy of the labels
        if coarse is not None:  # before the layout needs its memory
            coarse = prolong(coarse[0], self.problem), coarse[1]
        self.layout = self._lay_out(in_rows)
        energy = self.energy()
        self.takes_detour = torch.full_like(energy, detour, dtype=torch.bool)
        self.begin(energy if coarse is None else self._start_from(*coarse, energy))

    def _start_from(self, labels: Tensor, better: Tensor, energy: Tensor) -> Tensor:
        """Take coarse labels on the `better` images where they have less than the energy (B,); return the lower one."""
        self._restore(labels, better)
        now = self.energy()
        below = now < energy
        if not bool(below.all()):
            labels = torch.where(below[:, None, None, None], labels, self.first())
            self._restore(labels, ~below)
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
        known = self.known
        if known is None:
            terms = self.problem.energy
            known = self.known = self.energy_of(self.layout, terms.cross_entropy, terms.relaxation, terms.eta)
        return known

    def _sweep(self, x: FourColourGrid | EdgeListProblem, relaxation: str, eta: float) -> Tensor:
        """Move all labels once; return the change of the energy with that relaxation and eta (B,).

        x: the layout, without free pixels in frozen images.
        """
        self.known = None
        return self.sweep_of(x, self.problem.energy.cross_entropy, relaxation, eta, OMEGA)

    def _restore(self, labels: Tensor, images: Tensor) -> None:
        """Replace the labels of some images, bool (B,)."""
        self.known = None
        self.layout.restore(labels, images)

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
                self._restore(self.first(), above)
                self.residual[above] = torch.inf
        self._run(tolerance, sweeps)
        last = self.energy()
        if not self.from_cells:
            if bool((last > start).any()):  # stopped on a detour, or rounding
                self._restore(self.first(), last > start)
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
            change = self._sweep(x, "Q", eta)
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
            change = self._sweep(x, terms.relaxation, terms.eta)
            now = now + change
            self.residual = torch.where(moving, relative_decrease(change, now, rounding), self.residual)
            moving = moving & (self.residual > tolerance)
            if freezes:
                x.free.mul_(x.at_pixels(moving))  # an image that has converged is frozen, in this copy
            self.trace.append(torch.minimum(self.trace[-1], now))
            self.notify()
            if (now.device.type != "cuda" or len(self.trace) % POLL == 0) and not bool(moving.any()):
                break
