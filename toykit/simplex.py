"""The probability simplex: where soft labels and predictions live (paper, section 1.1).

Delta^K = {p : p^k >= 0, sum_k p^k = 1}. Its vertices are the one-hot labels of eq. (2), its centre is the uniform
distribution. The class axis is ``dim=1`` everywhere, so (N, K) tables and (B, K, H, W) label maps both work.

Two functions here keep the whole toolkit finite. `extended_log` is ln on every value that is not absurdly small, and a
tangent line below; `softmax` is torch's, with a floor under probabilities that are too small to carry a gradient.
"""

import math
from numbers import Real

import torch
from torch import Tensor

#: Corners of the drawing of Delta^3: class 0 left, class 1 right, class 2 on top (an equilateral triangle of side 1).
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(3) / 2))


def check_distributions(dim: int, **tensors: Tensor) -> None:
    """Check that all tensors are float32/float64, agree in dtype and device, and have the same K >= 2 classes on `dim`.

    Values are not looked at (that would wait for the GPU): a point off the simplex gives the formula's value there, where
    it has one.

    Raises: TypeError for other dtypes, ValueError for shapes.
    """
    sizes = {}
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name}: expected a torch.Tensor, got {type(tensor).__name__}; wrap it in torch.as_tensor")
        if tensor.dtype not in (torch.float32, torch.float64):
            raise TypeError(f"{name}: expected torch.float32 or torch.float64, got {tensor.dtype}; call .float() first")
        if not -tensor.ndim <= dim < tensor.ndim:
            raise ValueError(f"{name}: no class axis dim={dim} in shape {tuple(tensor.shape)}")
        sizes[name] = tensor.shape[dim]
    if min(sizes.values()) < 2 or len(set(sizes.values())) > 1:
        shapes = ", ".join(f"{name} {tuple(tensor.shape)}" for name, tensor in tensors.items())
        raise ValueError(f"expected the same number of classes, at least 2, on dim={dim}; got {shapes}")
    for kind in ("dtype", "device"):
        if len({getattr(tensor, kind) for tensor in tensors.values()}) > 1:
            found = ", ".join(f"{name} {getattr(tensor, kind)}" for name, tensor in tensors.items())
            raise TypeError(f"expected one {kind}, got {found}")


def smallest_probability(dtype: torch.dtype) -> float:
    """The floor epsilon: 7e-16 for float32, 9e-124 for float64. 1/epsilon and its square are finite in that dtype."""
    return torch.finfo(dtype).tiny ** 0.4


def extended_log(x: Tensor) -> Tensor:
    """ln x for x >= epsilon, continued below by the tangent ln epsilon + (x - epsilon) / epsilon. Any shape.

    Value and gradient are finite at 0 (and at rounding errors below it) and the gradient there, 1/epsilon, still says
    "increase x"; a clamp would say nothing. epsilon is `smallest_probability` of the dtype.
    """
    epsilon = smallest_probability(x.dtype)
    tangent = math.log(epsilon) + (x - epsilon) / epsilon
    return torch.where(x >= epsilon, x.clamp_min(epsilon).log(), tangent)


def softmax(logits: Tensor, dim: int = 1) -> Tensor:
    """Softmax over `dim`, no probability below epsilon = `smallest_probability` (before normalisation).

    Equal to ``torch.softmax`` unless a logit lies more than ln(1/epsilon) (34.9 in float32, 283 in float64) below the
    largest. There torch's gradient is exactly zero, so that a confidently wrong prediction could never be mended;
    here the Jacobian diag(p) - p p^T is that of the floored point, and e.g. the cross-entropy's gradient stays p - y.
    Raises: TypeError for other dtypes than float32 and float64, ValueError for fewer than two classes.
    """
    check_distributions(dim, logits=logits)
    below_max = logits - logits.amax(dim, keepdim=True).detach()
    floored = below_max.clamp_min(math.log(smallest_probability(logits.dtype)))
    if not torch.is_grad_enabled():
        return floored.softmax(dim)
    # the value is floored; the gradient passes as if it were not ("straight through": the bracket is zero)
    return (floored.detach() + (logits - logits.detach())).softmax(dim)


def one_hot(labels: Tensor, num_classes: int, dim: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Vertices of the simplex, eq. (2): class indices (B, H, W) or (N,) to distributions (B, K, H, W) or (N, K).

    `labels` holds integers in 0..num_classes-1; the class axis is inserted at `dim`.
    Raises: TypeError if labels are not integers; ValueError if one lies outside the range.
    """
    if (
        not isinstance(labels, Tensor)
        or labels.dtype.is_floating_point
        or labels.dtype.is_complex
        or labels.dtype == torch.bool
    ):
        raise TypeError(f"labels: expected a tensor of integers, got {getattr(labels, 'dtype', type(labels).__name__)}")
    if num_classes < 2:
        raise ValueError(f"num_classes: expected at least 2, got {num_classes}")
    if labels.numel() and not 0 <= int(labels.min()) <= int(labels.max()) < num_classes:
        raise ValueError(
            f"labels: expected 0..{num_classes - 1}, got {int(labels.min())}..{int(labels.max())}; "
            "replace unlabelled (255) and padding (254) pixels first"
        )
    index = labels.long().unsqueeze(dim)
    shape = list(index.shape)
    shape[dim] = num_classes
    return torch.zeros(shape, dtype=dtype, device=labels.device).scatter_(dim, index, 1)


def mix_with_uniform(y: Tensor, eta: float, dim: int = 1) -> Tensor:
    """Soft targets of Fig. 3(d): eta * u + (1 - eta) * y, u the uniform distribution and eta in [0, 1].

    Raises: ValueError if eta lies outside [0, 1].
    """
    check_distributions(dim, y=y)
    if not isinstance(eta, Real) or not 0 <= eta <= 1:
        raise ValueError(f"eta: expected a share in [0, 1], got {eta!r}")
    return eta / y.shape[dim] + (1 - eta) * y


def to_triangle(p: Tensor) -> Tensor:
    """Points of Delta^3, (..., 3), to drawing coordinates (..., 2): the convex combination of the corners `TRIANGLE`.

    The class axis is the last one here.
    Raises: ValueError if it does not hold three classes, TypeError if p is not float32 or float64.
    """
    check_distributions(-1, p=p)
    if p.shape[-1] != 3:
        raise ValueError(f"p: expected three classes on the last axis, got shape {tuple(p.shape)}")
    return p @ torch.tensor(TRIANGLE, dtype=p.dtype, device=p.device)


def from_triangle(xy: Tensor) -> Tensor:
    """Drawing coordinates (..., 2) to barycentric coordinates (..., 3); inverse of `to_triangle`.

    Points outside the triangle get negative coordinates (they sum to one all the same).
    Raises: ValueError if the last axis does not hold two coordinates.
    """
    if xy.shape[-1] != 2:
        raise ValueError(f"xy: expected two coordinates on the last axis, got shape {tuple(xy.shape)}")
    top = xy[..., 1] / TRIANGLE[2][1]
    right = xy[..., 0] - top / 2
    return torch.stack([1 - right - top, right, top], dim=-1)


def triangle_grid(n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """All points of Delta^3 whose coordinates are multiples of 1/n: ((n+1)(n+2)/2, 3)."""
    if n < 1:
        raise ValueError(f"n: expected at least 1, got {n}")
    points = [(n - i - j, i, j) for j in range(n + 1) for i in range(n + 1 - j)]
    return torch.tensor(points, dtype=dtype) / n


def soft_jaccard(y: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
    """Soft Jaccard index of two label maps (section A): sum of minima over sum of maxima, per item of the batch.

    y, z: (B, K, ...) in the simplex; mask: bool (B, ...), the pixels to compare (default: all). Returns (B,) in [0, 1],
    1 where the maps agree (and where the mask is empty).
    Raises: TypeError or ValueError for dtypes and shapes that do not match.
    """
    check_distributions(1, y=y, z=z)
    if y.shape != z.shape:
        raise ValueError(f"expected two label maps of one shape, got {tuple(y.shape)} and {tuple(z.shape)}")
    smaller, larger = torch.minimum(y, z).sum(1), torch.maximum(y, z).sum(1)
    if mask is not None:
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != smaller.shape:
            found = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
            raise ValueError(f"mask: expected a bool tensor {tuple(smaller.shape)}, got {found}")
        smaller, larger = smaller.where(mask, 0), larger.where(mask, 0)
    smaller, larger = (x.reshape(len(y), math.prod(x.shape[1:])).sum(1) for x in (smaller, larger))
    return torch.where(larger > 0, smaller / larger.where(larger > 0, 1), 1)
