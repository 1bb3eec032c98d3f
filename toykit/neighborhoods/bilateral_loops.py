"""The bilateral grid of `toykit.neighborhoods.bilateral` as fused loops for the CPU (numba).

The points of one cell are added up in 32 rows that stay in the cache; these are added to the table of nodes. The blur in
colours adds the cells that each cell reaches along one axis, from lists built once (`toykit.neighborhoods.compiled_grids`); it
takes `PATCH` nodes in space through all three axes before the next ones, so that its values stay in the cache, too. Classes are
taken `WIDTH` at a time: one vector register in float32.
"""

from pathlib import Path

import numpy as np

from toykit._shared import lanes
from toykit._shared.compiled import inner, outer
from toykit._shared.lanes import add, add_product, fetch, loader, multiply, repeater, store

#: Classes at a time, one row of a table; and rows that `_add_linked` adds up at a time. `_add_products` takes the 8 corners of
#: a cell at a time. Both are written out for these numbers, so that the sums stay in registers.
WIDTH, PATCH = 8, 4
#: Pixels that are put into another order at a time.
BLOCK = 256
#: Points of a cell that are added up at a time, and how many points before its turn each one is loaded.
POINTS, AHEAD = 64, 16
load, repeat = loader(WIDTH), repeater(WIDTH)


@outer((Path(__file__), Path(lanes.__file__)))
def weigh(digest):
    """Compute the hats of some ordered points (N, 12): 8 corners of their cells of colours; 4 corners in space, scaled."""

    def weigh_points(first, last, hats, x, scale, order):
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

    return weigh_points


@outer((Path(__file__), Path(lanes.__file__)))
def filter_classes(digest):
    """In each turn, filter WIDTH classes (K, N) on one grid; results (G, K, N) sum to the average less the own values."""

    def filter_turns(first_turn, last_turn, values, out, grids):
        _ = digest  # closes over it, see `outer`
        kind, count = values.dtype, values.shape[1]
        own, total = np.zeros((count, WIDTH), kind), np.zeros((count, WIDTH), kind)
        size, most, area = 0, 0, 0
        for colors, _, _, in_space, in_colors in grids:
            patches = _patches(in_space)
            size, area = max(size, patches * PATCH * colors), max(area, patches * PATCH)
            for starts, _, _ in in_colors:
                most = max(most, len(starts) * PATCH)
        tables, near, far = np.empty((size, WIDTH), kind), np.empty((most, WIDTH), kind), np.empty((most, WIDTH), kind)
        local, half = np.empty((max(32, area * PATCH), WIDTH), kind), np.empty((area * PATCH, WIDTH), kind)
        at_once, part = np.empty((POINTS, WIDTH), kind), kind.type(1 / len(grids))
        for turn in range(first_turn, last_turn):
            first, number = turn // len(grids) * WIDTH, turn % len(grids)
            some = values[first : min(first + WIDTH, len(values))]
            if turn == first_turn or number == 0:
                _enter(own, some, kind.type(1))
            _enter(total, some, -part)  # each grid takes its part of the own values away
            colors, points, cells, in_space, in_colors = grids[number]
            patches = _patches(in_space)
            table = tables[: patches * PATCH * colors]
            _clear(table)
            _splat(table, colors, points, cells, own, local, at_once)
            _blur_space(table, colors, in_space, local, half)
            for patch in range(patches):
                nodes = table[patch * PATCH * colors : (patch + 1) * PATCH * colors]
                _blur_colors(near, nodes, in_colors[0])
                _blur_colors(far, near, in_colors[1])
                _blur_colors(nodes, far, in_colors[2])
            _slice(table, colors, points, cells, total, local, part)
            _leave(out[number, first : first + len(some)], total)

    return filter_turns


@inner
def _patches(in_space):
    """Return the number of patches that hold all nodes in space."""
    return (len(in_space[0][0]) + PATCH - 2) // PATCH


@inner
def _clear(rows):
    """Set rows to 0; assignment to a slice would compile numba's code for any index, and for the text of its errors."""
    numbers = rows.reshape(-1)
    for n in range(len(numbers)):
        numbers[n] = 0


@inner
def _enter(rows, values, factor):
    """Copy values (classes, N), times a factor, to rows (N, WIDTH)."""
    for begin in range(0, len(rows), BLOCK):
        for k in range(len(values)):
            for p in range(begin, min(begin + BLOCK, len(rows))):
                rows[p, k] = factor * values[k, p]


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
                _write(local, spot * PATCH + c, _read(table, row + c * PATCH))
        for n in range(area):
            _add_linked(half, n, local, index, weight, starts[n], starts[n + 1])
        for n in range(area):
            _add_linked(local, n, half, next_index, next_weight, next_starts[n], next_starts[n + 1])
        for spot in range(area):
            row = _row(colors, color, spot)
            for c in range(some):
                _write(table, row + c * PATCH, _read(local, spot * PATCH + c))


@inner
def _blur_colors(out, rows, links):
    """Add up the linked colours' values, PATCH rows per colour."""
    starts, index, weight = links
    for color in range(len(starts) - 1):
        _add_linked(out, color, rows, index, weight, starts[color], starts[color + 1])


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
                fetch(values, soon[p] * WIDTH)
                _write(at_once, p, _read(values, some[p]))
            for corner in range(4):
                _add_products(local, 8 * corner, hats[first : first + count], 8 + corner, at_once, count)
        for corner in range(4):
            for c in range(8):
                row = _row(colors, corners[cell, c], spots[cell, corner])
                _write(table, row, add(_read(table, row), _read(local, 8 * corner + c)))


@inner
def _fetch_nodes(table, colors, cells, cell):
    """Begin to load the nodes of a cell."""
    _, spots, corners = cells
    for c in range(8):
        for corner in range(4):
            fetch(table, _row(colors, corners[cell, c], spots[cell, corner]) * WIDTH)


@inner
def _slice(table, colors, points, cells, out, local, part):
    """Add `part` times what the 32 nodes around each point give it to `out`."""
    (order, hats), (starts, spots, corners) = points, cells
    for cell in range(len(spots)):
        for corner in range(4):
            for c in range(8):
                row = _row(colors, corners[cell, c], spots[cell, corner])
                _write(local, 8 * corner + c, multiply(repeat(part), _read(table, row)))
        _fetch_nodes(table, colors, cells, min(cell + 1, len(spots) - 1))
        first, last = starts[cell], starts[cell + 1]
        some, soon, weights = order[first:last], order[first + AHEAD : last + AHEAD], hats[first:last]
        for p in range(last - first):
            fetch(out, soon[p] * WIDTH)
            total = _read(out, some[p])
            for corner in range(4):
                total = _plus(total, weights[p, 8 + corner], _near(local, 8 * corner, weights, p))
            _write(out, some[p], total)


@inner
def _near(rows, first, hats, p):
    """Interpolate between eight rows, one for each corner of a cell of colours."""
    total = multiply(repeat(hats[p, 0]), _read(rows, first))
    total = _plus(total, hats[p, 1], _read(rows, first + 1))
    total = _plus(total, hats[p, 2], _read(rows, first + 2))
    total = _plus(total, hats[p, 3], _read(rows, first + 3))
    total = _plus(total, hats[p, 4], _read(rows, first + 4))
    total = _plus(total, hats[p, 5], _read(rows, first + 5))
    total = _plus(total, hats[p, 6], _read(rows, first + 6))
    return _plus(total, hats[p, 7], _read(rows, first + 7))


@inner
def _add_linked(out, n, rows, index, weight, first, last):
    """Set the n-th PATCH rows to the sum over first <= m < last of weight[m] times the index[m]-th PATCH rows."""
    a = repeat(out.dtype.type(0))
    b, c, d = a, a, a
    for m in range(first, last):
        factor, row = repeat(weight[m]), index[m] * PATCH
        a = add_product(a, factor, _read(rows, row))
        b = add_product(b, factor, _read(rows, row + 1))
        c = add_product(c, factor, _read(rows, row + 2))
        d = add_product(d, factor, _read(rows, row + 3))
    _write(out, n * PATCH, a)
    _write(out, n * PATCH + 1, b)
    _write(out, n * PATCH + 2, c)
    _write(out, n * PATCH + 3, d)


@inner
def _add_products(out, first, hats, column, rows, count):
    """Add to row first + c of `out`, c < 8, the sum over p < count of hats[p, c] hats[p, column] times row p."""
    a, b = _read(out, first), _read(out, first + 1)
    c, d = _read(out, first + 2), _read(out, first + 3)
    e, f = _read(out, first + 4), _read(out, first + 5)
    g, h = _read(out, first + 6), _read(out, first + 7)
    for p in range(count):
        v = multiply(repeat(hats[p, column]), _read(rows, p))
        a, b = _plus(a, hats[p, 0], v), _plus(b, hats[p, 1], v)
        c, d = _plus(c, hats[p, 2], v), _plus(d, hats[p, 3], v)
        e, f = _plus(e, hats[p, 4], v), _plus(f, hats[p, 5], v)
        g, h = _plus(g, hats[p, 6], v), _plus(h, hats[p, 7], v)
    _write(out, first, a)
    _write(out, first + 1, b)
    _write(out, first + 2, c)
    _write(out, first + 3, d)
    _write(out, first + 4, e)
    _write(out, first + 5, f)
    _write(out, first + 6, g)
    _write(out, first + 7, h)


@inner
def _read(rows, n):
    """Return row n."""
    return load(rows, n * WIDTH)


@inner
def _write(rows, n, v):
    """Set row n."""
    store(rows, n * WIDTH, v)


@inner
def _plus(u, w, v):
    """Return u + w v."""
    return add_product(u, repeat(w), v)
