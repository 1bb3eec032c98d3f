"""Eq. (8) as a module to drop into a training loop: pseudo-labels for the batch, then the network's loss."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from toykit._shared.arguments import check_choice, check_flag, check_whole
from toykit.conventions import PADDING, check_logits, comparable
from toykit.energy import Energy, Subproblem
from toykit.energy.balance import BALANCES, class_weights, network_loss, seed_nll_at_cells
from toykit.energy.cells import cell_inputs, cell_logits, labels_at_pixels
from toykit.simplex import softmax
from toykit.solvers import Solution, check_options, solve_problem

#: Defaults of the fast solver here: a looser tolerance than its own, because the network changes before the next labels of an
#: image are computed, and small images side by side.
TRAINING = {"tolerance": 1e-3, "side_by_side": True}


class SelfLabelingLoss(nn.Module):
    """The self-labelling loss: it solves for pseudo-labels of the mini-batch and returns eq. (8) as a scalar.

    Parameters
    ----------
    energy : Energy, optional
        The terms and their weights. Default: `Energy()`.
    method : str, default "fast"
        The solver, see `toykit.solve`.
    stride : int, default 1
        Side in pixels of the cells on which labels are computed, see `toykit.energy.cells`; 1 is full resolution. The NLL on
        the seeds stays at full resolution.
    balance : {"terms", "seeds"}, default "terms"
        How unlabelled pixels are weighed against seeds, see `toykit.energy.balance`. A cell counts for its stride^2 pixels.
    class_balance : bool, default False
        Give each class of an image the same weight among its unlabelled pixels (`toykit.energy.balance.class_weights`). This
        affects the network's step only; the sub-problem in y is unchanged.
    **options
        Options of the solver, see `toykit.solve`. The fast solver's defaults are those of `TRAINING` here: a looser tolerance,
        and small images solved side by side.

    Attributes
    ----------
    solution : Solution or None
        The solution for the last batch, on the cells, for pictures and monitoring; `labels_at` resamples its labels to the
        pixels.

    Raises
    ------
    TypeError, ValueError, ImportError
        At construction, for unknown or invalid options; in `forward`, for invalid inputs. See `toykit.solve`.

    Notes
    -----
    Gradients reach the logits through the NLL and the cross-entropy; none pass through the pseudo-labels. A batch without seeds
    or without unlabelled pixels is allowed. The sub-problem is solved anew for every mini-batch. If it does not converge,
    `solution.converged` reports it; there is no warning.

    Examples
    --------
    >>> loss = SelfLabelingLoss(Energy("CCE", "CD", eta=0.3, lam=60, neighborhood=NearestNeighbors(20)), stride=4)
    >>> loss(network(x), photo, seeds, present).backward()
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
        if method == "fast":
            options = TRAINING | options
        checked = check_options(method, options)
        check_whole("stride", stride)
        check_choice("balance", balance, BALANCES)
        self.energy = Energy() if energy is None else energy
        if not isinstance(self.energy, Energy):
            raise TypeError(f"energy: expected a toykit.Energy, got {self.energy!r}")
        check_flag("class_balance", class_balance)
        self.method, self.options = method, checked
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
        """Compute the loss of a mini-batch.

        Parameters
        ----------
        logits : Tensor, float (B, K, H, W)
            Or on the cells, (B, K, ceil(H / stride), ceil(W / stride)), as a network has them before its last upsampling.
        image : Tensor, float or uint8 (B, C, H, W)
            The photo in 0..255, C >= 1 channels, not the normalised input of the network.
        seeds : Tensor, integers (B, H, W)
            See `toykit.conventions`.
        present : Tensor, bool (B, K), optional
            The classes that labels may take in each image; absent ones get exactly 0. Default: all.
        predictions : Tensor, float, optional
            Logits for the solver, e.g. the network's in evaluation mode, on the pixels or on the cells. Default: `logits`.

        Returns
        -------
        Tensor
            A scalar.
        """
        if torch.is_inference_mode_enabled():  # solvers work on ordinary tensors
            with torch.inference_mode(False), torch.no_grad():
                logits, image, seeds = _copy(logits), _copy(image), _copy(seeds)
                return self.forward(logits, image, seeds, _copy(present), _copy(predictions))
        with torch.autocast(getattr(logits, "device", torch.device("cpu")).type, enabled=False):
            problem = self.subproblem(logits, image, seeds, present)
            self.solution = self.solve(problem, self.at_cells(predictions, seeds))
            return self.network_loss(problem, self.self_labeling(problem, self.solution), logits, seeds)

    def subproblem(self, logits: Tensor, image: Tensor, seeds: Tensor, present: Tensor | None = None) -> Subproblem:
        """Return the mini-batch's sub-problem on the cells; see `forward`."""
        return self.energy.subproblem(*cell_inputs(logits, image, seeds, self.stride), present)

    def at_cells(self, predictions: Tensor | None, seeds: Tensor) -> Tensor | None:
        """Return separate logits for the solver on the cells; None for None. The seeds are at the pixels."""
        if predictions is None or self.stride == 1:  # `solve` checks and detaches them
            return predictions
        return cell_logits(check_logits(predictions, "predictions").detach(), seeds, self.stride, "predictions")

    def solve(self, problem: Subproblem, predictions: Tensor | None = None) -> Solution:
        """Compute the pseudo-labels of a mini-batch, detached.

        Parameters
        ----------
        problem : Subproblem
            From `subproblem`.
        predictions : Tensor, float, optional
            Logits of the same shape as the problem's, for the solver. Default: the problem's.

        Returns
        -------
        Solution
            `energies` are always those of the given problem.
        """
        with torch.no_grad():
            problem = problem.detach()
            if predictions is None:
                return solve_problem(problem, self.method, self.options)
            predictions = check_logits(predictions, "predictions").detach().to(problem.sigma.dtype)
            problem.check_labels(predictions, "predictions")
            other = replace(problem, logits=predictions, sigma=softmax(predictions))
            solution = solve_problem(other, self.method, self.options)
            labels = solution.labels.to(problem.sigma.dtype)
            shift = problem.energy.eta * (problem.unary(labels) - other.unary(labels))
            return replace(solution, energies=solution.energies + shift)

    def self_labeling(self, problem: Subproblem, solution: Solution) -> Tensor:
        """Compute the sums of eq. (8) over unlabelled cells and edges at a solution's labels, per image: (B,)."""
        labels = solution.labels.to(problem.sigma.dtype)
        weights = class_weights(labels, problem.unlabelled) if self.class_balance else None
        return problem.self_labeling(solution.labels, solution.energies[-1], weights)

    def network_loss(self, problem: Subproblem, unsupervised: Tensor, logits: Tensor, seeds: Tensor) -> Tensor:
        """Add the unsupervised sums and the NLL on the seeds, at full resolution, with the weights of `balance`.

        Parameters
        ----------
        problem : Subproblem
            From `subproblem`.
        unsupervised : Tensor, float (B,)
            From `self_labeling`.
        logits, seeds : Tensor
            As for `subproblem`: logits on the pixels or on the cells, seeds on the pixels.

        Returns
        -------
        Tensor
            A scalar.
        """
        logits, seeds = logits.to(problem.sigma.dtype), comparable(seeds)
        nll = seed_nll_at_cells(logits, seeds, self.stride)
        num_seeds, cells = (mask.flatten(1).sum(1) for mask in (seeds < PADDING, problem.unlabelled))
        area = self.stride**2
        return network_loss(nll, area * unsupervised, num_seeds, area * cells, self.balance)

    def labels_at(self, solution: Solution, seeds: Tensor) -> Tensor:
        """Resample a solution's labels from the cells to the pixels.

        Parameters
        ----------
        solution : Solution
            From `solve`.
        seeds : Tensor, int64 (B, H, W)
            On the pixels.

        Returns
        -------
        Tensor, float (B, K, H, W)
            Bilinear between cells; the seeds' vertices on the seeds.

        Raises
        ------
        ValueError
            If the labels do not have the number of cells of these seeds.
        """
        return labels_at_pixels(solution.labels, seeds, self.stride)

    def __getstate__(self) -> dict:
        return self.__dict__ | {"solution": None}  # copies and checkpoints do not need a batch's labels

    def extra_repr(self) -> str:
        return (
            f"{self.energy}, method={self.method!r}, stride={self.stride}, balance={self.balance!r}, "
            f"class_balance={self.class_balance}, {self.options}"
        )


def _copy(x: Any) -> Any:
    """Return an ordinary copy of a tensor that was made in inference mode; anything else as it is."""
    return x.clone() if torch.is_tensor(x) else x
