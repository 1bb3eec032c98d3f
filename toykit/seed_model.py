"""A stand-in for a segmentation network: class probabilities from a colour-and-position model of the seeds.

A trained network comes later in the course. Until then the sub-problem of eq. (8) needs predictions that resemble a
network's: confident inside objects, wrong in some places, and blind to the image's edges. `seed_logits` fits one Gaussian
per class over (R, G, B, x, y) at its seeds; by Bayes' rule its log-densities are logits. It uses no other photo.
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_number
from toykit.conventions import PADDING, UNLABELLED, check_image, check_seeds

#: Weight of the pooled covariance in each class's own. Without it, a scribble of one shade would match only that shade.
SHRINKAGE = 0.2
#: How far, in nats, an absent class's log-density lies below that of the least likely present class.
ABSENT = 10.0
#: Standard deviation added to every feature, as a share of its range.
NOISE = 0.03


def seed_logits(image: Tensor, seeds: Tensor, num_classes: int, temperature: float = 2.0) -> Tensor:
    """Predict logits from the seeds of each image alone.

    Parameters
    ----------
    image : Tensor, shape (B, 3, H, W)
        RGB in 0..255.
    seeds : Tensor, shape (B, H, W), integers
        Class id, 254 (padding) or 255 (unlabelled).
    num_classes : int
        Number of classes K.
    temperature : float, default 2.0
        Positive; divides the log-densities. 1 gives the posterior of the Gaussians, which is usually overconfident.

    Returns
    -------
    Tensor, shape (B, K, H, W), float32
        At each pixel, a class without seeds in an image lies `ABSENT` below the least likely class with seeds. An image
        without any seeds gets zeros.

    Raises
    ------
    TypeError
        For wrong types or dtypes of image and seeds.
    ValueError
        For wrong shapes or values, and for a temperature that is not a positive number.
    """
    check_number("temperature", temperature, "(0, inf)")
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
    """Compute Gaussian log-densities (K, N) of features (F, N) under each class, up to a constant."""
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
        # whitening all pixels by one product is much faster than solving with the triangular factor for each
        whiten = torch.linalg.inv(spread)
        whitened = torch.addmm(-(whiten @ points[k].mean(0))[:, None], whiten, features)
        scores[k] = -whitened.square_().sum(0) / 2 - spread.diagonal().log().sum()
    absent = [k for k in range(num_classes) if k not in present]
    scores[absent] = scores[present].min(0).values - ABSENT
    return scores


def _covariance(points: Tensor) -> Tensor:
    """Return the covariance (F, F) of points (N, F), divided by N."""
    centred = points - points.mean(0)
    return centred.T @ centred / len(points)
