"""A stand-in for a segmentation network: class probabilities from a colour-and-position model of the seeds.

A trained network comes later in the course. Until then the sub-problem of eq. (8) needs predictions that resemble a
network's: confident inside objects, wrong in some places, and blind to the image's edges. `seed_logits` fits one Gaussian
per class over (R, G, B, x, y) at its seeds; by Bayes' rule its log-densities are logits. It uses no other photo.

The notebooks and the benchmark use this stand-in, whose mistakes are deliberate. `toykit segment` and the painter need good
labels and use `toykit.mixture_model`.
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_number
from toykit.conventions import PADDING, check_image, check_seeds

#: Weight of the pooled covariance in each class's own. Without it, a scribble of one shade would match only that shade.
SHRINKAGE = 0.2
#: How far, in nats, an absent class's log-density lies below that of the least likely present class.
ABSENT = 10.0
#: Standard deviation added to every feature, as a share of its range.
NOISE = 0.03
#: Pixels that are computed at a time.
CHUNK = 1 << 14


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
    image, seeds = check_photos(image, seeds, num_classes)
    batch, _, height, width = image.shape
    logits = torch.zeros(batch, num_classes, height, width, device=image.device)
    rows = max(1, CHUNK // width)  # a few at a time: in float64 the features of a large photo would fill the memory
    for photo, marks, out in zip(image, seeds, logits, strict=True):
        if not (marks < PADDING).any():
            continue
        model = _ColourAndPosition(photo, marks)
        for top in range(0, height, rows):
            part = slice(top, top + rows)
            scores = model.log_densities(_features(photo, part))
            out[:, part] = (scores.min(0).values - ABSENT).div_(temperature)
            out[model.present, part] = scores.div_(temperature).float()
    return logits


def check_photos(image: Tensor, seeds: Tensor, num_classes: int) -> tuple[Tensor, Tensor]:
    """Return image and seeds as float32 and int64, or raise TypeError or ValueError."""
    image, seeds = check_image(image), check_seeds(seeds, num_classes).long()
    expected = (len(image), *image.shape[-2:])
    if seeds.shape != expected:
        raise ValueError(f"seeds: expected {expected} like the image, got {tuple(seeds.shape)}")
    return image, seeds


class _ColourAndPosition:
    """One Gaussian per class with seeds (H, W), over a photo's features there; `present` lists these classes."""

    def __init__(self, photo: Tensor, seeds: Tensor):
        rows, columns = (seeds < PADDING).nonzero(as_tuple=True)
        features, labels = _features(photo, rows, columns), seeds[rows, columns]
        self.present = labels.unique().tolist()
        points = [features[:, labels == k] for k in self.present]
        own = [torch.cov(x, correction=0) for x in points]
        noise = NOISE**2 * torch.eye(len(features), dtype=features.dtype, device=features.device)
        pooled = torch.stack(own).mean(0)
        terms = [
            _polynomial(x.mean(1), (1 - SHRINKAGE) * covariance + SHRINKAGE * pooled + noise)
            for x, covariance in zip(points, own, strict=True)
        ]
        self.quadratic, self.linear, self.constant = (torch.stack(term) for term in zip(*terms, strict=True))

    def log_densities(self, features: Tensor) -> Tensor:
        """Compute the log-densities of features (F, ...) under each present class, up to a constant."""
        flat = features.flatten(1)
        products = (flat[:, None] * flat).flatten(0, 1)
        scores = torch.addmm(self.constant[:, None], self.linear, flat).addmm_(self.quadratic, products)
        return scores.unflatten(1, features.shape[1:])


def _polynomial(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a Gaussian's log-density as a polynomial: the coefficients of f_a f_b (F^2,) and of f_a (F,), and the constant."""
    root = torch.linalg.cholesky(covariance)
    precision = torch.cholesky_inverse(root)
    linear = precision @ mean
    return -precision.flatten() / 2, linear, -linear @ mean / 2 - root.diagonal().log().sum()


def _features(photo: Tensor, rows: Tensor | slice, columns: Tensor | None = None) -> Tensor:
    """Return (R, G, B, x, y) in 0..1, float64, of some rows of a photo, (F, h, W), or of single pixels, (F, n)."""
    height, width = photo.shape[1:]
    y, x = (torch.linspace(0, 1, n, dtype=torch.float64, device=photo.device) for n in (height, width))
    if columns is None:
        y, x, colours = y[rows, None].expand(-1, width), x.expand(len(y[rows]), -1), photo[:, rows]
    else:
        y, x, colours = y[rows], x[columns], photo[:, rows, columns]
    return torch.cat([colours.double() / 255, torch.stack([x, y])])
