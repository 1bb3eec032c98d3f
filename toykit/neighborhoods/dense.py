"""Dense neighbourhoods (DN): every pair of pixels, with affinities that fall with distance in the image and in colour.

    w_ij = exp(-||x_i - x_j||^2 / (2 spatial_bandwidth^2) - ||I_i - I_j||^2 / (2 bandwidth^2)),   x in pixels, I in 0..255

(Kraehenbuehl & Koltun 2011; section 3.3). N pixels have about N^2 / 2 edges, too many to visit. With d_i = sum_j w_ij,

    sum_ij w_ij ||y_i - y_j||^2 / 2  =  sum_i y_i . (d_i y_i - sum_j w_ij y_j) / 2                                    (Q)
    sum_ij w_ij (1 - y_i . y_j)      =  the same + sum_i d_i (1 - ||y_i||^2) / 2                                     (BL)

so that one filtering of y (`toykit.neighborhoods.bilateral`) gives value and gradient. The other relaxations are not
quadratic in y and have no such form: this is the paper's reason for BL and Q only. Both sums are over unordered pairs of two
different pixels and >= 0. Code for dense losses that omits the d_i, a constant for BL on hard labels, gives negative values.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from toykit._shared.arguments import check_flag, check_number, check_whole
from toykit.neighborhoods.bilateral import BilateralGrid, BruteForce
from toykit.neighborhoods.protocol import FACTORS, Neighborhood, Relaxation
from toykit.potts import RELAXATIONS
from toykit.simplex import one_hot

#: The relaxations that are quadratic in the labels: their sum over all pairs is a filtering.
QUADRATIC = ("BL", "Q")


@dataclass(frozen=True)
class Dense(Neighborhood):
    """All pairs of pixels (DN). The default bandwidths are the paper's: 100 in space, 9 in colour.

    Parameters
    ----------
    bandwidth : float, default 9.0
        Colour bandwidth in units of 0..255.
    spatial_bandwidth : float, default 100.0
        Bandwidth of distance, in pixels.
    downscale : int, default 1
        Pool squares of this side: their pixels take the square's mean colour and its centre. About downscale^2 times faster.
        A pixel's weight with another pixel of its square is 1.
    exact : bool, default False
        Sum over all pairs, O(N^2), instead of filtering: for small images and for tests.

    Raises
    ------
    ValueError
        For a bandwidth outside 1e-6..1e6, or a downscale that is not a whole number >= 1.
    TypeError
        For an `exact` that is not a bool.
    """

    bandwidth: float = 9.0
    spatial_bandwidth: float = 100.0
    downscale: int = 1
    exact: bool = False

    def __post_init__(self):
        check_number("bandwidth", self.bandwidth, FACTORS)
        check_number("spatial_bandwidth", self.spatial_bandwidth, FACTORS)
        check_whole("downscale", self.downscale)
        check_flag("exact", self.exact)

    @classmethod
    def rloss(cls) -> "Dense":
        """Return bandwidths 15 and 100 at half resolution, as in the dense CRF loss of Tang et al. 2018.

        Their code sums over the squares' mean labels. Here the sum is over pixels, 16 times as large.
        """
        return cls(bandwidth=15.0, spatial_bandwidth=100.0, downscale=2)

    def check_relaxation(self, name: str) -> None:
        """Raise ValueError for a relaxation that is not `QUADRATIC`."""
        _check_quadratic(name)

    def scaled(self, factor: float) -> "Dense":
        """Return the neighbourhood with `spatial_bandwidth` multiplied by `factor`."""
        return replace(self, spatial_bandwidth=self.spatial_bandwidth * factor)

    def edges(self, image: Tensor, padding: Tensor | None = None) -> "DenseEdges":
        """Build the filters of a batch, see `toykit.neighborhoods.protocol.Neighborhood`.

        Raises
        ------
        ValueError
            If a photo's colours spread over too many bandwidths, see `toykit.neighborhoods.bilateral.BilateralGrid`.
        """
        inside = torch.ones_like(image[:, 0], dtype=torch.bool) if padding is None else ~padding
        method = BruteForce if self.exact else BilateralGrid
        filters = [method(self._features(*pair)) for pair in zip(image.detach(), inside, strict=True)]
        return DenseEdges(tuple(filters), inside, self.downscale)

    def _features(self, image: Tensor, inside: Tensor) -> Tensor:
        """Compute features (2 + C, N) in bandwidths: row, column, colour along principal axes; in padding, the mean colour."""
        share = _pool(inside[None].to(image.dtype), self.downscale)
        colors = _pool(image * inside, self.downscale) / share.where(share > 0, 1)
        there = share.flatten() > 0
        colors = colors.flatten(1)
        colors = (colors - colors[:, there].mean(1, keepdim=True)).where(there, 0) if there.any() else 0 * colors
        axes = torch.linalg.eigh((colors @ colors.T).double()).eigenvectors.flip(1).to(image.dtype)
        rows, columns = (
            torch.arange(size, dtype=image.dtype, device=image.device) * self.downscale for size in share.shape[1:]
        )
        places = torch.stack(torch.meshgrid(rows, columns, indexing="ij")).flatten(1)
        return torch.cat([places / self.spatial_bandwidth, axes.T @ colors / self.bandwidth])


@dataclass(frozen=True)
class DenseEdges:
    """All pairs of pixels of a batch, as filters; see `toykit.neighborhoods.protocol.Edges` for the methods.

    Parameters
    ----------
    filters : tuple of BilateralGrid or BruteForce
        One per image.
    inside : Tensor, bool (B, H, W)
        The pixels that are joined.
    downscale : int, default 1
        See `Dense`.
    """

    filters: tuple[BilateralGrid | BruteForce, ...]
    inside: Tensor
    downscale: int = 1
    listed: ClassVar[bool] = False
    on_grid: ClassVar[bool] = False

    def filter(self, y: Tensor) -> Tensor:
        """Compute sum_{j != i} w_ij y_j at each pixel i of a map y (B, K, H, W); zero outside. Differentiable in y."""
        return _Filter.apply(y, self)

    def potts(self, y: Tensor, relaxation: Relaxation) -> Tensor:
        """Compute sum_{ij in N} w_ij P(y_i, y_j) per image: (B,). Raises ValueError unless P is `QUADRATIC`."""
        if not any(relaxation is RELAXATIONS[name] for name in QUADRATIC):
            _check_quadratic(getattr(relaxation, "__name__", repr(relaxation)))
        flow = self.laplacian(y.detach())
        # L y is the gradient of y.L y / 2, available without another filtering; with the mean removed, y.L y cancels less
        centred = y - y.detach().mean((2, 3), keepdim=True)
        value = (centred * flow).flatten(1).sum(1) - (centred.detach() * flow).flatten(1).sum(1) / 2
        value = value + (value.detach().clamp_min(0) - value.detach())  # rounding
        if relaxation is RELAXATIONS["BL"]:
            value = value + (self.degree() * (1 - y.square().sum(1))).flatten(1).sum(1) / 2
        return value

    def weight_by_agreement(self, labels: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the weight (B,) of the pairs of equal, and that of different labels (B, H, W), see `Edges`."""
        if mask is not None:
            return self.within(mask).weight_by_agreement(labels)
        degree = self.degree()
        total = degree.flatten(1).sum(1) / 2
        if not bool(total.any()):
            return total, torch.zeros_like(total)
        known = labels.where(self.inside, 0)
        vertices = one_hot(known, max(2, int(known.max()) + 1), dtype=degree.dtype)
        different = self.potts(vertices, RELAXATIONS["Q"])
        return (total - different).clamp_min(0), different

    def laplacian(self, y: Tensor) -> Tensor:
        """Compute sum_j w_ij (y_i - y_j) at each pixel i of a map y (B, K, H, W); zero outside."""
        centred = y - y.detach().mean((2, 3), keepdim=True)
        return self.degree()[:, None] * centred - self.filter(centred)

    def degree(self) -> Tensor:
        """Compute sum_j w_ij at each pixel i: (B, H, W)."""
        return self._degree

    @cached_property
    def _degree(self) -> Tensor:
        return self.filter(self.inside[:, None].to(self.filters[0].dtype))[:, 0].clamp_min(0)

    @cached_property
    def everywhere(self) -> bool:
        """Whether all pixels are joined."""
        return bool(self.inside.all())

    def within(self, mask: Tensor) -> "DenseEdges":
        """Return the pairs with both ends in a mask (B, H, W)."""
        return replace(self, inside=self.inside & mask)

    def index_pairs(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Raise ValueError: the pairs are not `listed`."""
        raise ValueError("dense neighbourhoods have no list of edges; take NearestNeighbors() or SparseNonLocal()")

    def __getitem__(self, images: slice | Tensor) -> "DenseEdges":
        """Return the pairs of some of the images: a slice, which shares memory, or their int64 indices (n,)."""
        numbers = range(len(self.filters))[images] if isinstance(images, slice) else images.tolist()
        return replace(self, filters=tuple(self.filters[i] for i in numbers), inside=self.inside[images])


class _Filter(torch.autograd.Function):
    """The filter as a differentiable function. It is linear and symmetric, so the gradient is filtered too."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, edges: DenseEdges) -> Tensor:
        ctx.edges = edges
        height, width = y.shape[2:]
        out = torch.empty_like(y)
        for b, (values, inside, filter) in enumerate(zip(y, edges.inside, edges.filters, strict=True)):
            values = values if edges.everywhere else values * inside
            pooled = _pool(values, edges.downscale)
            sums = filter(pooled.flatten(1).T).T.reshape(pooled.shape)
            if edges.downscale > 1:
                sums = torch.sub(_repeat(sums + pooled, edges.downscale)[:, :height, :width], values, out=out[b])
            torch.mul(sums, inside, out=out[b])
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (gradient,) = gradients
        return _Filter.apply(gradient, ctx.edges), None


def _check_quadratic(name: str) -> None:
    """Raise ValueError unless the relaxation is quadratic in the labels."""
    if name not in QUADRATIC:
        raise ValueError(
            f'relaxation: dense neighbourhoods take "BL" or "Q", got {name!r}: only these are quadratic in the labels, so '
            "that the sum over all pairs is a filtering (section 3.3); take NearestNeighbors() or SparseNonLocal()"
        )


def _repeat(x: Tensor, side: int) -> Tensor:
    """Repeat the values of (C, h, w) over squares of pixels. In one copy, which repeat_interleave needs several for."""
    repeated = x[:, :, None, :, None].expand(-1, -1, side, -1, side)
    return repeated.reshape(len(x), x.shape[1] * side, x.shape[2] * side)


def _pool(x: Tensor, side: int) -> Tensor:
    """Sum (C, H, W) over squares, the last ones smaller where they do not fit."""
    return x if side == 1 else avg_pool2d(x[None], side, ceil_mode=True, divisor_override=1)[0]
