"""What a pseudo-label solver returns, and how it says that it did not arrive."""

import warnings
from dataclasses import dataclass

from torch import Tensor


class ConvergenceWarning(UserWarning):
    """A solver stopped before its own test of convergence was met; the message names the remedy."""


@dataclass(frozen=True)
class Solution:
    """Pseudo-labels and the story of how they were found. Failure is a value: look at `converged` and `message`.

    labels: (B, K, H, W) in the simplex; the ground truth's vertex on each seed, the prediction on padding. Detached.
    energies: (T + 1, B), the sub-problem's value at the start and after each of T steps (one row from a direct solver).
    steps: T.
    residual: (B,), how far from done each image is, in the solver's own measure (its docstring says which).
    converged: whether all images passed the solver's test.
    message: what happened and, if it is not what you want, what to do.
    """

    labels: Tensor
    energies: Tensor
    steps: int
    residual: Tensor
    converged: bool
    message: str

    def warn_unless_converged(self) -> "Solution":
        """Emit `message` as a ConvergenceWarning if an image did not converge; returns itself."""
        if not self.converged:
            warnings.warn(self.message, ConvergenceWarning, stacklevel=3)
        return self
