"""What one step minimises: each method's loss for a mini-batch, and its pseudo-labels where the method has them."""

import time
import warnings
from typing import NamedTuple

import torch
from torch import Tensor

from toykit.solvers import ConvergenceWarning, solve
from toykit.training.config import Config


class Outcome(NamedTuple):
    """loss: a scalar. labels: the pseudo-labels (B, K, H, W), or None. solver_seconds: what finding them took."""

    loss: Tensor
    labels: Tensor | None = None
    solver_seconds: float = 0.0


class Objective:
    """The loss of a run's method; a method joins here and in `toykit.training.config.METHODS`."""

    def __init__(self, config: Config):
        self.method, self.solver = config.method, config.solver
        self.energy = config.energy.build()

    def __call__(self, logits: Tensor, image: Tensor, seeds: Tensor, pretraining: bool = False) -> Outcome:
        """logits, image in 0..255, seeds: see `toykit.conventions`. pretraining: phase one, the NLL on the seeds alone.

        Labels and loss are computed in float32, also where the network runs in mixed precision.
        """
        if pretraining or self.method in ("full", "seeds_only"):
            return Outcome(self.energy.subproblem(logits, image, seeds).network_loss(logits.new_zeros(len(logits))))
        if self.method == "gradient_descent":
            return Outcome(self.energy.weakly_supervised_loss(logits, image, seeds))
        labels, seconds = self.pseudo_labels(logits, image, seeds)
        return Outcome(self.energy.self_labeling_loss(labels, logits, image, seeds), labels, seconds)

    def pseudo_labels(self, logits: Tensor, image: Tensor, seeds: Tensor) -> tuple[Tensor, float]:
        """The sub-problem's solution for this mini-batch, without gradient, and the seconds that it took."""
        start = now(logits.device)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the next step solves it afresh
            labels = solve(logits, image, seeds, self.energy, self.solver.method, **self.solver.options).labels
        return labels.to(logits.dtype), now(logits.device) - start


def now(device: torch.device) -> float:
    """Seconds on a clock, once the work queued on the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
