"""Bilateral grids of five axes, as lists for the compiled loops: points by their cell, and the cells that blurs connect.

A photo's pixels lie in few of the grid's cells, twenty in each on the average. So points are sorted by their cell. Those cells
of the box of colours are kept that contain a node of a point, and, during the blur, those on a path along the axes from one of
them to another. One grid and `WIDTH` classes are one turn; every sum has a fixed order, whatever the number of threads.
"""

from typing import Any

import numpy as np
from torch import Tensor

from toykit._shared.threads import share
from toykit.neighborhoods.bilateral_loops import AHEAD, WIDTH, filter_classes, weigh
from toykit.neighborhoods.lattice import Lattice


class CompiledGrids:
    """The average of S B S^T over grids of two axes in space and three in colours. Uses about 110 bytes per point.

    A call needs memory for the results of each grid, K values per point, before they are added up.

    Parameters
    ----------
    lattices : list of Lattice
        One per grid.
    """

    def __init__(self, lattices: list[Lattice]):
        self.grids = tuple(_grid(lattice) for lattice in lattices)

    def __call__(self, values: Tensor) -> Tensor:
        """Sum values (K, N) over all other points: (K, N)."""
        sums = values.new_empty(len(self.grids), *values.shape)
        share(filter_classes, -(-len(values) // WIDTH) * len(self.grids), values.numpy(), sums.numpy(), self.grids)
        return sums.sum(0)


def _grid(lattice: Lattice) -> tuple[Any, ...]:
    """Return a grid: the number of its colours; its points by cell; these cells' nodes; links of the blur."""
    taps = lattice.taps.numpy()
    space, box = lattice.sizes[:2], lattice.sizes[2:]
    color, spot = lattice.number(slice(2, 5)).numpy(), lattice.number(slice(0, 2)).numpy()
    held = np.zeros(np.prod(box), bool)
    held[color] = True
    color = _ranks(held)[color]
    used = held.reshape(box)
    for axis in range(3):
        used = _spread(used, axis, range(2))
    order = _sorted(color)
    order = order[_sorted(spot[order])]
    color, spot = color[order], spot[order]
    starts = np.flatnonzero(np.diff(color, prepend=-1) | np.diff(spot, prepend=-1))
    corners = np.ravel_multi_index(tuple(np.indices((2, 2, 2)).reshape(3, 8)), box)
    colors = _ranks(used)[np.flatnonzero(held)[:, None] + corners][color[starts]]
    spots = spot[starts, None] + np.array([0, 1, space[1], space[1] + 1])
    cells = (np.append(starts, len(order)).astype(np.int32), spots.astype(np.int32), colors.astype(np.int32))
    hats = np.empty((len(order), 12), taps.dtype)
    share(weigh, len(order), hats, lattice.x.numpy(), lattice.scale.numpy(), order, work=hats.size)
    points = (np.pad(order, (0, AHEAD)).astype(np.int32), hats)
    reach, everywhere = range(1 - len(taps), len(taps)), np.ones(space, bool)
    across = _spread(used, 0, reach)
    between = [_spread(used, 2, reach) & _spread(across, 1, reach)]
    between.append(_spread(between[0], 1, reach) & across)
    in_space = tuple(_links(everywhere, everywhere, axis, taps) for axis in (1, 0))
    stages = zip((used, *between), (*between, used), (2, 1, 0), strict=True)
    in_colors = tuple(_links(source, target, axis, taps) for source, target, axis in stages)
    return int(used.sum()), points, cells, in_space, in_colors


def _sorted(numbers: np.ndarray) -> np.ndarray:
    """Return the order of numbers >= 0, equal ones as they come."""
    few = numbers.max() < 2**16  # numpy sorts 16 bits in linear time
    return np.argsort(numbers.astype(np.uint16) if few else numbers, kind="stable")


def _ranks(mask: np.ndarray) -> np.ndarray:
    """Number the marked cells in order; flat."""
    return mask.ravel().cumsum(dtype=np.int32) - 1


def _spread(mask: np.ndarray, axis: int, steps: range) -> np.ndarray:
    """Mark the cells that are some steps along an axis from a marked one."""
    out = np.zeros_like(mask)
    source, target = np.moveaxis(mask, axis, 0), np.moveaxis(out, axis, 0)
    for step in steps:
        if abs(step) < len(source):
            target[max(step, 0) : len(source) + min(step, 0)] |= source[max(-step, 0) : len(source) - max(step, 0)]
    return out


def _links(
    source: np.ndarray, target: np.ndarray, axis: int, taps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """List the marked cells of `source` that each one of `target` adds up: where each list starts, ranks, weights."""
    cells, steps = np.flatnonzero(target)[:, None], np.arange(1 - len(taps), len(taps))
    stride = int(np.prod(source.shape[axis + 1 :]))
    place = cells // stride % source.shape[axis] + steps
    inside = (place >= 0) & (place < source.shape[axis])
    there = np.where(inside, cells + steps * stride, 0)
    linked = inside & source.ravel()[there]
    starts = np.concatenate([[0], linked.sum(1).cumsum()])
    weights = np.broadcast_to(taps[abs(steps)], linked.shape)[linked]
    return starts.astype(np.int32), _ranks(source)[there[linked]], weights
