"""What one step minimises: each method's loss for a mini-batch, and its pseudo-labels where the method has them.

The method hard may take hard labels for wrong with a probability epsilon (config.error_rate), as its source does (Marin &
Boykov 2021; the form is that of their code): a pixel of class k shows each other label with probability epsilon / (K - 1). Its
NLL is

    -ln((1 - epsilon) sigma^y + epsilon (1 - sigma^y) / (K - 1)),

the cross-entropy with sigma' instead of sigma, the prediction of the label that is shown. A wrong label then costs at most
ln((K - 1) / epsilon). Ours: sigma' stands in the labels' sub-problem too, so that labels and network still descend on one loss;
the seeds keep the plain NLL (theirs as well).
"""

import time
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.self_labeling import SelfLabelingLoss
from toykit.training.config import Config


class Outcome(NamedTuple):
    """loss: a scalar. labels: the pseudo-labels (B, K, H, W), or None. solver_seconds: what finding them took."""

    loss: Tensor
    labels: Tensor | None = None
    solver_seconds: float = 0.0


class Objective:
    """The loss of a run's method; a method joins here and in `toykit.training.config.METHODS`."""

    def __init__(self, config: Config):
        self.method, self.energy, self.error_rate = config.method, config.energy.build(), config.error_rate
        self.decisiveness = config.energy.decisiveness
        self.self_labeling = SelfLabelingLoss(self.energy, config.solver.method, **config.solver.options)

    def __call__(self, logits: Tensor, image: Tensor, seeds: Tensor, pretraining: bool = False) -> Outcome:
        """logits, image in 0..255, seeds: see `toykit.conventions`. pretraining: phase one, the NLL on the seeds alone.

        Labels and loss are computed in float32, also where the network runs in mixed precision.
        """
        if self.method == "gradient_descent" and not pretraining:
            return Outcome(self.energy.weakly_supervised_loss(logits, image, seeds, self.decisiveness))
        problem = self._subproblem(logits, image, seeds)
        if pretraining or self.method not in ("soft", "hard"):
            return Outcome(problem.network_loss(problem.sigma.new_zeros(len(logits))))
        start = now(logits.device)
        solution = self.self_labeling.solve(problem)
        seconds = now(logits.device) - start
        return Outcome(problem.self_labeling_loss(solution.labels, solution.energies[-1]), solution.labels, seconds)

    def pseudo_labels(self, logits: Tensor, image: Tensor, seeds: Tensor) -> Tensor:
        """The sub-problem's solution, for a picture."""
        return self.self_labeling.solve(self._subproblem(logits, image, seeds)).labels

    def _subproblem(self, logits: Tensor, image: Tensor, seeds: Tensor) -> Subproblem:
        problem = self.energy.subproblem(logits, image, seeds)
        if self.error_rate == 0:
            return problem
        wrong = self.error_rate / (logits.shape[1] - 1)  # sigma' is linear in sigma
        return replace(problem, sigma=wrong + (1 - self.error_rate - wrong) * problem.sigma)


def now(device: torch.device) -> float:
    """Seconds on a clock, once the work queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
