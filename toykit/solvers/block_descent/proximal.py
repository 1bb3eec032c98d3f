"""The proximal maps of the fast solver: a label's step towards the minimum of a quadratic and a cross-entropy, in torch.

All take `point`, the labels minus gradient over curvature, and return the minimiser over the simplex of ||y - point||^2 / 2
plus a term of their own. Classes lie on axis 2: point, sigma (B, h, K, w), kappa (B, h, w). `steps` bounds the search for a
threshold: a few steps suffice where a label moves little; each further class in doubt may take one more.
"""

import torch
from torch import Tensor

from toykit.simplex import smallest_probability

#: Active-set steps of the projections, Newton steps of RCE's proximal map.
PROJECTION_STEPS, NEWTON_STEPS = 3, 5


def project(point: Tensor, steps: int = PROJECTION_STEPS) -> Tensor:
    """Return the Euclidean projection on the simplex, by Michelot's active-set steps, normalised.

    Parameters
    ----------
    point : Tensor, shape (B, h, K, w)
    steps : int
        Active-set steps.
    """
    shift = (point.sum(2) - 1) / point.shape[2]
    for _ in range(steps):
        above = point - shift[:, :, None]
        shift = shift + (above.clamp_min(0).sum(2) - 1) / (above > 0).sum(2).clamp_min(1)
    return _normalized((point - shift[:, :, None]).clamp_min(0))


def prox_collision(point: Tensor, sigma: Tensor, kappa: Tensor, steps: int = PROJECTION_STEPS) -> Tensor:
    """Return argmin over the simplex of ||y - point||^2 / 2 - kappa ln(sigma.y), the proximal map of CCE.

    Parameters
    ----------
    point, sigma : Tensor, shape (B, h, K, w)
    kappa : Tensor, shape (B, h, w)
        Weight of the cross-entropy over the curvature.
    steps : int
        Active-set steps.

    Notes
    -----
    y = max(point + kappa/u sigma - shift, 0). For given classes in use, u = sigma.y and the shift have a closed form; the
    classes in use are found by repetition.
    """
    y, use = point, torch.ones_like(point)
    for _ in range(steps):
        count = use.sum(2).clamp_min(1)
        total, mass = (point * use).sum(2), (sigma * use).sum(2)
        alpha = (sigma * point * use).sum(2) - (total - 1) * mass / count
        beta = ((sigma * sigma * use).sum(2) - mass * mass / count).clamp_min(0)
        root = (alpha * alpha + 4 * kappa * beta).sqrt()
        tiny = torch.finfo(point.dtype).tiny
        u = torch.where(alpha > 0, (alpha + root) / 2, 2 * kappa * beta / (root - alpha).clamp_min(tiny))
        pull = kappa / u.clamp_min(smallest_probability(point.dtype))
        y = point + pull[:, :, None] * sigma - ((total + pull * mass - 1) / count)[:, :, None]
        use = (y > 0).to(point.dtype)
    return _normalized(y.clamp_min(0))


def prox_reverse(point: Tensor, sigma: Tensor, kappa: Tensor, steps: int = NEWTON_STEPS) -> Tensor:
    """Return argmin over the simplex of ||y - point||^2 / 2 - kappa sum_k sigma^k ln y^k, the proximal map of RCE.

    Parameters
    ----------
    point, sigma : Tensor, shape (B, h, K, w)
    kappa : Tensor, shape (B, h, w)
        Weight of the cross-entropy over the curvature.
    steps : int
        Newton steps.

    Notes
    -----
    y = (v + sqrt(v^2 + 4 kappa sigma)) / 2 with v = point - shift; the shift is found by Newton's method, from below.
    """
    tiny = torch.finfo(point.dtype).tiny
    product = 4 * kappa[:, :, None] * sigma
    shift = (point.sum(2) - 1) / point.shape[2]
    for _ in range(steps):
        v = point - shift[:, :, None]
        root = (v * v + product).sqrt().clamp_min(tiny)
        falls = ((1 + v / root) / 2).sum(2).clamp_min(1e-6)
        shift = shift + (_root(v, root, product).sum(2) - 1) / falls
    v = point - shift[:, :, None]
    root = (v * v + product).sqrt()
    return _normalized(_root(v, root, product))


def _root(v: Tensor, root: Tensor, product: Tensor) -> Tensor:
    """Return (v + root) / 2, root = sqrt(v^2 + product), without cancellation."""
    tiny = torch.finfo(v.dtype).tiny
    return torch.where(v > 0, (v + root) / 2, product / 2 / (root - v).clamp_min(tiny))


def _normalized(y: Tensor) -> Tensor:
    """Scale each label to the sum 1."""
    return y / y.sum(2, keepdim=True).clamp_min(torch.finfo(y.dtype).tiny)
