"""How close the paper's solver comes to the optimum (section A): on H_Q + P_Q, where the optimum is known exactly."""

from dataclasses import dataclass

import torch
from torch import Tensor

from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.neighborhoods import NearestNeighbors
from toykit.seed_model import seed_logits
from toykit.simplex import soft_jaccard
from toykit.solvers import random_walker, solve

#: Predictions by their largest probability: torn, half-sure, sure, very sure.
CONFIDENCE = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Trajectory:
    """One solver's way to the optimum on one photo.

    name, optimizer: of the photo and the solver. optimum: the closed form's energy.
    energies, jaccard: (T + 1,) after each step: the energy, and the soft Jaccard index with the closed form over the
    unlabelled pixels.
    """

    name: str
    optimizer: str
    optimum: float
    energies: Tensor
    jaccard: Tensor

    @property
    def excess(self) -> Tensor:
        """(T + 1,): (energy - optimum) / optimum."""
        return self.energies / self.optimum - 1


def to_optimum(
    sample: Sample,
    optimizers: tuple[str, ...] = ("gd", "adam"),
    *,
    eta: float = 0.3,
    lam: float = 6.0,
    neighborhood: NearestNeighbors | None = None,
    logits: Tensor | None = None,
    **options,
) -> list[Trajectory]:
    """Follow each optimiser from the prediction towards the closed form on one photo, in float64.

    eta, lam, neighborhood (default `NearestNeighbors()`): of the energy eta H_Q + lam P_Q. logits: (1, K, H, W);
    default: the stand-in `toykit.seed_model.seed_logits`. options: of the gradient solver, e.g. steps, lr.
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
    """Who is late: the error that a solver leaves on eta H_Q + lam P_Q, by how sure the prediction was.

    optimizer, options: of the gradient solver. Unlabelled pixels are grouped by their largest predicted probability, with
    bounds `CONFIDENCE`. Returns, for each group (G,): the share of the change from prediction to optimum that is still
    missing at the end, and the group's share of all that is missing. NaN for an empty group.
    """
    image, seeds = sample.tensors()
    logits = seed_logits(image, seeds, len(sample.classes)).double()
    energy = Energy("Q", "Q")
    exact = random_walker(logits, image, seeds).labels
    found = solve(logits, image, seeds, energy, "gradient", optimizer=optimizer, on_failure="ignore", **options).labels
    problem = energy.subproblem(logits, image, seeds)
    missing, needed = (found - exact).abs().sum(1), (problem.sigma - exact).abs().sum(1)
    group = torch.bucketize(problem.sigma.amax(1), torch.tensor(CONFIDENCE, dtype=torch.float64))
    masks = [(group == k) & problem.unlabelled for k in range(len(CONFIDENCE) + 1)]
    left = torch.stack([missing[mask].sum() for mask in masks])
    return left / torch.stack([needed[mask].sum() for mask in masks]), left / left.sum()
