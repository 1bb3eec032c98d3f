"""The result of a pseudo-label solver, and how non-convergence is reported."""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

#: What happens when an image does not converge: a `ConvergenceWarning`, nothing, or a `ConvergenceError`.
ON_FAILURE = ("warn", "ignore", "raise")


class ConvergenceWarning(UserWarning):
    """A solver stopped before it met its own test of convergence; the message names the remedy."""


class ConvergenceError(RuntimeError):
    """A solver stopped before it met its own test of convergence, and the caller asked for an error.

    Attributes
    ----------
    solution : Solution
        The labels at which the solver stopped. Its message is the error's; it names the remedy.
    """

    def __init__(self, solution: "Solution"):
        super().__init__(solution.message)
        self.solution = solution

    def __reduce__(self):
        return type(self), (self.solution,)


@dataclass(frozen=True)
class Solution:
    """Pseudo-labels and the record of the solve. All tensors are detached from the autograd graph.

    Attributes
    ----------
    labels : Tensor, float (B, K, H, W)
        Labels in the simplex: the ground truth's vertex on each seed, the prediction on padding.
    energies : Tensor, float (T + 1, B)
        The sub-problem's value at the start and after each of T steps; one row from a direct solver. For the fast solver, the
        lowest value so far.
    steps : int
        T, the number of steps of the slowest image.
    residual : Tensor, float (B,)
        How far each image is from convergence, in the solver's own measure, which its docstring defines.
    converged : bool
        Whether all images passed the solver's test of convergence.
    message : str
        The outcome and, if an image did not converge, the remedy.
    """

    labels: Tensor
    energies: Tensor
    steps: int
    residual: Tensor
    converged: bool
    message: str

    def handle_failure(self, on_failure: str) -> "Solution":
        """Warn, raise or do nothing if an image did not converge; return the solution.

        The warning points at the caller of the function that calls this method.

        Parameters
        ----------
        on_failure : {"warn", "ignore", "raise"}
            See `toykit.solve`.

        Raises
        ------
        ConvergenceError
            With "raise", if an image did not converge.
        """
        if not self.converged and on_failure == "raise":
            raise ConvergenceError(self)
        if not self.converged and on_failure == "warn":
            warnings.warn(self.message, ConvergenceWarning, stacklevel=3)
        return self


def join_traces(traces: list[Tensor]) -> Tensor:
    """Put traces of energies (T_n + 1, B_n) side by side; shorter ones are continued with their last row."""
    rows = max(map(len, traces))
    return torch.cat([torch.cat([t, t[-1:].expand(rows - len(t), -1)]) for t in traces], 1)
