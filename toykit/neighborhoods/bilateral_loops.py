"""The bilateral grid of `toykit.neighborhoods.bilateral` as fused loops for the CPU (numba).

Points are sorted by their cell of colours, so that the nodes of successive points are in the cache. Only those cells of the box
of colours are kept that contain a node of a point, and, during the blur, those on a path along the axes from one of them to
another. The blur adds the cells that each cell reaches along one axis, from lists built once. Classes are taken `WIDTH` at a
time: one vector register in float32. Every sum has a fixed order.
"""

from typing import TYPE_CHECKING

import numba
import numpy as np
from torch import Tensor

from toykit.neighborhoods.vectors import WIDTH, plus, read, times, write

if TYPE_CHECKING:
    from toykit.neighborhoods.lattice import Lattice

#: Cells that are added at a time; lists are filled up to a multiple of it, with weights of zero.
AT_ONCE = 3
#: Sums may be reordered and multiplications fused with them; NaN and infinity are respected.
FAST = {"contract", "reassoc", "nsz"}


class CompiledGrid:
    """S B S^T of one grid, two axes in space and three in colours. Uses about 50 bytes per point.

    Parameters
    ----------
    lattice : Lattice
    """

    def __init__(self, lattice: "Lattice"):
        taps = lattice.taps.numpy()
        (rows, columns), box = lattice.sizes[:2], lattice.sizes[2:]
        first = lattice.number(slice(2, 5)).numpy()
        held = np.zeros(np.prod(box), bool)
        held[first] = True
        group = _ranks(held)[first]
        # numpy sorts 16 bits in linear time
        order = np.argsort(group.astype(np.uint16) if group.max() < 2**16 else group, kind="stable")
        used = held.reshape(box)
        for axis in range(3):
            used = _spread(used, axis, range(2))
        number, strides = _ranks(used), (box[1] * box[2], box[2], 1)
        corners = [
            sum(step * stride for step, stride in zip(steps, strides, strict=True)) for steps in np.ndindex(2, 2, 2)
        ]
        nodes = number[np.flatnonzero(held)[:, None] + corners] * (rows * columns)
        starts = np.concatenate([[0], np.bincount(group).cumsum()])
        self.groups = (starts.astype(np.int32), nodes.astype(np.int32))
        y, x, *colors = lattice.x.numpy()[:, order]
        scale = lattice.scale.numpy()[order]
        hats = [scale * (1 - y) * (1 - x), scale * (1 - y) * x, scale * y * (1 - x), scale * y * x]
        hats += [side for color in colors for side in (1 - color, color)]
        spots = lattice.number(slice(0, 2)).numpy()[order]
        self.points = (order.astype(np.int32), spots.astype(np.int32), np.stack(hats, 1))
        reach = range(1 - len(taps), len(taps))
        across = _spread(used, 0, reach)
        between = [_spread(used, 2, reach) & _spread(across, 1, reach)]
        between.append(_spread(between[0], 1, reach) & across)
        stages = zip((used, *between), (*between, used), (2, 1, 0), strict=True)
        self.passes = tuple(_links(source, target, axis, taps) for source, target, axis in stages)
        self.shape, self.taps = (int(used.sum()), rows, columns), taps

    def add(self, values: Tensor, out: Tensor, share: float) -> None:
        """Add `share` times the sums of values (N, WIDTH) over all points, each with itself included, to `out`."""
        share = self.taps.dtype.type(share)
        _filter(values.numpy(), out.numpy(), share, self.shape, self.taps, self.points, self.groups, self.passes)


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
    return index, weight, -(-linked.sum(1) // AT_ONCE)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=FAST)
def _filter(values, out, share, shape, taps, points, groups, passes):
    """Splat, blur and slice; add `share` times the result to `out`."""
    cells, rows, columns = shape
    table = np.zeros((cells * rows * columns, WIDTH), values.dtype)
    _splat(table, columns, points, groups, values)
    _blur_space(table, cells, rows, columns, taps)
    wide = table.reshape((cells, rows * columns * WIDTH))
    for index, weight, blocks in passes:
        wide = _blur_colors(wide, index, weight, blocks)
    table = wide.reshape((cells * rows * columns, WIDTH))
    _slice(table, columns, points, groups, out, share)


@numba.njit(error_model="numpy", fastmath=FAST)
def _blur_space(table, cells, rows, columns, taps):
    """Blur each cell's values along both axes in space, in place."""
    reach, area = len(taps), rows * columns
    half = np.empty((area, WIDTH), table.dtype)
    for first in range(0, cells * area, area):
        half[:] = 0
        for row in range(0, area, columns):
            for column in range(columns):
                for near in range(max(0, column + 1 - reach), min(columns, column + reach)):
                    part = plus(read(half, row + column), taps[abs(near - column)], read(table, first + row + near))
                    write(half, row + column, part)
        table[first : first + area] = 0
        for row in range(rows):
            for near in range(max(0, row + 1 - reach), min(rows, row + reach)):
                for column in range(columns):
                    n, source = first + row * columns + column, read(half, near * columns + column)
                    write(table, n, plus(read(table, n), taps[abs(near - row)], source))


@numba.njit(error_model="numpy", fastmath=FAST)
def _blur_colors(values, index, weight, blocks):
    """Add up the linked cells' values."""
    out = np.empty((len(index), values.shape[1]), values.dtype)
    for cell in range(len(index)):
        total, near, w = out[cell], index[cell], weight[cell]
        a, b, c = values[near[0]], values[near[1]], values[near[2]]
        for x in range(len(total)):
            total[x] = w[0] * a[x] + w[1] * b[x] + w[2] * c[x]
        for block in range(1, blocks[cell]):
            n = block * AT_ONCE
            a, b, c, w_a, w_b, w_c = values[near[n]], values[near[n + 1]], values[near[n + 2]], w[n], w[n + 1], w[n + 2]
            for x in range(len(total)):
                total[x] += w_a * a[x] + w_b * b[x] + w_c * c[x]
    return out


@numba.njit(error_model="numpy", fastmath=FAST)
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


@numba.njit(error_model="numpy", fastmath=FAST)
def _splat_to(table, node, columns, hat, space, v):
    """Add a point's values to four nodes in space of one cell of colours."""
    write(table, node, plus(read(table, node), hat * space[0], v))
    write(table, node + 1, plus(read(table, node + 1), hat * space[1], v))
    write(table, node + columns, plus(read(table, node + columns), hat * space[2], v))
    write(table, node + columns + 1, plus(read(table, node + columns + 1), hat * space[3], v))


@numba.njit(error_model="numpy", fastmath=FAST)
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


@numba.njit(error_model="numpy", fastmath=FAST)
def _near(table, node, columns, space):
    """Interpolate between four nodes in space of one cell of colours."""
    total = times(space[0], read(table, node))
    total = plus(total, space[1], read(table, node + 1))
    total = plus(total, space[2], read(table, node + columns))
    return plus(total, space[3], read(table, node + columns + 1))


@numba.njit(error_model="numpy", fastmath=FAST)
def _color_hats(hats, p):
    """Multiply a point's hats along the three axes of colours: one product for each corner of its cell."""
    a, b = hats[p, 4] * hats[p, 6], hats[p, 4] * hats[p, 7]
    c, d = hats[p, 5] * hats[p, 6], hats[p, 5] * hats[p, 7]
    low, high = hats[p, 8], hats[p, 9]
    return (a * low, a * high, b * low, b * high, c * low, c * high, d * low, d * high)


@numba.njit(error_model="numpy", fastmath=FAST)
def _spatial_hats(hats, p):
    """Return a point's hats at the four nodes in space around it."""
    return (hats[p, 0], hats[p, 1], hats[p, 2], hats[p, 3])
