"""Hard pseudo-labels for any neighbourhood, including dense ones: mean field, then each pixel's most likely class.

Mean field approximates the Gibbs distribution exp(-E) of the Potts model by independent pixels q_i. It minimises

    F(q) = sum_i (c_i . q_i + sum_k q_i^k ln q_i^k)  +  lam sum_{ij in N} w_ij (1 - q_i . q_j),   c_i^k = eta H(e_k, sigma_i),

which is the energy of BL at q less the entropy of q. Its fixed point is q_i = softmax(lam sum_j w_ij q_j - c_i). Of the
neighbourhood, a step needs only the filter W q, a sum over all neighbours, which is fast for dense neighbourhoods.

Moving all pixels at once, as here, may raise F (two neighbours can swap labels for ever). The step t on the way from q to the
fixed point's u = softmax(...) is therefore limited. With d = u - q, and D <= 0 the change of F from q to u with its pairs
linearised,

    F(q + t d) - F(q) <= t D - t^2 lam sum_{ij} w_ij d_i . d_j,

because the entropy is concave; t is the minimiser of the right-hand side in [0, 1]. So F never rises, for any symmetric W (an
approximate filter is symmetric up to its error). The energy of the rounded labels need not fall with F.

A graph cut with quantised weights (Veksler 2019) would be an alternative. It needs superpixels of equal colour to replace the
N^2 edges by a few, it minimises a different energy from the one that our filter computes, and it requires a choice of the
quantisation. Mean field is the usual solver of dense CRFs and needs only the filter.
"""

from collections.abc import Callable
from dataclasses import dataclass

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

#: An image has converged if no probability is further than this from that of its fixed point.
TOLERANCE = 1e-2


@dataclass(frozen=True)
class MeanFieldOptions:
    """Options of the solver "mean_field".

    Parameters
    ----------
    steps : int, default 10
        Number of steps, at least 1; all are taken.
    labels : {"all", "seeded"}, default "all"
        The labels that a pixel may take: all, or only those that have seeds in the image (all, where the image has no seeds).

    Raises
    ------
    ValueError
        For an option out of range.
    """

    steps: int = 10
    labels: str = "all"

    def __post_init__(self):
        check_whole("steps", self.steps)
        check_choice("labels", self.labels, LABELS)


def mean_field(
    problem: Subproblem, options: MeanFieldOptions, *, callback: Callable[..., object] | None = None
) -> Solution:
    """Compute hard labels: the most likely class of each pixel after some steps of mean field, with the seeds fixed.

    Together, eta and lam are an inverse temperature here: not only their ratio matters.

    Parameters
    ----------
    problem : Subproblem
    options : MeanFieldOptions
    callback : callable, optional
        Called as callback(step, labels, energies) at the start (step 0) and after each step, with labels (B, K, H, W) and
        energies (B,), rounded as the result is. The steps end if it returns True.

    Returns
    -------
    Solution
        `energies` are BL's of the rounded labels, see `toykit.solvers.hard_labels.potts_model`; they may rise. The residual is
        the largest distance |u^k - q^k| of a probability from that of its fixed point before the last step. An image has
        converged if it is at most `TOLERANCE`.
    """
    problem = with_potts(problem)
    descent, trace, step = MeanField(problem, options.labels), [], 0
    while True:
        hard = harden(problem, descent.q.argmax(1))
        trace.append(problem.value(hard))
        if (callback is not None and callback(step, hard, trace[-1]) is True) or step == options.steps:
            break
        descent.step()
        step += 1
    late = descent.residual > TOLERANCE
    message = f"mean field, {step} steps: "
    if late.any():
        message += f"{int(late.sum())} of {len(late)} images had not converged (a probability was still off by "
        message += f"{float(descent.residual.max()):.2g}, tolerance {TOLERANCE:g}); take more steps"
    else:
        message += f"converged (no probability was off by more than {TOLERANCE:g})"
    return Solution(hard, torch.stack(trace), step, descent.residual, not bool(late.any()), message)


class MeanField:
    """The state of mean field.

    Parameters
    ----------
    problem : Subproblem
    labels : {"all", "seeded"}, default "all"
        See `MeanFieldOptions`.

    Attributes
    ----------
    q : Tensor, float (B, K, H, W)
        The marginals.
    sums : Tensor, float (B, K, H, W)
        W q.
    residual : Tensor, float (B,)
        The largest distance of a probability from that of its fixed point before the last step.
    """

    def __init__(self, problem: Subproblem, labels: str = "all"):
        self.edges, self.lam, self.free = problem.edges, problem.energy.lam, problem.unlabelled[:, None]
        self.allowed = allowed_labels(problem, labels)[:, :, None, None]
        self.costs = vertex_costs(problem)
        self.fixed = problem.fix_seeds(problem.sigma)
        self.q = self._softmax(-self.costs)
        self.sums = neighbor_sum(self.edges, self.q)
        self.residual = torch.full_like(self.q[:, 0, 0, 0], torch.inf)

    def free_energy(self) -> Tensor:
        """Compute F at q: (B,)."""
        pairwise = self.edges.potts(self.q, lambda p, q: 1 - (p * q).sum(1))
        return self._sum(self.costs * self.q + torch.xlogy(self.q, self.q)) + self.lam * pairwise

    def step(self) -> None:
        """Move towards the fixed point, as far as F is certain not to rise."""
        u = self._softmax(self.lam * self.sums - self.costs)
        ahead = neighbor_sum(self.edges, u)
        d, difference = u - self.q, ahead - self.sums
        slope = self._sum((self.costs - self.lam * self.sums) * d + torch.xlogy(u, u) - torch.xlogy(self.q, self.q))
        # twice the sum over the pairs: the filter contains each pair from both ends
        curvature = -self.lam * self._sum(d * difference)
        t = torch.where(curvature > 0, (-slope / curvature.where(curvature > 0, 1)).clamp(0, 1), 1)
        self.residual = d.abs().flatten(1).amax(1)
        t = t[:, None, None, None]
        self.q, self.sums = self.q + t * d, self.sums + t * difference

    def _softmax(self, logits: Tensor) -> Tensor:
        """Compute the softmax over the allowed labels, with seeds and padding fixed."""
        return torch.where(self.free, logits.masked_fill(~self.allowed, -torch.inf).softmax(1), self.fixed)

    def _sum(self, values: Tensor) -> Tensor:
        """Sum values (B, K, H, W) over the free pixels, per image: (B,)."""
        return values.where(self.free, 0).flatten(1).sum(1)
