"""The protocol by which the torch kernel sees a sub-problem: blocks of pixels, no two of one block neighbours.

All pixels of a block can move at once while the rest is held fixed. A block's labels are (B, h, K, w) and numbers per pixel
(B, h, w). Numbers per edge, one for each pixel and neighbour, have a shape of the layout's own, to which `spread` broadcasts.
Two layouts have blocks: `toykit.solvers.layouts.four_colour_grid` and `toykit.solvers.layouts.edge_list`.
"""

from typing import Protocol

from torch import Tensor


class Block(Protocol):
    """One block of pixels.

    Attributes
    ----------
    labels : Tensor, shape (B, h, K, w)
    target : Tensor, shape (B, h, K, w)
        sigma; ln sigma where the cross-entropy is CE.
    free : Tensor, shape (B, h, w)
        1 for pixels that may move, else 0.
    weights : Tensor
        lam w_ij of each edge.
    """

    labels: Tensor
    target: Tensor
    free: Tensor
    weights: Tensor

    def neighbors_impurity(self) -> Tensor:
        """Return 1 - q.q, q the neighbour at each edge."""
        ...

    def products(self, y: Tensor) -> Tensor:
        """Return y.q at each edge, y (B, h, K, w) labels of the block's pixels."""
        ...

    def spread(self, x: Tensor) -> Tensor:
        """Return numbers per pixel (B, h, w) at their edges."""
        ...

    def total(self, x: Tensor) -> Tensor:
        """Return each pixel's sum of numbers per edge (B, h, w)."""
        ...

    def pull(self, x: Tensor) -> Tensor:
        """Return each pixel's sum over its edges of a number times the neighbour's label (B, h, K, w)."""
        ...

    def move(self, labels: Tensor) -> None:
        """Write the block's labels (B, h, K, w)."""
        ...
