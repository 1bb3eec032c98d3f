"""What the descents of groups of images reached, and how it is joined to one `Solution`."""

from typing import NamedTuple

import torch
from torch import Tensor

from toykit.solvers.block_descent.descent import Descent
from toykit.solvers.solution import Solution, join_traces


class Outcome(NamedTuple):
    """The end of one group's descent; the descent itself, which holds much memory, is not kept."""

    trace: Tensor  # (T + 1, B), float64
    residual: Tensor
    stopped: bool
    classes: int
    from_coarser: int

    @classmethod
    def of(cls, run: Descent) -> "Outcome":
        """Read off a descent that has ended."""
        trace = torch.stack(run.trace) + run.constant
        return cls(trace, run.residual, run.stopped, len(run.classes), run.from_coarser)


def join(outcomes: list[Outcome], labels: Tensor, scale: float, tolerance: float, on_active: bool) -> Solution:
    """Join the groups' outcomes, in the order of the images.

    Parameters
    ----------
    outcomes : list of Outcome
    labels : Tensor, float (B, K, H, W)
        Of all groups.
    scale : float
        What the energies are multiplied by.
    tolerance : float
        A residual of at most this means convergence.
    on_active : bool
        Whether the descents left out classes.

    Returns
    -------
    Solution
    """
    energies = join_traces([outcome.trace for outcome in outcomes]) * scale
    steps, residual = len(energies) - 1, torch.cat([outcome.residual for outcome in outcomes])
    late = ~(residual <= tolerance)  # NaN is late
    message = _describe(tolerance, steps, any(outcome.stopped for outcome in outcomes), residual, late)
    if on_active:
        most = max(outcome.classes for outcome in outcomes)
        message += f"; at most {most} of {labels.shape[1]} classes in an image"
    if from_coarser := sum(outcome.from_coarser for outcome in outcomes):
        message += f"; {from_coarser} of {len(labels)} images started from the labels of coarser grids"
    return Solution(labels, energies.to(labels.dtype), steps, residual.to(labels.dtype), not bool(late.any()), message)


def _describe(tolerance: float, steps: int, stopped: bool, residual: Tensor, late: Tensor) -> str:
    """Describe the outcome and the remedy; late: bool (B,), the images that did not converge."""
    head = f"fast, {steps} sweeps{' (stopped by the callback)' if stopped else ''}: "
    if not late.any():
        return f"{head}converged (the last sweep lowered the energy by at most {tolerance:.2%})"
    gain = float(residual.max())  # infinite where none was measured
    still = f"the last sweep still lowered the energy by up to {gain:.2%}, " if gain < float("inf") else ""
    return (
        f"{head}{int(late.sum())} of {len(late)} images had not converged ({still}tolerance {tolerance:.2%}); take a larger "
        "max_steps or tolerance"
    )
