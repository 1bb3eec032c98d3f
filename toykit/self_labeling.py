"""Eq. (8) as a module to drop into a training loop: pseudo-labels for the batch, then the network's loss."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from toykit._shared.arguments import check_choice, check_whole
from toykit.conventions import PADDING, check_logits
from toykit.energy import Energy, Subproblem
from toykit.energy.balance import BALANCES, class_weights, network_loss, seed_nll_at_cells
from toykit.energy.cells import cell_inputs, cell_logits, cell_size, to_pixels
from toykit.simplex import one_hot, softmax
from toykit.solvers import Solution, check_options, solve_problem

#: The fast solver's options here: a looser tolerance than its own, since the network changes before the labels are asked for
#: again, and the batch's images together.
TRAINING = {"tolerance": 1e-3, "side_by_side": True}


class SelfLabelingLoss(nn.Module):
    """The self-labelling loss: solves for pseudo-labels of the mini-batch, then returns eq. (8) as a scalar.

        loss = SelfLabelingLoss(Energy("CCE", "CD", eta=0.3, lam=60, neighborhood=NearestNeighbors(20)), stride=4)
        loss(network(x), photo, seeds, present).backward()

    energy: default `Energy()`. method, options: of `toykit.solve`, but for the fast solver's `TRAINING` tolerance.
    stride: side in pixels of the cells on which labels are sought, see `toykit.energy.cells`; 1 is full resolution. The NLL on the
        seeds stays at full resolution.
    balance: "terms" or "seeds": how unlabelled pixels are weighed against seeds, see `toykit.energy.balance`. A cell counts for its
        stride^2 pixels.
    class_balance: give each class of an image the same say among its unlabelled pixels (`toykit.energy.balance.class_weights`). It
        weighs the network's step only; the sub-problem in y is unchanged.

    forward(logits, image, seeds, present=None, predictions=None)
        logits: (B, K, H, W), or at the cells, (B, K, ceil(H / stride), ceil(W / stride)), as a network has them before its
        last upsampling. image, seeds: see `toykit.conventions`; the image is the photo in 0..255, not the normalised network
        input. present: bool (B, K), the classes that labels may take in each image, default all: absent ones get exactly
        0. predictions: logits that the solver gets instead, e.g. the network's in evaluation mode, of either size.

    Gradients reach the logits through NLL and cross-entropy; none through the pseudo-labels. A batch without seeds or without
    unlabelled pixels is fine. `solution` holds the last batch's `Solution` (on the cells; `labels_at` brings it to the
    pixels), for pictures and monitoring. The sub-problem is solved afresh for every mini-batch; that it has not converged is
    told there, not by a warning.
    Raises: what `toykit.solve` raises; unknown options at construction.
    """

    def __init__(
        self,
        energy: Energy | None = None,
        method: str = "fast",
        *,
        stride: int = 1,
        balance: str = "terms",
        class_balance: bool = False,
        **options,
    ):
        super().__init__()
        check_options(method, options)
        check_whole("stride", stride)
        check_choice("balance", balance, BALANCES)
        self.energy = Energy() if energy is None else energy
        if not isinstance(self.energy, Energy):
            raise TypeError(f"energy: expected a toykit.Energy, got {self.energy!r}")
        if not isinstance(class_balance, bool):
            raise TypeError(f"class_balance: expected True or False, got {class_balance!r}")
        self.method, self.options = method, (TRAINING if method == "fast" else {}) | options
        self.stride, self.balance, self.class_balance = stride, balance, class_balance
        self.solution: Solution | None = None

    def forward(
        self,
        logits: Tensor,
        image: Tensor,
        seeds: Tensor,
        present: Tensor | None = None,
        predictions: Tensor | None = None,
    ) -> Tensor:
        if torch.is_inference_mode_enabled():  # solvers work on ordinary tensors
            given = (logits, image, seeds, present, predictions)
            with torch.inference_mode(False), torch.no_grad():
                return self.forward(*(x.clone() if torch.is_tensor(x) else x for x in given))
        with torch.autocast(getattr(logits, "device", torch.device("cpu")).type, enabled=False):
            problem = self.subproblem(logits, image, seeds, present)
            self.solution = self.solve(problem, self.at_cells(predictions, seeds))
            return self.network_loss(problem, self.self_labeling(problem, self.solution), logits, seeds)

    def subproblem(self, logits: Tensor, image: Tensor, seeds: Tensor, present: Tensor | None = None) -> Subproblem:
        """The mini-batch's sub-problem on the cells."""
        return self.energy.subproblem(*cell_inputs(logits, image, seeds, self.stride), present)

    def at_cells(self, predictions: Tensor | None, seeds: Tensor) -> Tensor | None:
        """The solver's own logits on the cells, detached; None where it has none. seeds: at the pixels."""
        if predictions is None:
            return None
        if self.stride == 1:  # `solve` checks their shape
            return predictions.detach()
        return cell_logits(check_logits(predictions).detach(), seeds, self.stride)

    def solve(self, problem: Subproblem, predictions: Tensor | None = None) -> Solution:
        """The pseudo-labels of a mini-batch, detached, for the problem's predictions or for others, logits like its own.

        `energies` are always those of the problem as it is given.
        """
        with torch.no_grad():
            problem = problem.detach()
            if predictions is None:
                return solve_problem(problem, self.method, **self.options)
            predictions = check_logits(predictions).to(problem.sigma.dtype)
            problem.check_labels(predictions, "predictions")
            other = replace(problem, logits=predictions, sigma=softmax(predictions))
            solution = solve_problem(other, self.method, **self.options)
            labels = solution.labels.to(problem.sigma.dtype)
            shift = problem.energy.eta * (problem.unary(labels) - other.unary(labels))
            return replace(solution, energies=solution.energies + shift)

    def self_labeling(self, problem: Subproblem, solution: Solution) -> Tensor:
        """The sums of eq. (8) over unlabelled cells and edges at a solution's labels, per image: (B,)."""
        labels = solution.labels.to(problem.sigma.dtype)
        weights = class_weights(labels, problem.unlabelled) if self.class_balance else None
        return problem.self_labeling(solution.labels, solution.energies[-1], weights)

    def network_loss(self, problem: Subproblem, unsupervised: Tensor, logits: Tensor, seeds: Tensor) -> Tensor:
        """The scalar of a problem's unsupervised sums (B,) and the NLL on the seeds, at full resolution, under `balance`.

        logits: as given to `subproblem`, at the pixels or at the cells. seeds: at the pixels.
        """
        logits, seeds = logits.to(problem.sigma.dtype), seeds.long()
        nll = seed_nll_at_cells(logits, seeds, self.stride)
        num_seeds, cells = (mask.flatten(1).sum(1) for mask in (seeds < PADDING, problem.unlabelled))
        area = self.stride**2
        return network_loss(nll, area * unsupervised, num_seeds, area * cells, self.balance)

    def labels_at(self, solution: Solution, seeds: Tensor) -> Tensor:
        """A solution's labels (B, K, H, W) at the pixels: bilinear between cells, the seeds' vertices on the seeds."""
        size, seeds = seeds.shape[-2:], seeds.long()
        if tuple(solution.labels.shape[-2:]) != cell_size(size, self.stride):
            raise ValueError(
                f"solution: expected labels of {cell_size(size, self.stride)} cells for seeds of {tuple(size)} pixels at "
                f"stride {self.stride}, got {tuple(solution.labels.shape)}"
            )
        labels = to_pixels(solution.labels, size, self.stride)
        if self.stride == 1:
            return labels
        known = seeds < PADDING
        vertices = one_hot(seeds.where(known, 0), labels.shape[1], dtype=labels.dtype)
        return torch.where(known[:, None], vertices, labels)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"solution": None}  # a copy or a checkpoint need not carry a batch's labels

    def extra_repr(self) -> str:
        return (
            f"{self.energy}, method={self.method!r}, stride={self.stride}, balance={self.balance!r}, "
            f"class_balance={self.class_balance}, {self.options}"
        )
