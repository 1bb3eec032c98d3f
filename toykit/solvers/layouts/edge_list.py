"""The layout of any list of edges: one image's pixels in blocks, the edges of each block and its neighbours by number."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.neighborhoods import ListEdges
from toykit.simplex import extended_log


@dataclass(frozen=True)
class EdgeListProblem:
    """One image's sub-problem on a list of edges.

    Edges between two seeds are left out: they are the constant of `Subproblem.constant`.

    Attributes
    ----------
    labels, target : Tensor, shape (1, N, K, 1)
        Labels, updated in place; sigma (ln sigma where the cross-entropy is CE).
    free : Tensor, shape (1, N, 1)
        1 for pixels that may move, else 0.
    parts : tuple of tuples of four Tensors
        For each block, the numbers of its n pixels (n,); then for its E edges the pixel's place in the block, the number of
        the neighbour, and lam w_ij, each (E,). Edges are sorted by pixel.
    size : tuple of int
        Height and width of the image.
    """

    labels: Tensor
    target: Tensor
    free: Tensor
    parts: tuple[tuple[Tensor, Tensor, Tensor, Tensor], ...]
    size: tuple[int, int]

    def blocks(self) -> Iterator["ListedBlock"]:
        """Iterate over the blocks; each sees the labels that those before it have written."""
        for part in self.parts:
            yield ListedBlock(self, *part)

    @cached_property
    def rows(self) -> list[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """The parts in compressed form: instead of each edge's pixel, the number of each pixel's first edge (n + 1,)."""
        rows = []
        for pixels, place, neighbors, weights in self.parts:
            starts = torch.zeros(len(pixels) + 1, dtype=torch.long)
            starts[1:] = torch.bincount(place, minlength=len(pixels)).cumsum(0)
            rows.append((pixels, starts, neighbors, weights))
        return rows

    def at_pixels(self, x: Tensor) -> Tensor:
        """Return the image's number (1,), shaped to multiply `free`."""
        return x.view(-1, 1, 1)

    def restore(self, labels: Tensor, images: Tensor) -> None:
        """Replace the labels by others (1, K, H, W) if `images`, bool (1,), is true."""
        if bool(images):
            self.labels.copy_(labels.flatten(2).transpose(1, 2)[..., None])

    def unpack(self) -> Tensor:
        """Return a copy of the labels (1, K, H, W)."""
        labels = self.labels[..., 0].transpose(1, 2).unflatten(2, self.size)
        return labels.clone(memory_format=torch.contiguous_format)


class ListedBlock:
    """A `toykit.solvers.layouts.blocks.Block` of a list of edges: neighbours are gathered, sums scattered."""

    def __init__(self, listing: EdgeListProblem, pixels: Tensor, place: Tensor, neighbors: Tensor, weights: Tensor):
        self.listing, self.pixels, self.place = listing, pixels, place
        self.labels, self.target = listing.labels[:, pixels], listing.target[:, pixels]
        self.free, self.weights = listing.free[:, pixels], weights[None, :, None]
        self.neighbors = listing.labels[:, neighbors]  # 1 E K 1

    def neighbors_impurity(self) -> Tensor:
        return (self.neighbors * (1 - self.neighbors)).sum(2)

    def products(self, y: Tensor) -> Tensor:
        return (y[:, self.place] * self.neighbors).sum(2)

    def spread(self, x: Tensor) -> Tensor:
        return x[:, self.place]

    def total(self, x: Tensor) -> Tensor:
        return torch.zeros_like(self.free).index_add_(1, self.place, x)

    def pull(self, x: Tensor) -> Tensor:
        return torch.zeros_like(self.labels).index_add_(1, self.place, x[:, :, None] * self.neighbors)

    def move(self, labels: Tensor) -> None:
        self.listing.labels[:, self.pixels] = labels


def list_edges(problem: Subproblem, start: Tensor) -> EdgeListProblem:
    """Return one image's sub-problem in this layout.

    Parameters
    ----------
    problem : Subproblem
        Of one image, on a list of edges.
    start : Tensor, shape (1, K, H, W)
        Labels to start from.

    Raises
    ------
    TypeError
        For several images, or edges that are not a list.
    """
    energy, edges, sigma = problem.energy, problem.edges, problem.sigma
    if not isinstance(edges, ListEdges) or len(sigma) != 1:
        raise TypeError(f"expected one image and a list of edges, got {len(sigma)} images and {type(edges).__name__}")
    weights = energy.lam * (edges.weights - edges.within(problem.is_seed).weights)[0]
    there = weights > 0
    i, j, weights = edges.i[0, there], edges.j[0, there], weights[there]
    i, j, weights = torch.cat([i, j]), torch.cat([j, i]), torch.cat([weights, weights])
    order = i.argsort(stable=True)
    i, j, weights = i[order], j[order], weights[order]
    free = problem.unlabelled.flatten()
    number = edges.blocks.flatten()
    parts = []
    for block in number.unique():
        # seeds are included, though they do not move: their edges count in the energy
        pixels = (number == block).nonzero()[:, 0]
        place = torch.zeros_like(number).scatter(0, pixels, torch.arange(len(pixels), device=pixels.device))
        mine = number[i] == block
        parts.append((pixels, place[i[mine]], j[mine], weights[mine]))
    target = extended_log(sigma) if energy.cross_entropy == "CE" else sigma
    labels, target = (x.flatten(2).transpose(1, 2)[..., None].contiguous() for x in (start, target))
    height, width = sigma.shape[2:]
    return EdgeListProblem(labels, target, free[None, :, None].to(sigma.dtype), tuple(parts), (height, width))
