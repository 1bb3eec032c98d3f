"""The bilateral grid of `toykit.neighborhoods.bilateral` as fused loops for the CPU (numba).

Points are sorted by their cell of colours, so that the nodes of successive points are in the cache. Values are put in this
order once for both grids: reading them from scattered places took most of the time. Only those cells of the box of colours are
kept that contain a node of a point, and, during the blur, those on a path along the axes from one of them to another. The blur
adds the cells that each cell reaches along one axis, from lists built once. Classes are taken `WIDTH` at a time: one vector
register in float32. Every sum has a fixed order, whatever the number of threads.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from toykit._shared.compiled import inner, outer
from toykit._shared.threads import share
from toykit.neighborhoods import vectors
from toykit.neighborhoods.vectors import WIDTH, plus, read, times, write

if TYPE_CHECKING:
    from toykit.neighborhoods.lattice import Lattice

#: Cells that are added at a time; lists are filled up to a multiple of it, with weights of zero.
AT_ONCE = 3


class CompiledGrids:
    """The average of S B S^T over grids of two axes in space and three in colours. Uses about 100 bytes per point.

    Parameters
    ----------
    lattices : list of Lattice
        One per grid; their points are sorted in place.
    """

    def __init__(self, lattices: "list[Lattice]"):
        self.order = _sorted(lattices[0].number(slice(2, 5)).numpy())
        for lattice in lattices:  # those of the first grid are in order, those of the others in long runs
            lattice.permute(torch.from_numpy(self.order))
        self.grids = tuple(_grid(lattice) for lattice in lattices)

    def __call__(self, values: Tensor) -> Tensor:
        """Sum values (K, N) over all other points: (K, N)."""
        out = torch.empty_like(values)
        given, taken = values.numpy(), out.numpy()
        share(_filter, -(-len(values) // WIDTH), given, taken, self.order, self.grids)
        return out


def _grid(lattice: "Lattice") -> tuple[Any, ...]:
    """Return a grid: the number of its cells; points in order of their cells; nodes of these; links of the blur."""
    taps = lattice.taps.numpy()
    space, box = lattice.sizes[:2], lattice.sizes[2:]
    first = lattice.number(slice(2, 5)).numpy()
    held = np.zeros(np.prod(box), bool)
    held[first] = True
    order = _sorted(_ranks(held)[first])
    used = held.reshape(box)
    for axis in range(3):
        used = _spread(used, axis, range(2))
    corners = np.ravel_multi_index(tuple(np.indices((2, 2, 2)).reshape(3, 8)), box)
    nodes = _ranks(used)[np.flatnonzero(held)[:, None] + corners] * np.prod(space)
    starts = np.concatenate([[0], np.bincount(_ranks(held)[first]).cumsum()])
    y, x, *colors = lattice.x.numpy()[:, order]
    scale = lattice.scale.numpy()[order]
    hats = [scale * (1 - y) * (1 - x), scale * (1 - y) * x, scale * y * (1 - x), scale * y * x]
    hats += [side for color in colors for side in (1 - color, color)]
    spots = lattice.number(slice(0, 2)).numpy()[order]
    points = (order.astype(np.int32), spots.astype(np.int32), np.stack(hats, 1))
    reach, everywhere = range(1 - len(taps), len(taps)), np.ones(space, bool)
    across = _spread(used, 0, reach)
    between = [_spread(used, 2, reach) & _spread(across, 1, reach)]
    between.append(_spread(between[0], 1, reach) & across)
    in_space = tuple(_links(everywhere, everywhere, axis, taps) for axis in (1, 0))
    stages = zip((used, *between), (*between, used), (2, 1, 0), strict=True)
    in_colors = tuple(_links(source, target, axis, taps) for source, target, axis in stages)
    groups = (starts.astype(np.int32), nodes.astype(np.int32))
    return int(used.sum()), points, space[1], groups, in_space, in_colors


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
    """List the marked cells of `source` that each one of `target` adds up: ranks, weights, number of blocks."""
    cells, steps = np.flatnonzero(target)[:, None], np.arange(1 - len(taps), len(taps))
    stride = int(np.prod(source.shape[axis + 1 :]))
    place = cells // stride % source.shape[axis] + steps
    there = np.where((place >= 0) & (place < source.shape[axis]), cells + steps * stride, 0)
    linked = (place >= 0) & (place < source.shape[axis]) & source.ravel()[there]
    first = np.argsort(~linked, axis=1, kind="stable")
    there, weight, linked = (
        np.take_along_axis(x, first, 1) for x in (there, np.broadcast_to(taps[abs(steps)], linked.shape), linked)
    )
    spare = -len(steps) % AT_ONCE
    weight = np.pad(np.where(linked, weight, 0), ((0, 0), (0, spare)))
    index = np.pad(np.where(linked, _ranks(source)[there], 0), ((0, 0), (0, spare)))
    return index.astype(np.int32), weight, -(-linked.sum(1) // AT_ONCE)


@outer((Path(__file__), Path(vectors.__file__)))
def _filter(digest):
    """Filter some groups of WIDTH classes (K, N): the average of the grids, less each point's own values."""

    def filter_classes(first_group, last_group, values, out, order, grids):
        _ = digest  # closes over it, see `outer`
        own, total = np.zeros((len(order), WIDTH), values.dtype), np.empty((len(order), WIDTH), values.dtype)
        size = 0
        for cells, _, _, _, in_space, in_colors in grids:
            for index, _, _ in in_colors:
                size = max(size, cells * len(in_space[0][0]), len(index) * len(in_space[0][0]))
        tables, part = np.empty((2, size * WIDTH), values.dtype), values.dtype.type(1 / len(grids))
        for first in range(first_group * WIDTH, min(len(values), last_group * WIDTH), WIDTH):
            count = min(WIDTH, len(values) - first)
            for p in range(len(order)):
                for k in range(count):
                    own[p, k] = values[first + k, order[p]]
                    total[p, k] = -own[p, k]
            for cells, points, columns, groups, in_space, in_colors in grids:
                width = len(in_space[0][0]) * WIDTH
                table = tables[0, : cells * width].reshape((-1, WIDTH))
                table[:] = 0
                _splat(table, columns, points, groups, own)
                _blur_space(table, in_space)
                near, far = tables[0], tables[1]
                for links in in_colors:
                    _blur_colors(near, far, width, links)
                    near, far = far, near
                _slice(near[: cells * width].reshape((-1, WIDTH)), columns, points, groups, total, part)
            for p in range(len(order)):
                for k in range(count):
                    out[first + k, order[p]] = total[p, k]

    return filter_classes


@inner
def _blur_space(table, links):
    """Blur each cell's values along both axes in space, in place."""
    area = len(links[0][0])
    half, whole = np.empty((area, WIDTH), table.dtype), np.empty((area, WIDTH), table.dtype)
    for first in range(0, len(table), area):
        _add_linked(half, table, first, links[0])
        _add_linked(whole, half, 0, links[1])
        table[first : first + area] = whole


@inner
def _add_linked(out, rows, first, links):
    """Add up the linked rows, counted from `first`."""
    index, weight, blocks = links
    for n in range(len(out)):
        total = times(weight[n, 0], read(rows, first + index[n, 0]))
        total = plus(total, weight[n, 1], read(rows, first + index[n, 1]))
        write(out, n, plus(total, weight[n, 2], read(rows, first + index[n, 2])))
        for block in range(1, blocks[n]):
            m = block * AT_ONCE
            total = plus(read(out, n), weight[n, m], read(rows, first + index[n, m]))
            total = plus(total, weight[n, m + 1], read(rows, first + index[n, m + 1]))
            write(out, n, plus(total, weight[n, m + 2], read(rows, first + index[n, m + 2])))


@inner
def _blur_colors(values, out, width, links):
    """Add up the linked cells' values, `width` numbers per cell."""
    index, weight, blocks = links
    for cell in range(len(index)):
        total = out[cell * width : (cell + 1) * width]
        for block in range(blocks[cell]):
            n = block * AT_ONCE
            a, b, c = index[cell, n] * width, index[cell, n + 1] * width, index[cell, n + 2] * width
            one, two, three = values[a : a + width], values[b : b + width], values[c : c + width]
            w_a, w_b, w_c = weight[cell, n], weight[cell, n + 1], weight[cell, n + 2]
            if block == 0:
                for x in range(len(total)):
                    total[x] = w_a * one[x] + w_b * two[x] + w_c * three[x]
            else:
                for x in range(len(total)):
                    total[x] += w_a * one[x] + w_b * two[x] + w_c * three[x]


@inner
def _splat(table, columns, points, groups, values):
    """Add each point's values to the 32 nodes around it."""
    (order, spots, hats), (starts, nodes) = points, groups
    for group in range(len(nodes)):
        for p in range(starts[group], starts[group + 1]):
            spot, hat, space = spots[p], _color_hats(hats, p), _spatial_hats(hats, p)
            v = read(values, order[p])
            _splat_to(table, nodes[group, 0] + spot, columns, hat[0], space, v)
            _splat_to(table, nodes[group, 1] + spot, columns, hat[1], space, v)
            _splat_to(table, nodes[group, 2] + spot, columns, hat[2], space, v)
            _splat_to(table, nodes[group, 3] + spot, columns, hat[3], space, v)
            _splat_to(table, nodes[group, 4] + spot, columns, hat[4], space, v)
            _splat_to(table, nodes[group, 5] + spot, columns, hat[5], space, v)
            _splat_to(table, nodes[group, 6] + spot, columns, hat[6], space, v)
            _splat_to(table, nodes[group, 7] + spot, columns, hat[7], space, v)


@inner
def _splat_to(table, node, columns, hat, space, v):
    """Add a point's values to four nodes in space of one cell of colours."""
    write(table, node, plus(read(table, node), hat * space[0], v))
    write(table, node + 1, plus(read(table, node + 1), hat * space[1], v))
    write(table, node + columns, plus(read(table, node + columns), hat * space[2], v))
    write(table, node + columns + 1, plus(read(table, node + columns + 1), hat * space[3], v))


@inner
def _slice(table, columns, points, groups, out, share):
    """Add `share` times what the 32 nodes around each point give it to `out`."""
    (order, spots, hats), (starts, nodes) = points, groups
    for group in range(len(nodes)):
        for p in range(starts[group], starts[group + 1]):
            spot, hat, space = spots[p], _color_hats(hats, p), _spatial_hats(hats, p)
            total = read(out, order[p])
            total = plus(total, share * hat[0], _near(table, nodes[group, 0] + spot, columns, space))
            total = plus(total, share * hat[1], _near(table, nodes[group, 1] + spot, columns, space))
            total = plus(total, share * hat[2], _near(table, nodes[group, 2] + spot, columns, space))
            total = plus(total, share * hat[3], _near(table, nodes[group, 3] + spot, columns, space))
            total = plus(total, share * hat[4], _near(table, nodes[group, 4] + spot, columns, space))
            total = plus(total, share * hat[5], _near(table, nodes[group, 5] + spot, columns, space))
            total = plus(total, share * hat[6], _near(table, nodes[group, 6] + spot, columns, space))
            total = plus(total, share * hat[7], _near(table, nodes[group, 7] + spot, columns, space))
            write(out, order[p], total)


@inner
def _near(table, node, columns, space):
    """Interpolate between four nodes in space of one cell of colours."""
    total = times(space[0], read(table, node))
    total = plus(total, space[1], read(table, node + 1))
    total = plus(total, space[2], read(table, node + columns))
    return plus(total, space[3], read(table, node + columns + 1))


@inner
def _color_hats(hats, p):
    """Multiply a point's hats along the three axes of colours: one product for each corner of its cell."""
    a, b = hats[p, 4] * hats[p, 6], hats[p, 4] * hats[p, 7]
    c, d = hats[p, 5] * hats[p, 6], hats[p, 5] * hats[p, 7]
    low, high = hats[p, 8], hats[p, 9]
    return (a * low, a * high, b * low, b * high, c * low, c * high, d * low, d * high)


@inner
def _spatial_hats(hats, p):
    """Return a point's hats at the four nodes in space around it."""
    return (hats[p, 0], hats[p, 1], hats[p, 2], hats[p, 3])
