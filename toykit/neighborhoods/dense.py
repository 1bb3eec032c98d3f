"""Dense neighbourhoods (DN): every pair of pixels, with affinities that fall with distance in the image and in colour.

    w_ij = exp(-||x_i - x_j||^2 / (2 spatial_bandwidth^2) - ||I_i - I_j||^2 / (2 bandwidth^2)),   x in pixels, I in 0..255

(Kraehenbuehl & Koltun 2011; section 3.3). N pixels have N^2 / 2 edges, which nobody can visit: with d_i = sum_j w_ij,

    sum_ij w_ij ||y_i - y_j||^2 / 2  =  sum_i y_i . (d_i y_i - sum_j w_ij y_j) / 2                                    (Q)
    sum_ij w_ij (1 - y_i . y_j)      =  the same + sum_i d_i (1 - ||y_i||^2) / 2                                     (BL)

so that one filtering of y (`toykit.neighborhoods.bilateral`) gives value and gradient. The other relaxations are not
quadratic in y and have no such form: this is the paper's reason for BL and Q only. Both sums are over unordered pairs of two
different pixels and >= 0; code for dense losses that drops the d_i, a constant for BL on hard labels, goes below zero.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from toykit._shared.arguments import check_whole
from toykit.neighborhoods.bilateral import BilateralGrid, BruteForce
from toykit.neighborhoods.edges import Relaxation, check_range
from toykit.potts import RELAXATIONS
from toykit.simplex import one_hot


@dataclass(frozen=True)
class Dense:
    """All pairs of pixels. The defaults are the paper's: "bandwidth 100" in space, 9 in colour.

    bandwidth: of colour, in units of 0..255. spatial_bandwidth: in pixels.
    downscale: pixels take the mean colour and the centre of their square of so many pixels a side: about its square times as
        quick; a pixel's weight with another in its square is 1.
    exact: sum over all pairs instead of filtering, O(N^2): for small images and for tests.

    Raises: ValueError for a bandwidth outside 1e-6..1e6 or a downscale that is not a whole number, at least 1.
    """

    bandwidth: float = 9.0
    spatial_bandwidth: float = 100.0
    downscale: int = 1
    exact: bool = False

    def __post_init__(self):
        check_range("bandwidth", self.bandwidth)
        check_range("spatial_bandwidth", self.spatial_bandwidth)
        check_whole("downscale", self.downscale)
        if not isinstance(self.exact, bool):
            raise ValueError(f"exact: expected True or False, got {self.exact!r}")

    @classmethod
    def rloss(cls) -> "Dense":
        """Bandwidths 15 and 100 at half resolution, as in the dense CRF loss of Tang et al. 2018.

        That code sums over the squares' mean labels and divides by them; here the sum is over pixels, 16 times as large.
        """
        return cls(bandwidth=15.0, spatial_bandwidth=100.0, downscale=2)

    @staticmethod
    def check_relaxation(name: str) -> None:
        """Raise ValueError for a relaxation that no filter serves."""
        if name not in ("BL", "Q"):
            raise ValueError(
                f'relaxation: dense neighbourhoods take "BL" or "Q", got {name!r}: only these are quadratic in the labels, so '
                "that the sum over all pairs is a filtering (section 3.3); take NearestNeighbors() or SparseNonLocal()"
            )

    def edges(self, image: Tensor, padding: Tensor | None = None) -> "DenseEdges":
        """The filters of a batch: image float (B, 3, H, W) in 0..255; padding bool (B, H, W), by default nowhere.

        Raises: ValueError where a photo's colours spread over too many bandwidths, see `BilateralGrid`.
        """
        inside = torch.ones_like(image[:, 0], dtype=torch.bool) if padding is None else ~padding
        method = BruteForce if self.exact else BilateralGrid
        filters = [method(self._features(*pair)) for pair in zip(image.detach(), inside, strict=True)]
        return DenseEdges(tuple(filters), inside, self.downscale)

    def _features(self, image: Tensor, inside: Tensor) -> Tensor:
        """(5, N), in bandwidths: rows, columns, and colours along their principal axes. Padding has the mean colour."""
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
    """All pairs of the pixels in `inside` (B, H, W), by one filter an image; no list of edges."""

    filters: tuple[BilateralGrid | BruteForce, ...]
    inside: Tensor
    downscale: int = 1

    def filter(self, y: Tensor) -> Tensor:
        """sum_{j != i} w_ij y_j for each pixel i, of a map y (B, K, H, W); differentiable in y. Zero outside."""
        return _Filter.apply(y, self)

    def potts(self, y: Tensor, relaxation: Relaxation) -> Tensor:
        """sum over the pairs of w_ij P(y_i, y_j), per image: (B,). Raises: ValueError unless P is BL or Q."""
        if relaxation not in (RELAXATIONS["BL"], RELAXATIONS["Q"]):
            Dense.check_relaxation(getattr(relaxation, "__name__", repr(relaxation)))
        flow = self.laplacian(y.detach())
        # L y is the gradient of y.L y / 2, known without another filtering; less the mean, y.L y has less to cancel
        centred = y - y.detach().mean((2, 3), keepdim=True)
        value = (centred * flow).flatten(1).sum(1) - (centred.detach() * flow).flatten(1).sum(1) / 2
        value = value + (value.detach().clamp_min(0) - value.detach())  # rounding
        if relaxation is RELAXATIONS["BL"]:
            value = value + (self.degree() * (1 - y.square().sum(1))).flatten(1).sum(1) / 2
        return value

    def weight_by_agreement(self, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Weight of the pairs of equal and of different labels (B, H, W), per image: (B,), (B,)."""
        degree = self.degree()
        total = degree.flatten(1).sum(1) / 2
        if not bool(total.any()):
            return total, torch.zeros_like(total)
        known = labels.where(self.inside, 0)
        vertices = one_hot(known, max(2, int(known.max()) + 1), dtype=degree.dtype)
        different = self.potts(vertices, RELAXATIONS["Q"])
        return (total - different).clamp_min(0), different

    def laplacian(self, y: Tensor) -> Tensor:
        """sum_j w_ij (y_i - y_j) for each pixel i, of a map y (B, K, H, W); zero outside."""
        centred = y - y.detach().mean((2, 3), keepdim=True)
        return self.degree()[:, None] * centred - self.filter(centred)

    def degree(self) -> Tensor:
        """sum_j w_ij for each pixel i: (B, H, W)."""
        return self._degree

    @cached_property
    def _degree(self) -> Tensor:
        return self.filter(self.inside[:, None].to(self.filters[0].dtype))[:, 0].clamp_min(0)

    def within(self, mask: Tensor) -> "DenseEdges":
        """The pairs with both ends in a mask (B, H, W)."""
        return replace(self, inside=self.inside & mask)

    def __getitem__(self, images: slice | Tensor) -> "DenseEdges":
        """The pairs of some of the images: a slice, which shares memory, or their int64 indices (n,)."""
        numbers = range(len(self.filters))[images] if isinstance(images, slice) else images.tolist()
        return replace(self, filters=tuple(self.filters[i] for i in numbers), inside=self.inside[images])


class _Filter(torch.autograd.Function):
    """The filter is linear and symmetric: it is its own derivative's adjoint."""

    @staticmethod
    def forward(ctx, y: Tensor, edges: DenseEdges) -> Tensor:
        ctx.edges = edges
        height, width = y.shape[2:]
        out = torch.empty_like(y)
        for b, (values, inside, filter) in enumerate(zip(y, edges.inside, edges.filters, strict=True)):
            values = values * inside
            pooled = _pool(values, edges.downscale)
            sums = filter(pooled.flatten(1).T.contiguous()).T.reshape(pooled.shape) + pooled
            for axis in (1, 2):
                sums = sums.repeat_interleave(edges.downscale, axis)
            out[b] = (sums[:, :height, :width] - values) * inside
        return out

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return _Filter.apply(gradient, ctx.edges), None


def _pool(x: Tensor, side: int) -> Tensor:
    """Sums over squares of (C, H, W), the last ones smaller where they do not fit."""
    return x if side == 1 else avg_pool2d(x[None], side, ceil_mode=True, divisor_override=1)[0]
