"""A small stand-in for a segmentation network: class probabilities from a colour-and-position model of the seeds.

A trained network joins later in the course. Until then the sub-problem of eq. (8) needs predictions that look like a
network's: confident inside objects, wrong in places, blind to the image's edges. `seed_logits` fits one Gaussian a class
over (R, G, B, x, y) at its seeds; by Bayes' rule its log-densities are logits. It has seen no other photo.
"""

import torch
from torch import Tensor

from toykit.conventions import PADDING, UNLABELLED, check_image, check_seeds

#: Weight of the pooled covariance in each class' own: a scribble of one shade would else know nothing but that shade.
SHRINKAGE = 0.2
#: How far, in nats, an absent class' log-density lies below the least likely present one.
ABSENT = 10.0
#: Standard deviation added to every feature, as a share of its range.
NOISE = 0.03


def seed_logits(image: Tensor, seeds: Tensor, num_classes: int, temperature: float = 2.0) -> Tensor:
    """Logits (B, K, H, W), float32, from the seeds of each image alone.

    image: (B, 3, H, W) in 0..255. seeds: (B, H, W). temperature: > 0; divides the log-densities (1: the Gaussians'
    own, usually overconfident, posterior). A class without seeds in an image gets, at each pixel,
    `ABSENT` less than the least likely class with seeds; an image without any seeds gets zeros.
    Raises: TypeError or ValueError for bad inputs.
    """
    if not 0 < temperature < float("inf"):
        raise ValueError(f"temperature: expected a positive number, got {temperature!r}")
    image, seeds = check_image(image, torch.float64), check_seeds(seeds, num_classes)
    batch, _, height, width = image.shape
    if seeds.shape != (batch, height, width):
        raise ValueError(f"seeds: expected {(batch, height, width)} like the image, got {tuple(seeds.shape)}")
    y, x = torch.meshgrid(*(torch.linspace(0, 1, n, dtype=image.dtype) for n in (height, width)), indexing="ij")
    position = torch.stack([x, y]).to(image.device)
    logits = torch.zeros(batch, num_classes, height, width, device=image.device)
    for b in range(batch):
        features = torch.cat([image[b] / 255, position]).flatten(1)
        scores = _log_densities(features, seeds[b].flatten(), num_classes)
        logits[b] = (scores.view(num_classes, height, width) / temperature).float()
    return logits


def _log_densities(features: Tensor, seeds: Tensor, num_classes: int) -> Tensor:
    """Gaussian log-densities (K, N) of features (F, N) under each class, up to a constant."""
    labelled = (seeds != UNLABELLED) & (seeds != PADDING)
    scores = features.new_zeros(num_classes, features.shape[1])
    if not labelled.any():
        return scores
    present = seeds[labelled].unique().tolist()
    noise = NOISE**2 * torch.eye(len(features), dtype=features.dtype, device=features.device)
    points = {k: features[:, seeds == k].T for k in present}
    own = {k: _covariance(points[k]) for k in present}
    pooled = sum(own.values()) / len(own)
    for k in present:
        spread = torch.linalg.cholesky((1 - SHRINKAGE) * own[k] + SHRINKAGE * pooled + noise)
        # one product whitens all pixels, in rows: a small share of the time of solving with the triangle for each
        whiten = torch.linalg.inv(spread)
        whitened = torch.addmm(-(whiten @ points[k].mean(0))[:, None], whiten, features)
        scores[k] = -whitened.square_().sum(0) / 2 - spread.diagonal().log().sum()
    absent = [k for k in range(num_classes) if k not in present]
    scores[absent] = scores[present].min(0).values - ABSENT
    return scores


def _covariance(points: Tensor) -> Tensor:
    centred = points - points.mean(0)
    return centred.T @ centred / len(points)
