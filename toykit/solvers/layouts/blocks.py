"""The view that the torch kernel has of a sub-problem: blocks of pixels, no two of one block neighbours.

A block's pixels can all move at once while the rest is held fixed. Its labels are (B, h, K, w), its pixels' numbers (B, h, w);
numbers of its edges, one for each pixel and neighbour, have a shape of the layout's own, to which `spread` broadcasts.
Two layouts have blocks: `toykit.solvers.layouts.four_colour_grid` on the grid, and `EdgeListProblem` here, on any list of edges.
"""

from typing import Protocol

from torch import Tensor


class Block(Protocol):
    """labels, target (B, h, K, w), free (B, h, w); weights: lam w_ij of its edges."""

    labels: Tensor
    target: Tensor
    free: Tensor
    weights: Tensor

    def neighbors_impurity(self) -> Tensor:
        """1 - q.q of the neighbour at each edge."""

    def products(self, y: Tensor) -> Tensor:
        """y.q at each edge, y (B, h, K, w) the block's own labels or others."""

    def spread(self, x: Tensor) -> Tensor:
        """A number of each pixel (B, h, w) at its edges."""

    def total(self, x: Tensor) -> Tensor:
        """Sum of the edges' numbers, for each pixel: (B, h, w)."""

    def pull(self, x: Tensor) -> Tensor:
        """Sum over its edges of a number times the neighbour's label, for each pixel: (B, h, K, w)."""

    def move(self, labels: Tensor) -> None:
        """Write the block's labels."""
