"""Where points lie between the nodes of a regular grid, and the grid's blur: what both versions of the bilateral grid share."""

import math

import torch
from torch import Tensor

#: Side of a cell in standard deviations; the blur reaches this many cells to each side, 3.8 of its standard deviations.
CELL, TAPS = 0.7, 5
#: The most nodes of a grid, unused ones included.
MOST_NODES = 2**27


class Lattice:
    """Points between the nodes of a grid.

    Parameters
    ----------
    points : Tensor, float (D, N)
        In cells from the lowest node, >= 0.
    spatial_axes : int
        The number of axes in space; the others are colours.

    Attributes
    ----------
    corner : Tensor, int32 (D, N)
        The lowest node of the cell of each point.
    x : Tensor, float (D, N)
        The place of each point in its cell, in [0, 1).
    sizes : list of int
        The nodes along each axis.
    taps : Tensor, float (TAPS + 1,)
        The blur along an axis, by distance in cells.
    scale : Tensor, float (N,)
        Makes the weight of each point with itself 1.

    Raises
    ------
    ValueError
        If the box around the points has more than `MOST_NODES` nodes.
    """

    def __init__(self, points: Tensor, spatial_axes: int):
        corner = points.floor()
        self.x = points - corner
        self.sizes = [int(last) + 2 for last in corner.amax(1).tolist()]
        count = max(
            math.prod(self.sizes), max(self.sizes) ** 2
        )  # all colours may lie on a line, whose blur is a matrix
        if count > MOST_NODES:
            raise ValueError(
                f"the dense neighbourhood's grid would have {count:.1e} nodes, at most {MOST_NODES:.1e} are "
                "possible; take larger bandwidths, or exact=True on a small image"
            )
        self.corner, self.spatial_axes = corner.int(), spatial_axes
        variance = 1 - CELL**2 / 3  # splat and slice add CELL^2 / 6 each
        distances = torch.arange(TAPS + 1, dtype=points.dtype, device=points.device) * CELL
        self.taps = (-distances.square() / (2 * variance)).exp() / math.sqrt(variance)
        # a point's weight with itself is a product over axes of a quadratic form in its hats 1 - x and x:
        # taps[0] ((1 - x)^2 + x^2) + 2 taps[1] x (1 - x), here with one array in place of six
        itself = (1 - self.x).mul_(self.x).mul_(2 * (self.taps[1] - self.taps[0])).add_(self.taps[0])
        self.scale = itself.prod(0).rsqrt()

    def number(self, axes: slice) -> Tensor:
        """Return the number of each point's lowest node (N,), counted along some axes, the last axis fastest."""
        number = torch.zeros_like(self.corner[0])
        for corner, size in zip(self.corner[axes], self.sizes[axes], strict=True):
            number = number * size + corner
        return number
