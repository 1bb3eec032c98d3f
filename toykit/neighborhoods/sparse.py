"""Sparse non-local neighbourhoods (SN): the grid's edges, and a few to far pixels of similar colour.

Veksler & Boykov, "Sparse non-local CRF", CVPR 2022: a small number of edges, some of them non-local, instead of all pairs;
the energy can be summed edge by edge, so that any relaxation and any weights are possible. Their paper was not at hand: the
construction here is ours. For each pixel and each of its `far` edges, `candidates` pixels are drawn at random from the whole
image, the same ones for each image of this size and `seed`; the edge ends at the one that is nearest in colour. All edges,
near and far, have the affinity of `toykit.neighborhoods.nearest`: a far edge between unlike colours has almost no weight. A
pixel starts `far` edges and, on average, is reached by as many; an edge that was drawn twice, or is the grid's, counts once.

Candidates lie in another quarter than the pixel (another parity of row or column). So four blocks, the quarters, have no edge
inside, as on the grid alone: a solver can move a whole block at once.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.neighborhoods.nearest import OFFSETS, NearestNeighbors
from toykit.neighborhoods.protocol import FACTORS, Neighborhood, Relaxation


@dataclass(frozen=True)
class SparseNonLocal(Neighborhood):
    """The grid's nearest neighbours, and `far` other pixels of similar colour for each pixel (SN).

    Parameters
    ----------
    bandwidth : float, default 9.0
        Colour bandwidth in units of 0..255; unlike that of `NearestNeighbors`, never "auto".
    connectivity : {4, 8}, default 4
        Number of neighbours on the grid.
    factor : float, default 2.0
        Multiplies bandwidth^2 in the exponent.
    far : int, default 4
        Number of far edges that each pixel starts.
    candidates : int, default 8
        Number of pixels drawn for each far edge, which ends at the one nearest in colour.
    seed : int, default 0
        Seed of the draws.

    Raises
    ------
    ValueError
        For an argument out of range.
    """

    bandwidth: float = 9.0
    connectivity: int = 4
    factor: float = 2.0
    far: int = 4
    candidates: int = 8
    seed: int = 0

    def __post_init__(self):
        check_number("bandwidth", self.bandwidth, FACTORS)
        check_number("factor", self.factor, FACTORS)
        check_choice("connectivity", self.connectivity, OFFSETS)
        for name, least in {"far": 0, "candidates": 1, "seed": 0}.items():
            check_whole(name, getattr(self, name), least)

    def edges(self, image: Tensor, padding: Tensor | None = None) -> "ListEdges":
        """Compute the weighted edges of a batch, see `toykit.neighborhoods.protocol.Neighborhood`."""
        batch, _, height, width = image.shape
        grid = NearestNeighbors(self.bandwidth, self.connectivity, self.factor).edges(image, padding)
        i, j, weights = grid.index_pairs(height, width)
        i, j = i.expand(batch, -1), j.expand(batch, -1)
        rows, columns = (torch.arange(size, device=image.device) for size in (height, width))
        blocks = 2 * (rows[:, None] % 2) + columns % 2
        if self.far and height * width > 1:
            far_i, far_j, distance = self._nearest(image, padding)
            near = (-distance / (self.factor * self.bandwidth**2)).exp()
            i, j, weights = torch.cat([i, far_i], 1), torch.cat([j, far_j], 1), torch.cat([weights, near], 1)
            key = torch.minimum(i, j) * (height * width) + torch.maximum(i, j)
            key, order = key.sort(dim=1, stable=True)  # stable: of two equal edges the grid's own stays
            again = torch.zeros_like(key, dtype=torch.bool)
            again[:, 1:] = key[:, 1:] == key[:, :-1]
            weights = weights.masked_fill(torch.zeros_like(again).scatter(1, order, again), 0)
        return ListEdges(i.contiguous(), j.contiguous(), weights, blocks)

    def _nearest(self, image: Tensor, padding: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Find both ends of the far edges, (B, far H W), and their squared distance in colour, infinite where there is none."""
        batch, _, height, width = image.shape
        colors = image.flatten(2)
        start = torch.arange(height * width, device=image.device).repeat_interleave(self.far)
        outside = None if padding is None else padding.flatten(1)
        best = torch.full((batch, len(start)), torch.inf, dtype=image.dtype, device=image.device)
        nearest = start.expand(batch, -1).clone()
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.candidates):
            end, exists = self._draw(start, height, width, generator)
            distance = (colors[:, :, start] - colors[:, :, end]).square().sum(1).masked_fill(~exists, torch.inf)
            if outside is not None:
                distance = distance.masked_fill(outside[:, start] | outside[:, end], torch.inf)
            closer = distance < best
            best, nearest = torch.where(closer, distance, best), torch.where(closer, end, nearest)
        return start.expand(batch, -1), nearest, best

    @staticmethod
    def _draw(start: Tensor, height: int, width: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a pixel of another quarter for each of `start`; return whether one exists (one row has only two quarters)."""
        turn = torch.randint(1, 4, start.shape, generator=generator).to(start.device)
        where = torch.rand(2, *start.shape, generator=generator, dtype=torch.float64).to(start.device)
        numbers, exists = [], torch.ones_like(start, dtype=torch.bool)
        for own, flip, u, size in (
            (start // width, turn // 2, where[0], height),
            (start % width, turn % 2, where[1], width),
        ):
            parity = (own + flip) % 2
            count = (size - parity + 1) // 2
            exists &= count > 0
            numbers.append(2 * torch.minimum((u * count).long(), (count - 1).clamp_min(0)) + parity)
        row, column = numbers
        return (row * width + column).where(exists, start), exists


@dataclass(frozen=True)
class ListEdges:
    """Edges as lists; see `toykit.neighborhoods.protocol.Edges` for the methods. An edge of weight 0 does not exist.

    Parameters
    ----------
    i, j : Tensor, int64 (B, E)
        Numbers of both ends, pixels counted along rows.
    weights : Tensor, float (B, E)
    blocks : Tensor, int (H, W)
        A number for each pixel, such that no edge joins two pixels with the same number.
    """

    i: Tensor
    j: Tensor
    weights: Tensor
    blocks: Tensor
    listed: ClassVar[bool] = True
    on_grid: ClassVar[bool] = False

    def potts(self, y: Tensor, relaxation: Relaxation) -> Tensor:
        """Compute sum_{ij in N} w_ij P(y_i, y_j) per image: (B,)."""
        sums = [(w * relaxation(x[None, :, i], x[None, :, j])[0]).sum() for x, i, j, w in self._images(y)]
        return torch.stack(sums)

    def weight_by_agreement(self, labels: Tensor, mask: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Return the weight (B,) of the edges between equal, and that between different labels (B, H, W), see `Edges`."""
        if mask is not None:
            return self.within(mask).weight_by_agreement(labels)
        labels = labels.flatten(1)
        same = labels.gather(1, self.i) == labels.gather(1, self.j)
        return self.weights.where(same, 0).sum(1), self.weights.where(~same, 0).sum(1)

    def laplacian(self, y: Tensor) -> Tensor:
        """Compute sum_j w_ij (y_i - y_j) at each pixel i of a map y (B, K, H, W)."""
        flows = []
        for x, i, j, w in self._images(y):
            flow = w * (x[:, i] - x[:, j])
            flows.append(torch.zeros_like(x).index_add(1, i, flow).index_add(1, j, -flow))
        return torch.stack(flows).view_as(y)

    def degree(self) -> Tensor:
        """Compute sum_j w_ij at each pixel i: (B, H, W)."""
        out = self.weights.new_zeros(len(self.weights), self.blocks.numel())
        out.scatter_add_(1, self.i, self.weights).scatter_add_(1, self.j, self.weights)
        return out.view(-1, *self.blocks.shape)

    def within(self, mask: Tensor) -> "ListEdges":
        """Return the edges with both ends in a mask (B, H, W); the others get weight 0."""
        mask = mask.flatten(1)
        return replace(self, weights=self.weights * (mask.gather(1, self.i) & mask.gather(1, self.j)))

    def index_pairs(self, height: int, width: int) -> tuple[Tensor, Tensor, Tensor]:
        """List the edges: i, j and weights, each (B, E). The height and width are those of `blocks`."""
        return self.i, self.j, self.weights

    def __getitem__(self, images: slice | Tensor) -> "ListEdges":
        """Return the edges of some of the images: a slice, which shares memory, or their int64 indices (n,)."""
        return replace(self, i=self.i[images], j=self.j[images], weights=self.weights[images])

    def _images(self, y: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield the map (K, H W), the ends and the weights of each image."""
        return zip(y.flatten(2), self.i, self.j, self.weights, strict=True)
