"""The probability simplex, where soft labels and predictions live (paper, section 1.1; soft Jaccard index: section A).

Delta^K = {p : p^k >= 0, sum_k p^k = 1}. Its vertices are the one-hot labels of eq. (2); its centre is the uniform
distribution. The class axis is ``dim=1`` everywhere, so both (N, K) tables and (B, K, H, W) label maps work.

Two functions keep all values and gradients of the toolkit finite. `extended_log` is ln, continued by its tangent below a
tiny probability. `softmax` is torch's, with a floor under probabilities that are too small to carry a gradient.
"""

import math

import torch
from torch import Tensor

from toykit._shared.arguments import check_number, check_whole
from toykit._shared.floored_softmax import FlooredSoftmax

#: Corners of the drawing of Delta^3: class 0 left, class 1 right, class 2 on top (an equilateral triangle of side 1).
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.5, math.sqrt(3) / 2))


def check_distributions(dim: int, **tensors: Tensor) -> None:
    """Check that tensors may hold distributions over the same classes.

    Values are not checked, because that would wait for the GPU. Off the simplex, a formula gives its own value where it
    has one.

    Parameters
    ----------
    dim : int
        The class axis.
    **tensors : Tensor
        Tensors by the name that an error message uses. All must be float32 or all float64, on one device, with the same
        K >= 2 classes on `dim`.

    Raises
    ------
    TypeError, ValueError
        For other types, dtypes and devices; for other shapes.
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
            kinds = ", ".join(f"{name} {getattr(tensor, kind)}" for name, tensor in tensors.items())
            raise TypeError(f"expected one {kind}, got {kinds}")


def smallest_probability(dtype: torch.dtype) -> float:
    """Return the floor epsilon of probabilities: 7e-16 for float32, 9e-124 for float64.

    It is tiny^0.4, where tiny is the smallest normal number of the dtype. Both 1/epsilon and its square are finite in it.
    """
    return torch.finfo(dtype).tiny ** 0.4


def extended_log(x: Tensor) -> Tensor:
    """Compute ln x, continued by its tangent below a tiny probability.

    Parameters
    ----------
    x : Tensor, any shape, float32 or float64

    Returns
    -------
    Tensor, same shape
        ln x for x >= epsilon; ln epsilon + (x - epsilon) / epsilon below. epsilon is `smallest_probability` of the dtype.

    Notes
    -----
    Value and gradient are finite at 0, and at rounding errors below it. The gradient there is 1/epsilon, so a descent step
    still moves x away from 0; a clamp would have gradient 0.
    """
    epsilon = smallest_probability(x.dtype)
    tangent = math.log(epsilon) + (x - epsilon) / epsilon
    return torch.where(x >= epsilon, x.clamp_min(epsilon).log(), tangent)


def softmax(logits: Tensor, dim: int = 1) -> Tensor:
    """Compute softmax with a floor under very small probabilities.

    Parameters
    ----------
    logits : Tensor, float32 or float64
        At least two classes on `dim`.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor, same shape and dtype
        Distributions. Before normalisation no probability is below epsilon = `smallest_probability`.

    Raises
    ------
    TypeError, ValueError
        For other dtypes than float32 and float64; for fewer than two classes.

    Notes
    -----
    Up to rounding the result equals ``torch.softmax`` unless a logit lies more than ln(1/epsilon) (34.9 in float32, 283 in
    float64) below the largest. There torch's gradient is exactly zero, so a confidently wrong prediction could never be
    corrected. Here the Jacobian diag(p) - p p^T is that of the floored point; the gradient of the
    cross-entropy, for example, remains p - y.
    """
    check_distributions(dim, logits=logits)
    return FlooredSoftmax.apply(logits, dim, math.log(smallest_probability(logits.dtype)))


def one_hot(labels: Tensor, num_classes: int, dim: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    """Convert class indices to vertices of the simplex, eq. (2).

    Parameters
    ----------
    labels : Tensor of integers, e.g. shape (B, H, W) or (N,)
        Class ids in 0..num_classes-1.
    num_classes : int
        Number of classes K, at least 2.
    dim : int, default 1
        Where the class axis is inserted.
    dtype : torch.dtype, default torch.float32

    Returns
    -------
    Tensor, e.g. shape (B, K, H, W) or (N, K)
        One-hot distributions.

    Raises
    ------
    TypeError, ValueError
        If `labels` is not a tensor of integers; if a label lies outside the range.
    """
    whole = isinstance(labels, Tensor) and not labels.dtype.is_floating_point and not labels.dtype.is_complex
    if not whole or labels.dtype == torch.bool:
        raise TypeError(f"labels: expected a tensor of integers, got {getattr(labels, 'dtype', type(labels).__name__)}")
    check_whole("num_classes", num_classes, 2)
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
    """Mix distributions with the uniform one: the soft targets of Fig. 3(d).

    Parameters
    ----------
    y : Tensor, float32 or float64
        Distributions with K classes on `dim`.
    eta : float
        Share of the uniform distribution, in [0, 1].
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor, same shape
        eta / K + (1 - eta) y.

    Raises
    ------
    TypeError, ValueError
        For another dtype of `y`; if `eta` lies outside [0, 1].
    """
    check_distributions(dim, y=y)
    check_number("eta", eta, "[0, 1]")
    return eta / y.shape[dim] + (1 - eta) * y


def most_likely(scores: Tensor) -> Tensor:
    """Return the class of the largest score, or label, at each pixel.

    Parameters
    ----------
    scores : Tensor, shape (K, H, W)

    Returns
    -------
    Tensor, int64, shape (H, W)
        Of equal scores the lowest class id.
    """
    if scores.device.type == "cpu":  # the first of equals, as argmax, which is many times slower there
        return scores.max(0).indices
    return scores.argmax(0)


def to_triangle(p: Tensor) -> Tensor:
    """Convert points of Delta^3 to coordinates of its drawing.

    Parameters
    ----------
    p : Tensor, shape (..., 3), float32 or float64
        Distributions over three classes; here the class axis is the last one.

    Returns
    -------
    Tensor, shape (..., 2)
        (x, y): the convex combination of the corners `TRIANGLE`.

    Raises
    ------
    TypeError, ValueError
        If `p` is not float32 or float64; if the last axis does not hold three classes.
    """
    check_distributions(-1, p=p)
    if p.shape[-1] != 3:
        raise ValueError(f"p: expected three classes on the last axis, got shape {tuple(p.shape)}")
    return p @ torch.tensor(TRIANGLE, dtype=p.dtype, device=p.device)


def triangle_grid(n: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return all points of Delta^3 whose coordinates are multiples of 1/n.

    Parameters
    ----------
    n : int
        Number of intervals per side, at least 1 (otherwise ValueError).
    dtype : torch.dtype, default torch.float64

    Returns
    -------
    Tensor, shape ((n+1)(n+2)/2, 3)
    """
    check_whole("n", n)
    points = [(n - i - j, i, j) for j in range(n + 1) for i in range(n + 1 - j)]
    return torch.tensor(points, dtype=dtype) / n


def soft_jaccard(y: Tensor, z: Tensor, mask: Tensor | None = None) -> Tensor:
    """Compute the soft Jaccard index of two label maps, per image.

    Parameters
    ----------
    y, z : Tensor, shape (B, K, ...), float32 or float64
        Two maps of distributions over the same K >= 2 classes, for example pseudo-labels from two solvers.
    mask : Tensor, shape (B, ...), bool, optional
        True at the pixels to compare. Default: all pixels.

    Returns
    -------
    Tensor, shape (B,)
        Similarity in [0, 1]: 1 where the maps agree (and where the mask is empty), 0 for disjoint labels.

    Raises
    ------
    TypeError, ValueError
        For other dtypes of the maps; if the maps differ in shape, or the mask is not a bool tensor of shape (B, ...).

    Notes
    -----
    The index is the sum of minima over the sum of maxima, over pixels i and classes k::

        J(y, z) = sum_ik min(y_i^k, z_i^k) / sum_ik max(y_i^k, z_i^k)

    The paper (section A) compares its solver with the closed-form optimum by this index: 99.2% on average over 100 images.

    Examples
    --------
    >>> y = torch.tensor([[0.5, 0.5]])
    >>> z = torch.tensor([[1.0, 0.0]])
    >>> tk.soft_jaccard(y, z)
    tensor([0.3333])
    """
    check_distributions(1, y=y, z=z)
    if y.shape != z.shape:
        raise ValueError(f"expected two label maps of one shape, got {tuple(y.shape)} and {tuple(z.shape)}")
    smaller, larger = torch.minimum(y, z).sum(1), torch.maximum(y, z).sum(1)
    if mask is not None:
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != smaller.shape:
            received = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
            raise ValueError(f"mask: expected a bool tensor {tuple(smaller.shape)}, got {received}")
        smaller, larger = smaller.where(mask, 0), larger.where(mask, 0)
    smaller, larger = (x.reshape(len(y), math.prod(x.shape[1:])).sum(1) for x in (smaller, larger))
    return torch.where(larger > 0, smaller / larger.where(larger > 0, 1), 1)
