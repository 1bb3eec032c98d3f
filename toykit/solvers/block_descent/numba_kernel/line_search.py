"""The line search of each pixel's own energy from its label to the goal of its step.

Along the segment that energy depends on a few products only, so that no pass over the classes is needed (except for RCE).
"""

from typing import NamedTuple

import numpy as np

from toykit._shared.compiled import inlined, inner
from toykit.solvers.block_descent.numba_kernel.forms import add_rises, add_turns
from toykit.solvers.block_descent.numba_kernel.rows import Row, add, add_products, of_class
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
def line_search(pixels, neighbors, products, goal, terms, options, kinds):
    """Return how far each pixel goes, in [0, 1], and the change of its energy, never above rounding.

    A pixel takes the whole step if its energy does not rise, else goes to the best secant point, else stays.
    """
    segment = _segment(pixels, neighbors, products, goal, terms, kinds)
    number, width = pixels.free.dtype.type, len(pixels.free)
    zero = number(0)
    rise, length, lowest = np.empty(width, pixels.free.dtype), np.empty_like(pixels.free), np.empty_like(pixels.free)
    _rise(rise, np.ones_like(pixels.free), segment, terms)
    slack = np.full(width, terms.eta)
    for n in range(len(neighbors.weights)):
        add(slack, neighbors.weights[n])
    uphill, rising = np.empty(width, np.int64), 0
    for x in range(width):
        up = not rise[x] <= options.rounding * slack[x]  # also where it is NaN
        length[x], lowest[x] = zero if up else pixels.free[x], zero if up else rise[x] * pixels.free[x]
    for x in range(width):
        if pixels.free[x] > length[x]:
            uphill[rising] = x
            rising += 1
    if rising:
        some = uphill[:rising]
        best, fall = _search(_restrict(segment, terms, some), terms, options.secant_steps)
        for n in range(rising):
            length[some[n]], lowest[some[n]] = best[n], fall[n]
    return length, lowest


@inner
def _segment(pixels, neighbors, products, goal, terms, kinds):
    """Return the row's `Segment`."""
    width, kind = len(pixels.free), pixels.free.dtype
    goal_products, goal_impurity, square = np.zeros_like(products), np.zeros(width, kind), np.zeros(width, kind)
    match, goal_match = np.zeros(width, kind), np.zeros(width, kind)
    for n in range(len(products)):
        other = Row(pixels.labels.values, neighbors.starts[n], pixels.labels.stride)
        add_products(goal_products[n], goal, other, kinds)
    if terms.cross_entropy != RCE:
        add_products(match, pixels.target, pixels.labels, kinds)
        add_products(goal_match, pixels.target, goal, kinds)
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


@inner
def _restrict(a, terms, some):
    """Return the segment of some pixels; its `Row`s have no class where they are not read."""
    classes = len(a.goal.values) // len(a.impurity) if terms.cross_entropy == RCE else 0
    return Segment(
        _columns(a.weights, some), _columns(a.others, some), _columns(a.products, some), _columns(a.goal_products, some),
        a.impurity[some], a.goal_impurity[some], a.square[some], a.match[some], a.goal_match[some],
        _row(a.labels, classes, some), _row(a.goal, classes, some), _row(a.target, classes, some),
    )  # fmt: skip


@inner
def _columns(a, some):
    """Return some columns of (N, W)."""
    out = np.empty((len(a), len(some)), a.dtype)
    for n in range(len(a)):
        for x in range(len(some)):
            out[n, x] = a[n, some[x]]
    return out


@inner
def _row(row, classes, some):
    """Return some pixels of a row as a new row."""
    out = np.empty(classes * len(some), row.values.dtype)
    for k in range(classes):
        for x in range(len(some)):
            out[k * len(some) + x] = row.values[row.start + k * row.stride + some[x]]
    return Row(out, 0, len(some))


@inner
def _search(segment, terms, repeats):
    """Return the best of the secant points of each pixel and the change of its energy; 0 where none lowers it."""
    impure = segment.impurity
    number, width = impure.dtype.type, len(impure)
    zero = number(0)
    best, lowest, low, high = np.zeros_like(impure), np.zeros_like(impure), np.zeros_like(impure), np.ones_like(impure)
    t, rise, slope = np.empty_like(impure), np.empty_like(impure), np.empty_like(impure)
    low_slope, high_slope = np.empty_like(impure), np.empty_like(impure)
    _slope(low_slope, low, segment, terms)
    _slope(high_slope, high, segment, terms)
    for _ in range(repeats):
        _secant(t, low, high, low_slope, high_slope)
        _rise(rise, t, segment, terms)
        _slope(slope, t, segment, terms)
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


@inner
def _rise(rise, t, segment, terms):
    """Set the change of each pixel's energy at p + t (z - p)."""
    a, moved, one = segment, np.empty_like(t), t.dtype.type(1)
    for x in range(len(t)):
        left = one - t[x]
        moved[x] = left * a.impurity[x] + t[x] * a.goal_impurity[x] + t[x] * left * a.square[x]
    rise[:] = 0
    for n in range(len(a.weights)):
        edge = (rise, t, a.weights[n], a.products[n], a.goal_products[n], a.impurity, moved, a.others[n])
        add_rises(terms.relaxation, edge)
    add_unary_rise(rise, t, moved, segment, terms)


@inner
def _slope(slope, t, segment, terms):
    """Set the derivative of `_rise` by t."""
    a, moved, turn, one = segment, np.empty_like(t), np.empty_like(t), t.dtype.type(1)
    for x in range(len(t)):
        left = one - t[x]
        moved[x] = left * a.impurity[x] + t[x] * a.goal_impurity[x] + t[x] * left * a.square[x]
        turn[x] = a.impurity[x] - a.goal_impurity[x] - (left - t[x]) * a.square[x]  # of p.p
    slope[:] = 0
    for n in range(len(a.weights)):
        edge = (slope, t, a.weights[n], a.products[n], a.goal_products[n], moved, turn, a.others[n])
        add_turns(terms.relaxation, edge)
    add_unary_slope(slope, t, turn, segment, terms)
