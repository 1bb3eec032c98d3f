"""The bilateral grid of `toykit.neighborhoods.bilateral` as fused loops for the CPU (numba).

A photo's pixels lie in few of the grid's cells, twenty in each on the average. So points are sorted by their cell: those of one
cell are added up in 32 rows that stay in the cache, and only these are added to the table of nodes. Those cells of the box of
colours are kept that contain a node of a point, and, during the blur, those on a path along the axes from one of them to
another. The blur in colours adds the cells that each cell reaches along one axis, from lists built once; it takes `PATCH` nodes
in space through all three axes before the next ones, so that its values stay in the cache, too. Classes are taken `WIDTH` at a
time: one vector register in float32. Every sum has a fixed order, whatever the number of threads.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from toykit._shared.compiled import inner, outer
from toykit._shared.threads import share
from toykit.neighborhoods import vectors
from toykit.neighborhoods.vectors import PATCH, WIDTH, add_linked, add_products, fetch, plus, read, times, write

if TYPE_CHECKING:
    from toykit.neighborhoods.lattice import Lattice

#: Pixels that are put into another order at a time.
BLOCK = 256
#: Points of a cell that are added up at a time, and how many points before its turn each one is loaded.
POINTS, AHEAD = 64, 16


class CompiledGrids:
    """The average of S B S^T over grids of two axes in space and three in colours. Uses about 110 bytes per point.

    Parameters
    ----------
    lattices : list of Lattice
        One per grid.
    """

    def __init__(self, lattices: "list[Lattice]"):
        self.grids = tuple(_grid(lattice) for lattice in lattices)

    def __call__(self, values: Tensor) -> Tensor:
        """Sum values (K, N) over all other points: (K, N)."""
        out = torch.empty_like(values)
        given, taken = values.numpy(), out.numpy()
        share(_filter, -(-len(values) // WIDTH), given, taken, self.grids)
        return out


def _grid(lattice: "Lattice") -> tuple[Any, ...]:
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
    share(_weigh, len(order), hats, lattice.x.numpy(), lattice.scale.numpy(), order, work=hats.size)
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


@outer((Path(__file__), Path(vectors.__file__)))
def _weigh(digest):
    """Compute the hats of some ordered points (N, 12): 8 corners of their cells of colours; 4 corners in space, scaled."""

    def weigh(first, last, hats, x, scale, order):
        _ = digest
        one = hats.dtype.type(1)
        for n in range(first, last):
            p = order[n]
            low, high = scale[p] * (one - x[0, p]), scale[p] * x[0, p]
            hats[n, 8], hats[n, 9] = low * (one - x[1, p]), low * x[1, p]
            hats[n, 10], hats[n, 11] = high * (one - x[1, p]), high * x[1, p]
            for corner in range(8):
                a = x[2, p] if corner & 4 else one - x[2, p]
                b = x[3, p] if corner & 2 else one - x[3, p]
                c = x[4, p] if corner & 1 else one - x[4, p]
                hats[n, corner] = a * b * c

    return weigh


@outer((Path(__file__), Path(vectors.__file__)))
def _filter(digest):
    """Filter some groups of WIDTH classes (K, N): the average of the grids, less each point's own values."""

    def filter_classes(first_group, last_group, values, out, grids):
        _ = digest  # closes over it, see `outer`
        kind, count = values.dtype, values.shape[1]
        own, total = np.zeros((count, WIDTH), kind), np.zeros((count, WIDTH), kind)
        size, most, area = 0, 0, 0
        for colors, _, _, in_space, in_colors in grids:
            patches = (len(in_space[0][0]) + PATCH - 2) // PATCH
            size, area = max(size, patches * PATCH * colors), max(area, patches * PATCH)
            for starts, _, _ in in_colors:
                most = max(most, len(starts) * PATCH)
        tables, near, far = np.empty((size, WIDTH), kind), np.empty((most, WIDTH), kind), np.empty((most, WIDTH), kind)
        local, half = np.empty((max(32, area * PATCH), WIDTH), kind), np.empty((area * PATCH, WIDTH), kind)
        at_once, part = np.empty((POINTS, WIDTH), kind), kind.type(1 / len(grids))
        for first in range(first_group * WIDTH, min(len(values), last_group * WIDTH), WIDTH):
            classes = min(WIDTH, len(values) - first)
            _enter(own, total, values[first : first + classes])
            for colors, points, cells, in_space, in_colors in grids:
                patches = (len(in_space[0][0]) + PATCH - 2) // PATCH
                table = tables[: patches * PATCH * colors]
                _clear(table)
                _splat(table, colors, points, cells, own, local, at_once)
                _blur_space(table, colors, in_space, local, half)
                for patch in range(patches):
                    some = table[patch * PATCH * colors : (patch + 1) * PATCH * colors]
                    _blur_colors(near, some, in_colors[0])
                    _blur_colors(far, near, in_colors[1])
                    _blur_colors(some, far, in_colors[2])
                _slice(table, colors, points, cells, total, local, part)
            _leave(out[first : first + classes], total)

    return filter_classes


@inner
def _clear(rows):
    """Set rows to 0; assignment to a slice would compile numba's code for any index, and for the text of its errors."""
    numbers = rows.reshape(-1)
    for n in range(len(numbers)):
        numbers[n] = 0


@inner
def _enter(rows, negative, values):
    """Copy values (classes, N) to rows (N, WIDTH), and minus these to others."""
    for begin in range(0, len(rows), BLOCK):
        for k in range(len(values)):
            for p in range(begin, min(begin + BLOCK, len(rows))):
                rows[p, k] = values[k, p]
                negative[p, k] = -values[k, p]


@inner
def _leave(values, rows):
    """Copy rows (N, WIDTH) to values (classes, N)."""
    for begin in range(0, len(rows), BLOCK):
        for k in range(len(values)):
            for p in range(begin, min(begin + BLOCK, len(rows))):
                values[k, p] = rows[p, k]


@inner
def _row(colors, color, spot):
    """Return the row of a node in the table: patches of nodes in space, in these the colours, in these the patch's nodes."""
    return (spot // PATCH * colors + color) * PATCH + spot % PATCH


@inner
def _blur_space(table, colors, links, local, half):
    """Blur each colour's values along both axes in space, in place; PATCH colours at a time."""
    (starts, index, weight), (next_starts, next_index, next_weight) = links
    area = len(starts) - 1
    for color in range(0, colors, PATCH):
        some = min(PATCH, colors - color)
        for spot in range(area):
            row = _row(colors, color, spot)
            for c in range(some):
                write(local, spot * PATCH + c, read(table, row + c * PATCH))
        for n in range(area):
            add_linked(half, n, local, index, weight, starts[n], starts[n + 1])
        for n in range(area):
            add_linked(local, n, half, next_index, next_weight, next_starts[n], next_starts[n + 1])
        for spot in range(area):
            row = _row(colors, color, spot)
            for c in range(some):
                write(table, row + c * PATCH, read(local, spot * PATCH + c))


@inner
def _blur_colors(out, rows, links):
    """Add up the linked colours' values, PATCH rows per colour."""
    starts, index, weight = links
    for color in range(len(starts) - 1):
        add_linked(out, color, rows, index, weight, starts[color], starts[color + 1])


@inner
def _splat(table, colors, points, cells, values, local, at_once):
    """Add each point's values to the 32 nodes around it."""
    (order, hats), (starts, spots, corners) = points, cells
    for cell in range(len(spots)):
        _fetch_nodes(table, colors, cells, min(cell + 1, len(spots) - 1))
        _clear(local[:32])
        for first in range(starts[cell], starts[cell + 1], POINTS):
            count = min(POINTS, starts[cell + 1] - first)
            some, soon = order[first : first + count], order[first + AHEAD : first + AHEAD + count]
            for p in range(count):
                fetch(values, soon[p])
                write(at_once, p, read(values, some[p]))
            for corner in range(4):
                add_products(local, 8 * corner, hats[first : first + count], 8 + corner, at_once, count)
        for corner in range(4):
            for c in range(8):
                row = _row(colors, corners[cell, c], spots[cell, corner])
                write(table, row, plus(read(table, row), table.dtype.type(1), read(local, 8 * corner + c)))


@inner
def _fetch_nodes(table, colors, cells, cell):
    """Begin to load the nodes of a cell."""
    _, spots, corners = cells
    for c in range(8):
        for corner in range(4):
            fetch(table, _row(colors, corners[cell, c], spots[cell, corner]))


@inner
def _slice(table, colors, points, cells, out, local, part):
    """Add `part` times what the 32 nodes around each point give it to `out`."""
    (order, hats), (starts, spots, corners) = points, cells
    for cell in range(len(spots)):
        for corner in range(4):
            for c in range(8):
                row = _row(colors, corners[cell, c], spots[cell, corner])
                write(local, 8 * corner + c, times(part, read(table, row)))
        _fetch_nodes(table, colors, cells, min(cell + 1, len(spots) - 1))
        first, last = starts[cell], starts[cell + 1]
        some, soon, weights = order[first:last], order[first + AHEAD : last + AHEAD], hats[first:last]
        for p in range(last - first):
            fetch(out, soon[p])
            total = read(out, some[p])
            for corner in range(4):
                total = plus(total, weights[p, 8 + corner], _near(local, 8 * corner, weights, p))
            write(out, some[p], total)


@inner
def _near(rows, first, hats, p):
    """Interpolate between eight rows, one for each corner of a cell of colours."""
    total = times(hats[p, 0], read(rows, first))
    total = plus(total, hats[p, 1], read(rows, first + 1))
    total = plus(total, hats[p, 2], read(rows, first + 2))
    total = plus(total, hats[p, 3], read(rows, first + 3))
    total = plus(total, hats[p, 4], read(rows, first + 4))
    total = plus(total, hats[p, 5], read(rows, first + 5))
    total = plus(total, hats[p, 6], read(rows, first + 6))
    return plus(total, hats[p, 7], read(rows, first + 7))
