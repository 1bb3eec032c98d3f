"""The fast solver on dense neighbourhoods: accelerated proximal steps, one filtering each, monotone.

With W = (w_ij) and the degrees d_i, the pairwise term is y.(D - W)y / 2 for Q and, up to a constant, -y.W y / 2 for BL. A
Gaussian of distances is a positive definite function, and so is the filter that stands for it, S B S^T with 1 on its diagonal:
W + I is positive semi-definite, in its exact form and in its approximate one. Hence curvatures for each pixel on its own,

    D - W  <=  D + I   (Q)            -W  <=  I   (BL),

with which the quadratic above the energy at any x touches it there: its minimiser, together with the cross-entropy as it is
(`toykit.solvers.block_descent.proximal`), lies no higher than x. BL's step is d_i times as long as Q's: BL is almost concave, and its labels
go straight to a vertex.

The next x is ahead of y, by Nesterov's momentum. The filter is linear: W x follows from W y of the last two steps, and the one
filtering of the new y gives both its energy and the next gradient. Where the energy would rise, the step is cut, along
which the filtered labels are known too, and the momentum starts again from nothing; so no step leads up.
"""

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.simplex import extended_log
from toykit.solvers.block_descent.descent import Descent, relative_decrease
from toykit.solvers.block_descent.proximal import project, prox_collision, prox_reverse

#: Lengths at which a step is tried.
LENGTHS = (1.0, 0.5, 0.25)
#: Steps of the proximal maps' search: labels move far, and a step costs little beside the filter.
SEARCH = 10


class DenseDescent(Descent):
    """One image's labels y, the pairwise term's flow (D - W) y beside them, and both of the step before."""

    def __init__(self, problem: Subproblem, start: Tensor, threshold: float, report):
        super().__init__(problem, start, threshold, report)
        self.degree = self.problem.edges.degree()
        self.y, self.flow = self.first, self.problem.edges.laplacian(self.first)
        self.begin(self.energy(self.y, self.flow))

    def current(self) -> Tensor:
        return self.y

    def energy(self, y: Tensor, flow: Tensor) -> Tensor:
        """The energy (1,), float64, without the constant, of labels and their flow."""
        terms = self.problem.energy
        centred = y - y.mean((2, 3), keepdim=True)
        pairs = _sum(centred * flow).clamp_min(0) / 2
        if terms.relaxation == "BL":
            pairs = pairs + _sum(self.degree * (1 - y.square().sum(1))) / 2
        return terms.eta * self.problem.unary(y).double() + terms.lam * pairs - self.between_seeds

    def descend(self, tolerance: float, max_steps: int) -> None:
        """Steps until a plain one, without momentum, or a whole one with it, gains next to nothing."""
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
        """Go towards the goal while the energy falls; returns the share of the way (0: none leads down) and the energy."""
        flow = self.problem.edges.laplacian(goal)
        for length in LENGTHS:
            y, along = self.y + length * (goal - self.y), self.flow + length * (flow - self.flow)
            energy = self.energy(y, along)
            if bool(energy < self.trace[-1]):
                self.y, self.flow = y, along
                return length, energy
        return 0.0, self.trace[-1]

    def _step(self, x: Tensor, flow: Tensor) -> Tensor:
        """The minimiser of the cross-entropy and the quadratic that lies above the pairwise term and touches it at x."""
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
        # one number taken from all of a pixel's classes changes nothing on the simplex but the rounding
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
    """Of each image, in float64."""
    return x.double().flatten(1).sum(1)
