"""Nearest neighbours on the grid (NN): 4 or 8, the paper's own choice.

The affinity of two neighbours falls with their difference in colour,

    w_ij = exp(-||I_i - I_j||^2 / (factor * bandwidth^2)),      factor = 2 by default,

the squared distance summed over all channels (R, G, B, or any others) in units of 0..255. The paper states a bandwidth of 9 on
PASCAL VOC and 3 on Cityscapes and ADE20K, but neither the unit of colour nor the factor: this reading is ours, and both are
arguments here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number
from toykit.neighborhoods.protocol import FACTORS, Neighborhood, Relaxation

#: Row and column offsets that reach each undirected edge once.
OFFSETS = {4: ((0, 1), (1, 0)), 8: ((0, 1), (1, 0), (1, 1), (1, -1))}
#: Pixels whose differences are computed at a time: they fit the cache.
CHUNK = 1 << 16
#: Up to this share of the pixels, a mask's edges are gathered; more would take more memory than the whole map.
FEW = 1 / 16


@dataclass(frozen=True)
class NearestNeighbors(Neighborhood):
    """The grid's nearest neighbours (NN).

    Parameters
    ----------
    bandwidth : float or "auto", default 9.0
        Colour bandwidth in units of 0..255. "auto": per image, bandwidth^2 = mean of ||I_i - I_j||^2 over its edges
        (1 everywhere on a constant image).
    connectivity : {4, 8}, default 4
        Number of neighbours; the paper has 4.
    factor : float, default 2.0
        Multiplies bandwidth^2 in the exponent; 2 makes it the standard deviation of a Gaussian.
    diagonal : float, default 1.0
        Multiplies the weights of diagonal edges; 1 / sqrt(2) brings a cut's weight closer to the boundary's length.

    Raises
    ------
    ValueError
        For a bandwidth, factor or diagonal outside 1e-6..1e6, or another connectivity.
    """

    bandwidth: float | str = 9.0
    connectivity: int = 4
    factor: float = 2.0
    diagonal: float = 1.0

    def __post_init__(self):
        if not isinstance(self.bandwidth, str):
            check_number("bandwidth", self.bandwidth, FACTORS)
        elif self.bandwidth != "auto":
            raise ValueError(f'bandwidth: expected a number in {FACTORS} or "auto", got {self.bandwidth!r}')
        check_number("factor", self.factor, FACTORS)
        check_number("diagonal", self.diagonal, FACTORS)
        check_choice("connectivity", self.connectivity, OFFSETS)

    def edges(self, image: Tensor, padding: Tensor | None = None) -> "GridEdges":
        """Compute the weighted edges of a batch, see `toykit.neighborhoods.protocol.Neighborhood`."""
        offsets = OFFSETS[self.connectivity]
        weights = [_squared_distances(image, offset) for offset in offsets]
        missing = []  # edges with an end in the padding
        if padding is not None and (padding.device.type != "cpu" or bool(padding.any())):
            missing = [a | b for a, b in (_ends(padding, offset) for offset in offsets)]
        for distance, absent in zip(weights, missing, strict=bool(missing)):
            distance.masked_fill_(absent, 0)
        scale: float | Tensor
        if isinstance(self.bandwidth, str):
            count = sum(d[0].numel() for d in weights) - sum(m.flatten(1).sum(1) for m in missing)
            total = _add([d.flatten(1).sum(1) for d in weights])
            scale = self.factor * total / torch.as_tensor(count, device=image.device).clamp_min(1)
            scale = scale.where(scale > 0, 1)[:, None, None]
        else:
            scale = self.factor * self.bandwidth**2
        lengths = [self.diagonal if dy and dx else 1 for dy, dx in offsets]
        if torch.is_grad_enabled() and image.requires_grad:
            weights = [(-distance / scale).exp() * n for distance, n in zip(weights, lengths, strict=True)]
        else:  # in place: of a large photo every copy counts
            for weight, n in zip(weights, lengths, strict=True):
                weight.div_(-scale).exp_().mul_(n)
        for weight, absent in zip(weights, missing, strict=bool(missing)):
            weight.masked_fill_(absent, 0)
        return GridEdges(offsets, tuple(weights))


@dataclass(frozen=True)
class GridEdges:
    """The edges of a batch of grids; see `toykit.neighborhoods.protocol.Edges` for the methods.

    Parameters
    ----------
    offsets : tuple of (int, int)
        (dy, dx) from one end of an edge to the other; each in -1..1, dy >= 0.
    weights : tuple of Tensor, (B, H - abs(dy), W - abs(dx))
        One per offset. Weight [b, r, c] is that of the pixel (r, c + max(0, -dx)) and the pixel (dy, dx) away from it.
    """

    offsets: tuple[tuple[int, int], ...]
    weights: tuple[Tensor, ...]
    listed: ClassVar[bool] = True
    on_grid: ClassVar[bool] = True

    def pairs(self, y: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Yield (p, q, w) for each offset: both ends' values of a map y (B, K, H, W), and the pairs' weights."""
        for offset, weight in zip(self.offsets, self.weights, strict=True):
            p, q = _ends(y, offset)
            yield p, q, weight

    def potts(self, y: Tensor, relaxation: Relaxation) -> Tensor:
        """Compute sum_{ij in N} w_ij P(y_i, y_j) per image: (B,)."""
        return _add([(weight * relaxation(p, q)).flatten(1).sum(1) for p, q, weight in self.pairs(y)])

    def weight_by_agreement(self, labels: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the weight (B,) of the edges between equal, and that between different labels (B, H, W), see `Edges`."""
        if mask is not None and (mask.device.type != "cpu" or mask.sum() > FEW * mask.numel()):
            return self.within(mask).weight_by_agreement(labels)
        sums = self.weights[0].new_zeros(2, len(labels))
        for number, (p, q, weight) in enumerate(self.pairs(labels[:, None])):
            if mask is None:
                same = (p == q)[:, 0]
                sums += torch.stack([weight.where(chosen, 0).flatten(1).sum(1) for chosen in (same, ~same)])
            else:
                a, b = _ends(mask, self.offsets[number])
                image, row, column = (a & b).nonzero(as_tuple=True)
                same = p[image, 0, row, column] == q[image, 0, row, column]
                which, edges = image + len(labels) * ~same, weight[image, row, column]
                sums += which.bincount(edges.double(), sums.numel()).view_as(sums).to(sums.dtype)
        return sums[0], sums[1]

    def laplacian(self, y: Tensor) -> Tensor:
        """Compute sum_j w_ij (y_i - y_j) at each pixel i of a map y (B, K, H, W)."""
        out = torch.zeros_like(y)
        for (p, q, weight), (out_p, out_q, _) in zip(self.pairs(y), self.pairs(out), strict=True):
            flow = weight[:, None] * (p - q)
            out_p += flow
            out_q -= flow
        return out

    def degree(self) -> Tensor:
        """Compute sum_j w_ij at each pixel i: (B, H, W)."""
        (batch, rows, _), columns = self.weights[0].shape, self.weights[1].shape[2]  # of the offsets (0, 1) and (1, 0)
        out = self.weights[0].new_zeros(batch, rows, columns)
        for p, q, weight in self.pairs(out):
            p += weight
            q += weight
        return out

    def __getitem__(self, images: slice | Tensor) -> "GridEdges":
        """Return the edges of some of the images: a slice, which shares memory, or their int64 indices (n,)."""
        return GridEdges(self.offsets, tuple(weight[images] for weight in self.weights))

    def within(self, mask: Tensor) -> "GridEdges":
        """Return the edges with both ends in a mask (B, H, W); the others get weight 0."""
        ends = (_ends(mask, offset) for offset in self.offsets)
        return GridEdges(self.offsets, tuple(w * (a & b) for w, (a, b) in zip(self.weights, ends, strict=True)))

    def index_pairs(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """List the edges: pixel numbers i and j (E,), counted along rows, and weights (B, E)."""
        numbers = torch.arange(height * width, device=self.weights[0].device).view(1, 1, height, width)
        ends = [(p.flatten(), q.flatten(), w.flatten(1)) for p, q, w in self.pairs(numbers)]
        return torch.cat([e[0] for e in ends]), torch.cat([e[1] for e in ends]), torch.cat([e[2] for e in ends], 1)


def _squared_distances(image: Tensor, offset: tuple[int, int]) -> Tensor:
    """Compute ||I_i - I_j||^2 of the edges with this offset."""
    first, second = _ends(image, offset)
    out = torch.empty_like(first[:, 0], memory_format=torch.contiguous_format)
    rows = max(1, CHUNK // max(1, len(image) * out.shape[2]))
    for top in range(0, out.shape[1], rows):
        part = slice(top, top + rows)
        out[:, part] = (first[:, :, part] - second[:, :, part]).square_().sum(1)
    return out


def _add(terms: list[Tensor]) -> Tensor:
    """Add tensors of one shape from left to right."""
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def _ends(x: Tensor, offset: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return views of x (..., H, W) at both ends of the edges with this offset (empty where the image is too small)."""
    dy, dx = offset
    height, width = x.shape[-2:]
    rows, left, right = max(height - dy, 0), max(-dx, 0), max(dx, 0)
    columns = max(width - abs(dx), 0)
    first = x[..., :rows, left : left + columns]
    second = x[..., dy : dy + rows, right : right + columns]
    return first, second
