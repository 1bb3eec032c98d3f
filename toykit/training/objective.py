"""What one step minimises: each method's loss for a mini-batch, and its pseudo-labels if the method has them.

The method hard may assume that a hard label is wrong with a probability epsilon (config.error_rate), as its source does
(Marin & Boykov 2021; the form is that of their code): a pixel of class k shows each other label with probability
epsilon / (K - 1). Its NLL is

    -ln((1 - epsilon) sigma^y + epsilon (1 - sigma^y) / (K - 1)),

the cross-entropy with sigma' instead of sigma, the prediction of the label that is shown. A wrong label then costs at most
ln((K - 1) / epsilon). Ours: sigma' replaces sigma in the labels' sub-problem too, so that labels and network still minimise one
loss; the seeds keep the plain NLL (as in the source).
"""

import time
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from toykit.conventions import PADDING, check_logits, check_seeds
from toykit.energy import Subproblem
from toykit.energy.balance import network_loss, seed_nll_at_cells
from toykit.self_labeling import SelfLabelingLoss
from toykit.training.config import Config

#: The methods with pseudo-labels.
WITH_LABELS = ("soft", "hard")


class Outcome(NamedTuple):
    """A mini-batch's loss and pseudo-labels.

    Attributes
    ----------
    loss : Tensor, a scalar
    labels : Tensor (B, K, h, w) or None
        The pseudo-labels on the cells; None for a method without any.
    solver_seconds : float
        Time that the solver took.
    """

    loss: Tensor
    labels: Tensor | None = None
    solver_seconds: float = 0.0


class Objective:
    """The loss of a run's method. A new method is added here and in `toykit.training.config.METHODS`.

    Parameters
    ----------
    config : Config

    Attributes
    ----------
    stride : int
        Side of the cells in pixels.
    evaluation_mode : bool
        Whether the solver should get the network's predictions in evaluation mode.
    """

    def __init__(self, config: Config):
        energy = config.energy
        self.method, self.error_rate, self.decisiveness = config.method, config.error_rate, energy.decisiveness
        self.stride = energy.stride
        self.evaluation_mode = self.has_labels and config.solver.predictions == "evaluation"
        self.self_labeling = SelfLabelingLoss(
            energy.build(), config.solver.method, stride=energy.stride, balance=energy.balance,
            class_balance=energy.class_balance, **config.solver.options,
        )  # fmt: skip

    @property
    def has_labels(self) -> bool:
        """Whether the method has pseudo-labels."""
        return self.method in WITH_LABELS

    def __call__(
        self,
        logits: Tensor,
        image: Tensor,
        seeds: Tensor,
        present: Tensor | None = None,
        *,
        predictions: Tensor | None = None,
        strength: float = 1.0,
    ) -> Outcome:
        """Compute the loss of phase two, in float32 also where the network runs in mixed precision.

        Parameters
        ----------
        logits : Tensor, (B, K, H, W) or (B, K, h, w)
            At the pixels or at the cells.
        image, seeds, present, predictions : Tensor
            See `toykit.SelfLabelingLoss`.
        strength : float, default 1.0
            Factor for the terms on unlabelled pixels.

        Returns
        -------
        Outcome
        """
        if not self.has_labels and self.method != "gradient_descent":
            return Outcome(self.on_seeds(logits, seeds, self.stride, self.self_labeling.balance))
        problem, labels, seconds = self._subproblem(logits, image, seeds, present), None, 0.0
        if self.method == "gradient_descent":
            sums = problem.weakly_supervised(self.decisiveness)
        else:
            start = now(logits.device)
            given = self.self_labeling.at_cells(predictions, seeds)
            solution = self.self_labeling.solve(problem, None if given is None else self._robust(given))
            seconds, labels = now(logits.device) - start, solution.labels
            sums = self.self_labeling.self_labeling(problem, solution)
        return Outcome(self.self_labeling.network_loss(problem, strength * sums, logits, seeds), labels, seconds)

    def on_seeds(self, logits: Tensor, seeds: Tensor, stride: int = 1, balance: str = "terms") -> Tensor:
        """Compute the NLL on the seeds alone: the loss of phase one, and of the methods full and seeds_only.

        Parameters
        ----------
        logits : Tensor, (B, K, H, W) or (B, K, h, w)
            At the pixels, or at cells of `stride` pixels.
        seeds : Tensor, (B, H, W)
        stride : int, default 1
        balance : {"terms", "seeds"}, default "terms"
            See `toykit.energy.balance`.

        Returns
        -------
        Tensor, a scalar
        """
        logits = check_logits(logits)
        seeds = check_seeds(seeds, logits.shape[1])
        nll = seed_nll_at_cells(logits, seeds, stride)
        counts = (seeds < PADDING).flatten(1).sum(1)
        nothing = torch.zeros_like(counts)
        return network_loss(nll, nothing, counts, nothing, balance)

    def pseudo_labels(self, logits: Tensor, image: Tensor, seeds: Tensor, present: Tensor | None = None) -> Tensor:
        """Return the sub-problem's solution at the pixels, (B, K, H, W), for a picture; inputs as for a call."""
        solution = self.self_labeling.solve(self._subproblem(logits, image, seeds, present))
        return self.self_labeling.labels_at(solution, seeds)

    def _subproblem(self, logits: Tensor, image: Tensor, seeds: Tensor, present: Tensor | None) -> Subproblem:
        """Build the sub-problem on the cells, with sigma' instead of sigma if labels may be wrong."""
        problem = self.self_labeling.subproblem(logits, image, seeds, present)
        if self.error_rate == 0:
            return problem
        logits = self._robust(problem.logits)
        return replace(problem, logits=logits, sigma=logits.exp())

    def _robust(self, logits: Tensor) -> Tensor:
        """Compute logits of sigma', which is linear in sigma."""
        if self.error_rate == 0:
            return logits
        wrong = self.error_rate / (logits.shape[1] - 1)
        return (wrong + (1 - self.error_rate - wrong) * logits.softmax(1)).log()


def now(device: torch.device) -> float:
    """Return the seconds of a clock, once the work queued on the device is finished."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
