"""The state that the fast solver's two descents share: active classes, the trace, and early stopping by the callback."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from toykit.energy import Subproblem


class Descent:
    """The descent of some images: their sub-problem on the active classes, and the lowest energies so far.

    A subclass holds the labels. It defines `current` and `descend`, calls `begin` at the end of its constructor, and `notify`
    after each step.

    Parameters
    ----------
    problem : Subproblem
        Of B images.
    start : Tensor, shape (B, K, H, W), optional
        Labels in the simplex, seeds fixed. Default: the predictions.
    threshold : float
        Least probability of an active class; see `active_classes` of `toykit.solvers.FastOptions`.
    report : function of (step, descent)
        Called after each step; the descent stops when it returns True.

    Attributes
    ----------
    from_coarser : int
        Number of images that started from labels of coarser grids.
    """

    def __init__(
        self,
        problem: Subproblem,
        start: Tensor | None,
        threshold: float,
        report: Callable[[int, "Descent"], bool],
    ):
        self.whole, self.report, self.stopped, self.from_coarser = problem, report, False, 0
        self.between_seeds = problem.constant().double()
        self.classes, self.problem, self.given = torch.arange(problem.sigma.shape[1]), problem, start
        self.narrow = threshold > 0
        if self.narrow:
            self.classes, self.problem, self.given = restrict_to_active(problem, self.first(), threshold)

    def first(self) -> Tensor:
        """Return the labels to start from, on the active classes. The predictions are copied anew, which saves memory."""
        return set_seeds(self.problem, self.problem.sigma.clone()) if self.given is None else self.given

    def current(self) -> Tensor:
        """Return a copy of the labels on the active classes (B, k, H, W); their values on seeds and padding are ignored."""
        raise NotImplementedError

    def descend(self, tolerance: float, max_steps: int) -> None:
        """Take steps until the relative decrease is at most the tolerance, max_steps are done, or the callback stops them."""
        raise NotImplementedError

    def begin(self, energy: Tensor) -> None:
        """Start the trace with the energy (B,), float64, without the constant."""
        self.trace = [energy]
        # the part that no step changes: edges between seeds and, for some cross-entropies, the inactive classes
        self.constant = self.whole.value(self.labels()).double() - energy if self.narrow else self.between_seeds
        self.residual = torch.full_like(energy, torch.inf)

    def labels(self) -> Tensor:
        """Return the labels (B, K, H, W)."""
        labels = self.current()
        if self.narrow:
            on_all_classes = torch.zeros_like(self.whole.sigma)
            on_all_classes[:, self.classes] = labels
            labels = on_all_classes
        return set_seeds(self.whole, labels)

    def notify(self) -> bool:
        """Report the last step; return whether the descent is to stop."""
        if not self.stopped:
            self.stopped = self.report(len(self.trace) - 1, self)
        return self.stopped


def set_seeds(problem: Subproblem, y: Tensor) -> Tensor:
    """Change labels (B, K, H, W) in place to what `Subproblem.fix_seeds` returns, which saves memory; return them."""
    image, row, column = problem.is_seed.nonzero(as_tuple=True)
    y[image, :, row, column] = 0
    y[image, problem.seeds[image, row, column], row, column] = 1
    image, row, column = problem.padding.nonzero(as_tuple=True)
    y[image, :, row, column] = problem.sigma[image, :, row, column]
    return y


def check_simplex(start: Tensor) -> None:
    """Raise ValueError for labels that are negative, not finite, or do not sum to 1: the steps would preserve that."""
    low, off = float(start.min()), float((start.sum(1) - 1).abs().max())
    if not (low >= 0 and off <= 1e-3):
        raise ValueError(
            f"start: expected labels >= 0 that sum to 1; got a least of {low:g} and sums off by up to {off:g}"
        )


def relative_decrease(change: Tensor, energy: Tensor, rounding: Tensor) -> Tensor:
    """Return the decrease of the energy relative to it (B,); the divisor is at least the rounding error."""
    scale = torch.maximum(energy.abs(), rounding).clamp_min(torch.finfo(torch.float64).tiny)
    return (-change / scale).clamp_min(0)


def restrict_to_active(problem: Subproblem, start: Tensor, threshold: float) -> tuple[Tensor, Subproblem, Tensor]:
    """Return the active classes of an image, at least two, its sub-problem on them, and the start on them."""
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
