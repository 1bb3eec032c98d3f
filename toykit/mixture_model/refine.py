"""Self-labelling without a network: eq. (8) with the mixtures in the network's place.

The paper's network and its pseudo-labels minimise one loss in turn. Here the network is `toykit.mixture_model.model`, whose
colour mixtures theta are refitted to the soft labels y of the sub-problem (grabCut's idea, soft and for many classes):

    F(y, theta) = eta (|U| / |S|) sum_{i in S} -ln P_i^{y_i}  +  eta sum_{i in U} -ln sum_k y_i^k P_i^k
                  + lam sum_{ij in N} w_ij P(y_i, y_j)  +  eta prior(theta).

P_i^k is the density of pixel i under class k, not its posterior. So the second term is the collision cross-entropy of y and the
posterior sigma, less ln sum_k P_i^k, which does not depend on y: a step in y is the sub-problem of eq. (8) with H_CCE. A step
in theta is EM for the likelihood of the pixels, given y as the prior of each pixel's class. Neither raises F. Seeds count as
much as unlabelled pixels, as in a network's loss, where each sum has its own mean. Distances and scores on features stay.

With features, the colours stay and the linear classifier is refitted instead, once, see `self_train`: not a step that lowers F,
since all classes count alike in the classifier's loss.

All of it runs on the cells of the model. On cells of s pixels an edge stands for s edges and a cell for s^2 pixels, so lam is
divided by s.
"""

from dataclasses import replace

import torch
from torch import Tensor

from toykit.conventions import PADDING, UNLABELLED
from toykit.energy import Energy
from toykit.energy.cells import cell_photo, cell_seeds
from toykit.mixture_model.colour import cielab
from toykit.mixture_model.linear import seed_targets
from toykit.mixture_model.model import FEATURES, PhotoModel
from toykit.solvers import solve

#: EM steps per round.
EM_STEPS = 5
#: A round that lowers F by at most this share is the last.
TOLERANCE = 1e-3
#: Accuracy of the sub-problem's solution, see `toykit.solvers.FastOptions`.
SOLVER_TOLERANCE = 1e-3
#: Unlabelled cells that the classifier is refitted to, drawn at random, and what they count beside the seeds.
#: A weight of 1 did as well on the photos that these were chosen on.
FREE_CELLS, FREE_WEIGHT = 800, 0.3


def refine(
    model: PhotoModel, photo: Tensor, seeds: Tensor, energy: Energy, rounds: int, kernel: str = "auto"
) -> tuple[PhotoModel, list[float]]:
    """Refit the mixtures to the sub-problem's soft labels, in turn with these.

    Parameters
    ----------
    model : PhotoModel
        From `fit_photo`, of the same photo.
    photo : Tensor, float32 (3, H, W)
    seeds : Tensor, int64 (H, W)
    energy : Energy
        Relaxation, weights and neighbourhood; H is CCE here. With eta = 0, or one class, there is nothing to refit.
    rounds : int
        Largest number of rounds.
    kernel : str, default "auto"
        The fast solver's.

    Returns
    -------
    model : PhotoModel
    losses : list of float
        F after each half step: labels, mixtures, labels, mixtures ... It never rises.
    """
    if energy.eta == 0 or len(model.present) < 2 or rounds == 0:
        return model, []
    image, marks, coarse = _on_cells(model, photo, seeds, energy)
    points = cielab(image[0]).flatten(1).T
    free, seeded = (marks == UNLABELLED).flatten(), (marks < PADDING).flatten()
    one_hot = torch.nn.functional.one_hot(marks.flatten().where(seeded, 0), len(model.present)).double()
    weights = free.double() + seeded * (free.sum() / seeded.sum().clamp_min(1))
    labels, losses = None, []
    for _ in range(rounds):
        logits, labels = _soft_labels(model, points, image, marks, coarse, kernel, labels)
        prior = torch.where(seeded[:, None], one_hot, labels[0].flatten(1).T.double())
        potts = float(coarse.lam * coarse.subproblem(logits, image, marks).pairwise(labels))
        losses.append(energy.eta * _unary(model, points, prior, weights) + potts)
        for _ in range(EM_STEPS):
            model = _em_step(model, points, prior, weights)
        losses.append(energy.eta * _unary(model, points, prior, weights) + potts)
        if len(losses) > 2 and losses[-3] - losses[-1] <= TOLERANCE * abs(losses[-3]):
            break
    return model, losses


def self_train(model: PhotoModel, photo: Tensor, seeds: Tensor, energy: Energy, kernel: str = "auto") -> PhotoModel:
    """Refit the classifier of the features to the seeds and the sub-problem's soft labels.

    Parameters
    ----------
    model, photo, seeds, energy, kernel
        As for `refine`; the model has a classifier.

    Returns
    -------
    PhotoModel

    Notes
    -----
    The classifier's loss is the cross-entropy of the seeds plus `FREE_WEIGHT` times that of the soft labels. In both sums all
    classes count alike: with the cells' own shares, an object of which too little is labelled would shrink further. A class
    whose soft labels sum to less than 1 over the drawn cells counts less: they are mostly what the solver left over.
    """
    classifier = model.classifier
    if classifier is None or energy.eta == 0 or len(model.present) < 2:
        return model
    image, marks, coarse = _on_cells(model, photo, seeds, energy)
    _, labels = _soft_labels(model, cielab(image[0]).flatten(1).T, image, marks, coarse, kernel)
    free = (marks == UNLABELLED).flatten().nonzero()[:, 0]
    drawn = torch.randperm(len(free), generator=torch.Generator().manual_seed(0))[:FREE_CELLS]
    free = free[drawn.to(free.device)]
    cells, truth = seed_targets(seeds, model.present, model.stride)
    soft = labels[0].flatten(1).T[free].double()
    counts = torch.cat([truth / truth.sum(0), FREE_WEIGHT * soft / soft.sum(0).clamp_min(1)])
    refitted = classifier.refit(torch.cat([cells, free]), counts)
    change = refitted.log_probabilities() - classifier.log_probabilities()
    return replace(model, classifier=refitted, evidence=model.evidence + FEATURES * change)


def _on_cells(model: PhotoModel, photo: Tensor, seeds: Tensor, energy: Energy) -> tuple[Tensor, Tensor, Energy]:
    """Return the photo (1, 3, h, w), the seeds (1, h, w), numbered among the present classes, and the energy of the cells."""
    number = torch.full((PADDING + 2,), UNLABELLED, device=seeds.device)
    number[PADDING] = PADDING
    number[model.present] = torch.arange(len(model.present), device=seeds.device)
    image = cell_photo(photo[None], seeds[None], model.stride)
    marks = number[cell_seeds(seeds[None], model.present[-1] + 1, model.stride)]
    return image, marks, replace(energy, cross_entropy="CCE", lam=energy.lam / model.stride)


def _soft_labels(
    model: PhotoModel,
    points: Tensor,
    image: Tensor,
    marks: Tensor,
    energy: Energy,
    kernel: str,
    start: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the logits of the cells, of colours (N, 3), and the sub-problem's soft labels, both (1, k, h, w)."""
    logits = _log_densities(model, points).T.unflatten(1, image.shape[2:])[None].float()
    options = {"tolerance": SOLVER_TOLERANCE, "kernel": kernel, "start": start}
    return logits, solve(logits, image, marks, energy, on_failure="ignore", **options).labels


def _log_densities(model: PhotoModel, points: Tensor) -> Tensor:
    """Compute ln P_i^k of the cells' colours (N, 3): float64 (N, k)."""
    return model.log_densities(points) + model.evidence.flatten(1).T


def _unary(model: PhotoModel, points: Tensor, prior: Tensor, weights: Tensor) -> float:
    """Compute the unary terms of F over eta, and the prior of the mixtures."""
    likelihood = (_log_densities(model, points) + prior.clamp_min(1e-30).log()).logsumexp(1)
    return -float(weights @ likelihood) + sum(mixture.penalty() for mixture in model.mixtures)


def _em_step(model: PhotoModel, points: Tensor, prior: Tensor, weights: Tensor) -> PhotoModel:
    """Take one EM step of each mixture: the pixels' classes are hidden, with y as their prior."""
    share = (_log_densities(model, points) + prior.clamp_min(1e-30).log()).softmax(1) * weights[:, None]
    mixtures = tuple(mixture.step(points, w) for mixture, w in zip(model.mixtures, share.T, strict=True))
    return replace(model, mixtures=mixtures)
