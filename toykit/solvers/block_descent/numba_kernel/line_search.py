"""The line search of each pixel's own energy from its label to the goal of its step.

Along the segment that energy depends on a few products only, so that no pass over the classes is needed (except for RCE).
"""

from typing import NamedTuple

import numpy as np

from toykit._shared.compiled import inlined, inner
from toykit.solvers.block_descent.numba_kernel.class_sums import multiply_with_neighbors, set_products
from toykit.solvers.block_descent.numba_kernel.forms import add_rises, add_turns
from toykit.solvers.block_descent.numba_kernel.room import give_back, take, take_integers, take_rows
from toykit.solvers.block_descent.numba_kernel.rows import Row, add, of_class
from toykit.solvers.block_descent.numba_kernel.unary import RCE, add_unary_rise, add_unary_slope


class Segment(NamedTuple):
    """What the energy of a row's pixels depends on between their labels p and their goals z."""

    weights: np.ndarray  # (D, W), of the edges
    others: np.ndarray  # (D, W), impurities of the neighbours q
    products: np.ndarray  # (D, W), p.q
    goal_products: np.ndarray  # (D, W), z.q
    impurity: np.ndarray  # (W,), of p
    goal_impurity: np.ndarray  # (W,), of z
    square: np.ndarray  # (W,), ||z - p||^2
    match: np.ndarray  # (W,), p.sigma (p.ln sigma for CE; unused for RCE)
    goal_match: np.ndarray  # (W,), z.sigma likewise
    labels: Row  # p, z, sigma: read for RCE only
    goal: Row
    target: Row


@inlined
def line_search(pixels, neighbors, products, goal, terms, options, kinds, room):
    """Return how far each pixel goes, in [0, 1], and the change of its energy, never above rounding.

    A pixel takes the whole step if its energy does not rise, else goes to the best secant point, else stays.
    """
    segment = _segment(pixels, neighbors, products, goal, terms, kinds, room)
    number, width = pixels.free.dtype.type, len(pixels.free)
    zero = number(0)
    rows = take_rows(room, 5, width)
    rise, length, lowest, whole, slack = rows[0], rows[1], rows[2], rows[3], rows[4]
    whole[:], slack[:] = 1, terms.eta
    _rise(rise, whole, segment, terms, room)
    for n in range(len(neighbors.weights)):
        add(slack, neighbors.weights[n])
    uphill, rising = take_integers(room, width), 0
    for x in range(width):
        up = not rise[x] <= options.rounding * slack[x]  # also where it is NaN
        length[x], lowest[x] = zero if up else pixels.free[x], zero if up else rise[x] * pixels.free[x]
    for x in range(width):
        if pixels.free[x] > length[x]:
            uphill[rising] = x
            rising += 1
    if rising:
        some = uphill[:rising]
        best, fall = _search(_restrict(segment, terms, some, room), terms, options.secant_steps, room)
        for n in range(rising):
            length[some[n]], lowest[some[n]] = best[n], fall[n]
    return length, lowest


@inlined
def _segment(pixels, neighbors, products, goal, terms, kinds, room):
    """Return the row's `Segment`."""
    width = len(pixels.free)
    goal_products, sums = take_rows(room, len(products), width), take_rows(room, 4, width)
    sums[:] = 0
    goal_impurity, square, match, goal_match = sums[0], sums[1], sums[2], sums[3]
    multiply_with_neighbors(goal_products, goal, pixels.labels, neighbors.starts, kinds)
    if terms.cross_entropy != RCE:
        set_products(match, pixels.target, pixels.labels, kinds)
        set_products(goal_match, pixels.target, goal, kinds)
    for k in kinds:
        _add_distance(goal_impurity, square, of_class(goal, k, width), of_class(pixels.labels, k, width))
    return Segment(
        neighbors.weights, neighbors.impurity, products, goal_products, pixels.impurity, goal_impurity, square, match,
        goal_match, pixels.labels, goal, pixels.target,
    )  # fmt: skip


@inner
def _add_distance(impurity, square, z, p):
    """Add one class's part of the goal's impurity and of the squared length."""
    for x in range(len(z)):
        impurity[x] += z[x] - z[x] * z[x]
        square[x] += (z[x] - p[x]) * (z[x] - p[x])


@inlined
def _restrict(a, terms, some, room):
    """Return the segment of some pixels; its `Row`s have no class where they are not read."""
    count, width, classes = len(a.weights), len(some), 0
    if terms.cross_entropy == RCE:
        classes = len(a.goal.values) // len(a.impurity)
    edges, pixels, values = (
        take_rows(room, 4 * count, width),
        take_rows(room, 5, width),
        take(room, 3 * classes * width),
    )
    for n, of_edges in enumerate((a.weights, a.others, a.products, a.goal_products)):
        for m in range(count):
            _pick(edges[n * count + m], of_edges[m], some)
    for n, of_pixels in enumerate((a.impurity, a.goal_impurity, a.square, a.match, a.goal_match)):
        _pick(pixels[n], of_pixels, some)
    for n, row in enumerate((a.labels, a.goal, a.target)):
        for k in range(classes):
            _pick(of_class(Row(values, 0, width), n * classes + k, width), of_class(row, k, len(a.impurity)), some)
    size = classes * width
    return Segment(
        edges[:count], edges[count : 2 * count], edges[2 * count : 3 * count], edges[3 * count :],
        pixels[0], pixels[1], pixels[2], pixels[3], pixels[4],
        Row(values[:size], 0, width), Row(values[size : 2 * size], 0, width), Row(values[2 * size :], 0, width),
    )  # fmt: skip


@inner
def _pick(out, a, some):
    """Set out to the numbers at some places."""
    for x in range(len(some)):
        out[x] = a[some[x]]


@inlined
def _search(segment, terms, repeats, room):
    """Return the best of the secant points of each pixel and the change of its energy; 0 where none lowers it."""
    width, zero = len(segment.impurity), segment.impurity.dtype.type(0)
    rows = take_rows(room, 9, width)
    best, lowest, low, high, t, rise, slope = rows[0], rows[1], rows[2], rows[3], rows[4], rows[5], rows[6]
    low_slope, high_slope = rows[7], rows[8]
    best[:], lowest[:], low[:], high[:] = 0, 0, 0, 1
    _slope(low_slope, low, segment, terms, room)
    _slope(high_slope, high, segment, terms, room)
    for _ in range(repeats):
        _secant(t, low, high, low_slope, high_slope)
        _rise(rise, t, segment, terms, room)
        _slope(slope, t, segment, terms, room)
        for x in range(width):
            better, up = rise[x] < lowest[x], slope[x] > zero
            best[x], lowest[x] = t[x] if better else best[x], rise[x] if better else lowest[x]
            high[x], high_slope[x] = t[x] if up else high[x], slope[x] if up else high_slope[x]
            low[x], low_slope[x] = low[x] if up else t[x], low_slope[x] if up else slope[x]
    return best, lowest


@inner
def _secant(t, low, high, low_slope, high_slope):
    """Set the next point of each pixel's search, between low and high and not too near to either."""
    number = t.dtype.type
    least, most, half = number(0.05), number(0.95), number(0.5)
    for x in range(len(t)):
        fall = low_slope[x] - high_slope[x]
        ratio = low_slope[x] / fall if fall != 0 else half
        t[x] = low[x] + (high[x] - low[x]) * min(max(ratio, least), most)


@inlined
def _rise(rise, t, segment, terms, room):
    """Set the change of each pixel's energy at p + t (z - p)."""
    mark = room.used[0]
    a, moved, one = segment, take(room, len(t)), t.dtype.type(1)
    for x in range(len(t)):
        left = one - t[x]
        moved[x] = left * a.impurity[x] + t[x] * a.goal_impurity[x] + t[x] * left * a.square[x]
    rise[:] = 0
    add_rises(terms.relaxation, (rise, t, a.weights, a.products, a.goal_products, a.impurity, moved, a.others))
    add_unary_rise(rise, t, moved, segment, terms)
    give_back(room, mark)


@inlined
def _slope(slope, t, segment, terms, room):
    """Set the derivative of `_rise` by t."""
    mark = room.used[0]
    a, moved, turn, one = segment, take(room, len(t)), take(room, len(t)), t.dtype.type(1)
    for x in range(len(t)):
        left = one - t[x]
        moved[x] = left * a.impurity[x] + t[x] * a.goal_impurity[x] + t[x] * left * a.square[x]
        turn[x] = a.impurity[x] - a.goal_impurity[x] - (left - t[x]) * a.square[x]  # of p.p
    slope[:] = 0
    add_turns(terms.relaxation, (slope, t, a.weights, a.products, a.goal_products, moved, turn, a.others))
    add_unary_slope(slope, t, turn, segment, terms)
    give_back(room, mark)
