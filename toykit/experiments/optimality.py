"""Distance of the paper's solver from the optimum (section A), on H_Q + P_Q, where the optimum has a closed form."""

from dataclasses import dataclass

import torch
from torch import Tensor

from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.neighborhoods import NearestNeighbors, Neighborhood
from toykit.seed_model import seed_logits
from toykit.simplex import soft_jaccard
from toykit.solvers import random_walker, solve

#: Bounds of four groups of predictions, by their largest probability.
CONFIDENCE = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Trajectory:
    """The steps of one optimiser towards the optimum on one photo.

    Parameters
    ----------
    name : str
        Name of the photo.
    optimizer : str
        Optimiser of the gradient solver.
    optimum : float
        Energy of the closed form.
    energies : Tensor, shape (T + 1,)
        Energy at the start and after each step.
    jaccard : Tensor, shape (T + 1,)
        Soft Jaccard index with the closed form, over the unlabelled pixels.
    """

    name: str
    optimizer: str
    optimum: float
    energies: Tensor
    jaccard: Tensor

    @property
    def excess(self) -> Tensor:
        """Relative excess (T + 1,) of the energies: (energy - optimum) / optimum."""
        return self.energies / self.optimum - 1


def to_optimum(
    sample: Sample,
    optimizers: tuple[str, ...] = ("gd", "adam"),
    *,
    eta: float = 0.3,
    lam: float = 6.0,
    neighborhood: Neighborhood | None = None,
    logits: Tensor | None = None,
    **options,
) -> list[Trajectory]:
    """Follow optimisers from the prediction towards the closed form on one photo, in float64.

    Parameters
    ----------
    sample : Sample
    optimizers : tuple of str, default ("gd", "adam")
        Optimisers of the gradient solver.
    eta : float, default 0.3
        Weight of H_Q.
    lam : float, default 6.0
        Weight of P_Q.
    neighborhood : NearestNeighbors, optional
        Default: `NearestNeighbors()`.
    logits : Tensor, shape (1, K, H, W), optional
        Predictions. Default: those of `toykit.seed_model.seed_logits`.
    **options
        Options of the gradient solver, for example steps and lr.

    Returns
    -------
    list of Trajectory
        One per optimiser.
    """
    neighborhood = NearestNeighbors() if neighborhood is None else neighborhood
    image, seeds = sample.tensors()
    logits = (seed_logits(image, seeds, len(sample.classes)) if logits is None else logits).double()
    energy = Energy("Q", "Q", eta, lam, neighborhood)
    exact = random_walker(logits, image, seeds, eta, lam, neighborhood)
    unlabelled = energy.subproblem(logits, image, seeds).unlabelled

    trajectories = []
    for optimizer in optimizers:
        jaccard = []

        def record(step, labels, energies, jaccard=jaccard):
            jaccard.append(soft_jaccard(labels, exact.labels, unlabelled))

        solution = solve(
            logits, image, seeds, energy, "gradient",
            optimizer=optimizer, callback=record, on_failure="ignore", **options,
        )  # fmt: skip
        trajectories.append(
            Trajectory(sample.name, optimizer, exact.energies.item(), solution.energies[:, 0], torch.cat(jaccard))
        )
    return trajectories


def change_left(sample: Sample, optimizer: str, **options) -> tuple[Tensor, Tensor]:
    """Compute the error that a solver leaves on eta H_Q + lam P_Q, by the confidence of the prediction.

    Parameters
    ----------
    sample : Sample
    optimizer : str
        Optimiser of the gradient solver.
    **options
        Options of the gradient solver, for example steps and lr.

    Returns
    -------
    left : Tensor, shape (G,)
        Share of the change from prediction to optimum that is still missing at the end. NaN for an empty group.
    share : Tensor, shape (G,)
        The group's share of everything that is missing.

    Notes
    -----
    The G groups are the unlabelled pixels by their largest predicted probability, with bounds `CONFIDENCE`.
    """
    image, seeds = sample.tensors()
    logits = seed_logits(image, seeds, len(sample.classes)).double()
    energy = Energy("Q", "Q")
    exact = random_walker(logits, image, seeds).labels
    solved = solve(logits, image, seeds, energy, "gradient", optimizer=optimizer, on_failure="ignore", **options).labels
    problem = energy.subproblem(logits, image, seeds)
    missing, needed = (solved - exact).abs().sum(1), (problem.sigma - exact).abs().sum(1)
    group = torch.bucketize(problem.sigma.amax(1), torch.tensor(CONFIDENCE, dtype=torch.float64))
    masks = [(group == k) & problem.unlabelled for k in range(len(CONFIDENCE) + 1)]
    left = torch.stack([missing[mask].sum() for mask in masks])
    return left / torch.stack([needed[mask].sum() for mask in masks]), left / left.sum()
