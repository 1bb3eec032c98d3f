"""Hard pseudo-labels for any neighbourhood, dense ones too: mean field, then each pixel's most likely class.

Mean field approximates the Gibbs distribution exp(-E) of the Potts model by independent pixels q_i. It minimises

    F(q) = sum_i (c_i . q_i + sum_k q_i^k ln q_i^k)  +  lam sum_{ij in N} w_ij (1 - q_i . q_j),   c_i^k = eta H(e_k, sigma_i),

which is the energy of BL at q less the entropy of q. Its fixed point is q_i = softmax(lam sum_j w_ij q_j - c_i): one step needs
nothing of the neighbourhood but the filter W q, a sum over all neighbours, which dense neighbourhoods do fast.

All pixels at once, as here, may raise F (two neighbours that swap labels for ever). The step t on the way from q to the fixed
point's u = softmax(...) is therefore limited. With d = u - q and D <= 0 the change of F from q to u, its pairs linearised,

    F(q + t d) - F(q) <= t D - t^2 lam sum_{ij} w_ij d_i . d_j,

as the entropy is concave; t is the minimiser of the right-hand side in [0, 1]. So F never rises, for any symmetric W (an
approximate filter is symmetric up to its error). The energy of the rounded labels need not fall with F.

Why not a graph cut, with the edges' weights quantised (Veksler 2019)? It needs superpixels of equal colour to replace the N^2
edges by a few, it minimises another energy than the one that our filter computes, and it comes with a choice of the
quantisation. Mean field is what dense CRFs are solved with, and knows nothing but the filter.
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_whole
from toykit.energy import Subproblem
from toykit.solvers.hard_labels.potts_model import (
    LABELS,
    allowed_labels,
    harden,
    neighbor_sum,
    vertex_costs,
    with_potts,
)
from toykit.solvers.solution import Solution

#: An image has converged when no probability is further than this from its fixed point's.
TOLERANCE = 1e-2


def check_mean_field_options(steps: int, labels: str) -> None:
    """Raise ValueError for an option outside its range."""
    check_whole("steps", steps)
    check_choice("labels", labels, LABELS)


def mean_field(problem: Subproblem, *, steps: int = 10, labels: str = "all", callback=None) -> Solution:
    """Hard labels: the most likely class of each pixel after `steps` steps of mean field; the seeds are fixed.

    steps: at least 1; all are taken. labels: "all", or "seeded" for only those that have seeds in the image (all, where it has
        none). eta and lam together are an inverse temperature here: not only their ratio matters.
    callback: callback(step, labels, energies) at the start (step 0) and after each step, labels (B, K, H, W) and energies (B,)
        rounded as the result is; the steps end when it returns True.

    Returns: Solution. `energies` are BL's of the rounded labels, see `toykit.solvers.hard_labels.potts_model`; they may rise. Its residual
        is the largest distance |u^k - q^k| of a probability from its fixed point's before the last step, and an image has
        converged where that is at most `TOLERANCE`.
    Raises: ValueError for an option outside its range.
    """
    check_mean_field_options(steps, labels)
    problem = with_potts(problem)
    descent, trace = MeanField(problem, labels), []
    for step in range(steps + 1):
        hard = harden(problem, descent.q.argmax(1))
        trace.append(problem.value(hard))
        if (callback is not None and callback(step, hard, trace[-1]) is True) or step == steps:
            break
        descent.step()
    late = descent.residual > TOLERANCE
    message = f"mean field, {len(trace) - 1} steps: "
    if late.any():
        message += f"{int(late.sum())} of {len(late)} images had not converged (a probability was still off by "
        message += f"{float(descent.residual.max()):.2g}, tolerance {TOLERANCE:g}); take more steps"
    else:
        message += f"converged (no probability was off by more than {TOLERANCE:g})"
    return Solution(hard, torch.stack(trace), len(trace) - 1, descent.residual, not bool(late.any()), message)


class MeanField:
    """The marginals q (B, K, H, W), W q beside them, and how far they were from the fixed point at the last step (B,)."""

    def __init__(self, problem: Subproblem, labels: str = "all"):
        self.edges, self.lam, self.free = problem.edges, problem.energy.lam, problem.unlabelled[:, None]
        self.allowed = allowed_labels(problem, labels)[:, :, None, None]
        self.costs = vertex_costs(problem)
        self.fixed = problem.fix_seeds(problem.sigma)
        self.q = self._softmax(-self.costs)
        self.sums = neighbor_sum(self.edges, self.q)
        self.residual = torch.full_like(self.q[:, 0, 0, 0], torch.inf)

    def free_energy(self) -> Tensor:
        """F (B,) at q."""
        pairwise = self.edges.potts(self.q, lambda p, q: 1 - (p * q).sum(1))
        return self._sum(self.costs * self.q + torch.xlogy(self.q, self.q)) + self.lam * pairwise

    def step(self) -> None:
        """One step towards the fixed point, as long as F is sure not to rise."""
        u = self._softmax(self.lam * self.sums - self.costs)
        ahead = neighbor_sum(self.edges, u)
        d, difference = u - self.q, ahead - self.sums
        slope = self._sum((self.costs - self.lam * self.sums) * d + torch.xlogy(u, u) - torch.xlogy(self.q, self.q))
        curvature = -self.lam * self._sum(
            d * difference
        )  # twice the pairs' sum: the filter sees each pair from both ends
        t = torch.where(curvature > 0, (-slope / curvature.where(curvature > 0, 1)).clamp(0, 1), 1)
        self.residual = d.abs().flatten(1).amax(1)
        t = t[:, None, None, None]
        self.q, self.sums = self.q + t * d, self.sums + t * difference

    def _softmax(self, logits: Tensor) -> Tensor:
        return torch.where(self.free, logits.masked_fill(~self.allowed, -torch.inf).softmax(1), self.fixed)

    def _sum(self, values: Tensor) -> Tensor:
        return values.where(self.free, 0).flatten(1).sum(1)
