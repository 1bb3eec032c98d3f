"""Eq. (8) as a module to drop into a training loop: pseudo-labels for the batch, then the network's loss."""

import torch
from torch import Tensor, nn

from toykit.energy import Energy, Subproblem
from toykit.solvers import SOLVERS, Solution, check_options

#: The fast solver's options here: looser than its own, since the network changes before the labels are asked for again.
TRAINING = {"tolerance": 1e-3}


class SelfLabelingLoss(nn.Module):
    """The self-labelling loss: solves for pseudo-labels of the mini-batch, then returns eq. (8) as a scalar.

        loss = SelfLabelingLoss(Energy("CCE", "CD", eta=0.3, lam=6.0))
        loss(network(x), photo, seeds).backward()

    energy: default `Energy()`. method, options: of `toykit.solve`, but for the fast solver's `TRAINING` tolerance.
    forward(logits, image, seeds): see `toykit.conventions`. The image is the photo in 0..255, not the normalised
    network input. Gradients reach the logits through NLL and cross-entropy; none through the pseudo-labels. Each term is
    divided by its own pixel count (see `toykit.energy`); a batch without seeds or without unlabelled pixels is fine.

    `solution` holds the last batch's `Solution`, for pictures and monitoring. The sub-problem is solved afresh for every
    mini-batch; that it has not converged is told there, not by a warning.
    Raises: what `toykit.solve` raises; unknown options at construction.
    """

    def __init__(self, energy: Energy | None = None, method: str = "fast", **options):
        super().__init__()
        check_options(method, options)
        self.energy = Energy() if energy is None else energy
        if not isinstance(self.energy, Energy):
            raise TypeError(f"energy: expected a toykit.Energy, got {self.energy!r}")
        self.method, self.options = method, (TRAINING if method == "fast" else {}) | options
        self.solution: Solution | None = None

    def forward(self, logits: Tensor, image: Tensor, seeds: Tensor) -> Tensor:
        if torch.is_inference_mode_enabled():  # solvers work on ordinary tensors
            with torch.inference_mode(False), torch.no_grad():
                return self.forward(*(x.clone() if torch.is_tensor(x) else x for x in (logits, image, seeds)))
        with torch.autocast(getattr(logits, "device", torch.device("cpu")).type, enabled=False):
            problem = self.energy.subproblem(logits, image, seeds)
            self.solution = self.solve(problem)
            return problem.self_labeling_loss(self.solution.labels, self.solution.energies[-1])

    def solve(self, problem: Subproblem) -> Solution:
        """The pseudo-labels of a mini-batch, without a way back to the network."""
        with torch.no_grad():
            return SOLVERS[self.method](problem.detach(), **self.options)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"solution": None}  # a copy or a checkpoint need not carry a batch's labels

    def extra_repr(self) -> str:
        return f"{self.energy}, method={self.method!r}, {self.options}"
