"""What the fast solver's descents, edge by edge and dense, share: classes in play, the trace, and the callback's word."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from toykit.energy import Subproblem


class Descent:
    """Some images' descent: their sub-problem on the classes that they may take, and the lowest energies so far.

    A subclass holds the labels: it defines `current`, calls `begin` once it can, and `notify` after each step.
    """

    def __init__(self, problem: Subproblem, start: Tensor, threshold: float, report: Callable[[int, "Descent"], bool]):
        """start: labels (B, K, H, W), seeds fixed. threshold: see `fast_descent`'s active_classes. report: may stop it."""
        self.whole, self.start, self.report, self.stopped = problem, start, report, False
        self.between_seeds = problem.constant().double()
        self.narrow = threshold > 0
        if self.narrow:
            self.classes, self.problem, self.first = _restrict_to_active(problem, start, threshold)
        else:
            self.classes, self.problem, self.first = torch.arange(start.shape[1]), problem, start

    def current(self) -> Tensor:
        """The labels on the classes in play (B, k, H, W); those on seeds and padding do not matter."""
        raise NotImplementedError

    def begin(self, energy: Tensor) -> None:
        """Start the trace with the energy (B,), float64, without the constant."""
        self.trace = [energy]
        # what no step changes: the edges between seeds and, in some cross-entropies, the classes left out
        self.constant = self.whole.value(self.labels()).double() - energy if self.narrow else self.between_seeds
        self.residual = torch.full_like(energy, torch.inf)

    def labels(self) -> Tensor:
        """The labels (B, K, H, W)."""
        found = self.current()
        if self.narrow:
            whole = torch.zeros_like(self.start)
            whole[:, self.classes] = found
            found = whole
        return torch.where(self.whole.unlabelled[:, None], found, self.start)

    def notify(self) -> bool:
        """Report the last step; whether the descent is to stop."""
        if not self.stopped:
            self.stopped = self.report(len(self.trace) - 1, self)
        return self.stopped


def relative_decrease(change: Tensor, energy: Tensor, rounding: Tensor) -> Tensor:
    """The share (B,) of the energy by which a step lowered it; an energy that fell to nothing counts as its rounding."""
    scale = torch.maximum(energy.abs(), rounding).clamp_min(torch.finfo(torch.float64).tiny)
    return (-change / scale).clamp_min(0)


def _restrict_to_active(problem: Subproblem, start: Tensor, threshold: float) -> tuple[Tensor, Subproblem, Tensor]:
    """The classes that an image may take, at least two, its sub-problem on them, and the start."""
    unlabelled, known = problem.unlabelled[:, None], problem.is_seed
    peak = problem.sigma.where(unlabelled, 0).amax((0, 2, 3))
    seeded = start.where(known[:, None], 0).amax((0, 2, 3)) > 0
    active = seeded | (peak >= threshold)
    active[(peak + seeded).topk(2).indices] = True
    classes = active.nonzero()[:, 0]
    narrow = problem.restrict(classes[None].expand(len(start), -1))
    narrow = replace(narrow, sigma=problem.sigma[:, classes])  # the predictions stay as they are
    first = start[:, classes]
    return classes, narrow, first / first.sum(1, keepdim=True).clamp_min(torch.finfo(first.dtype).tiny)
