"""The fast solver on dense neighbourhoods: accelerated proximal steps, one filtering each, monotone.

With W = (w_ij) and the degrees d_i, the pairwise term is y.(D - W)y / 2 for Q and, up to a constant, -y.W y / 2 for BL. A
Gaussian of distances is a positive definite function, and so is the filter that approximates it, S B S^T with 1 on its
diagonal: W + I is positive semi-definite, exact or approximate. This gives a curvature for each pixel,

    D - W  <=  D + I   (Q)            -W  <=  I   (BL),

and with it a quadratic that lies above the pairwise term and touches it at x. The minimiser of this quadratic plus the exact
cross-entropy (`toykit.solvers.block_descent.proximal`) has an energy no higher than that of x. BL's step is d_i times as long
as Q's: BL is almost concave, and its labels move straight to a vertex.

The next x is ahead of y, by Nesterov's momentum. The filter is linear: W x follows from W y of the last two steps, and one
filtering of the new y gives both its energy and the next gradient. Where the energy would rise, the step is shortened, which
needs no further filtering, and the momentum is reset; so no step raises the energy.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.simplex import extended_log
from toykit.solvers.block_descent.descent import Descent, relative_decrease
from toykit.solvers.block_descent.proximal import project, prox_collision, prox_reverse

#: Lengths at which a step is tried.
LENGTHS = (1.0, 0.5, 0.25)
#: Steps of the search in the proximal maps: labels move far, and a step of the search costs little beside the filter.
SEARCH = 10


class DenseDescent(Descent):
    """The descent of one image's labels y; it keeps the pairwise term's flow (D - W) y with them.

    It takes no detour, and `coarse` is None.
    """

    def __init__(
        self,
        problem: Subproblem,
        start: Tensor,
        threshold: float,
        report: Callable[[int, "Descent"], bool],
        detour: bool = False,
        coarse: None = None,
    ):
        super().__init__(problem, start, threshold, report)
        self.degree = self.problem.edges.degree()
        self.y = self.first()
        self.flow = self.problem.edges.laplacian(self.y)
        self.begin(self.energy(self.y, self.flow))

    def current(self) -> Tensor:
        return self.y.clone()

    def energy(self, y: Tensor, flow: Tensor) -> Tensor:
        """Return the energy (1,), float64, without the constant, of labels and their flow."""
        terms = self.problem.energy
        centred = y - y.mean((2, 3), keepdim=True)
        pairs = _sum(centred * flow).clamp_min(0) / 2
        if terms.relaxation == "BL":
            pairs = pairs + _sum(self.degree * (1 - y.square().sum(1))) / 2
        return terms.eta * self.problem.unary(y).double() + terms.lam * pairs - self.between_seeds

    def descend(self, tolerance: float, max_steps: int) -> None:
        """Take steps until one is converged: a step of full length, or one without momentum, that gains too little."""
        y, flow, momentum = self.y, self.flow, 1.0
        rounding = torch.finfo(y.dtype).eps * self.trace[0].abs()
        stop = self.notify()
        while not stop and len(self.trace) <= max_steps:
            following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
            ahead = (momentum - 1) / following
            goal = self._step(self.y + ahead * (self.y - y), self.flow + ahead * (self.flow - flow))
            before = self.y, self.flow
            length, energy = self._move(goal)
            (y, flow), momentum = (before, following) if length == 1 else ((self.y, self.flow), 1.0)
            self.trace.append(energy)
            if length == 1 or ahead == 0:
                self.residual = relative_decrease(energy - self.trace[-2], energy, rounding)
            stop = self.notify() or bool((self.residual <= tolerance).all())

    def _move(self, goal: Tensor) -> tuple[float, Tensor]:
        """Move towards the goal as far as the energy falls; return the share of the way (0: not at all) and the energy."""
        flow = self.problem.edges.laplacian(goal)
        for length in LENGTHS:
            y, along = self.y + length * (goal - self.y), self.flow + length * (flow - self.flow)
            energy = self.energy(y, along)
            if bool(energy < self.trace[-1]):
                self.y, self.flow = y, along
                return length, energy
        return 0.0, self.trace[-1]

    def _step(self, x: Tensor, flow: Tensor) -> Tensor:
        """Return the minimiser of the cross-entropy plus the quadratic that touches the pairwise term at x from above."""
        terms, sigma = self.problem.energy, self.problem.sigma
        if terms.relaxation == "BL":
            gradient, curvature = terms.lam * (flow - self.degree[:, None] * x), torch.full_like(self.degree, terms.lam)
        else:
            gradient, curvature = terms.lam * flow, terms.lam * (self.degree + 1)
        curvature = curvature.clamp_min(1e-3 * terms.eta + 1e-12)[:, None]
        if terms.cross_entropy == "CE":
            gradient = gradient - terms.eta * extended_log(sigma)
        elif terms.cross_entropy == "Q":
            gradient, curvature = gradient + 2 * terms.eta * (x - sigma), curvature + 2 * terms.eta
        # on the simplex, a number subtracted from all of a pixel's classes only reduces the rounding
        point = x - (gradient - gradient.amin(1, keepdim=True)) / curvature
        kappa = terms.eta / curvature
        if terms.cross_entropy == "CCE":
            goal = prox_collision(point[:, None].flatten(3), sigma[:, None].flatten(3), kappa.flatten(2), SEARCH)
        elif terms.cross_entropy == "RCE":
            goal = prox_reverse(point[:, None].flatten(3), sigma[:, None].flatten(3), kappa.flatten(2), SEARCH)
        else:
            goal = project(point[:, None].flatten(3), SEARCH)
        return self.problem.fix_seeds(goal[:, 0].view_as(x))


def _sum(x: Tensor) -> Tensor:
    """Return the sum over each image, in float64."""
    return x.double().flatten(1).sum(1)
