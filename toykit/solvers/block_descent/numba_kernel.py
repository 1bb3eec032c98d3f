"""The fast solver's sweep as one fused loop for the processor (numba); the same arithmetic as `kernel_torch`.

A half-row (one row of one quarter) stays in the cache from its gradient to its new labels. Rows of one parity are no neighbours
and run in parallel. Most labels are sparse after a sweep: a half-row works only on the classes that it or a neighbour holds,
and on those that the step would wake. That is exact, since a class that no one there holds has no gradient but the unary's.
On listed edges, some pixels of one block and their neighbours are gathered to rows, and the same step is done with them.

Numba compiles at the first call, some seconds, and keeps the result on disk. Its cache watches this file only, which is why
all of the kernel is here. The innermost loops run along a row of one class and become vector code; all arrays are flat, with
the start of the row; constants carry the arrays' type, since one of double precision would make the loop double.
"""

import math

import numba
import numpy as np
import torch
from numba.extending import overload
from torch import Tensor

from toykit._shared.threads import torch_threads
from toykit.simplex import smallest_probability
from toykit.solvers.block_descent.proximal import NEWTON_STEPS, PROJECTION_STEPS
from toykit.solvers.block_descent.torch_kernel import SECANT_STEPS
from toykit.solvers.layouts.edge_list import EdgeListProblem
from toykit.solvers.layouts.four_colour_grid import FourColourGrid

# numbers of this file's own: compiled code must not depend on the order in another
RELAXATIONS, CROSS_ENTROPIES = ("BL", "Q", "NQ", "CCE", "LQ", "CD"), ("CE", "RCE", "CCE", "Q")
BL, Q, NQ, CCE, LQ, CD = range(6)
H_CE, H_RCE, H_CCE, H_Q = range(4)
#: Pixels of a block of listed edges that are worked on at a time.
TILE = 32
_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinity keep their meaning (but in `_log`)
# a test for division by zero would keep a loop from becoming vector code
_inner = numba.njit(fastmath=_FAST, error_model="numpy")
_outer = numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")


def sweep(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """As `kernel_torch.sweep`."""
    options = omega, torch.finfo(x.labels.dtype).eps, (PROJECTION_STEPS, SECANT_STEPS, NEWTON_STEPS)
    if isinstance(x, EdgeListProblem):
        return _call_tiles(_sweep_tiles, x, cross_entropy, relaxation, eta, *options)
    change = np.zeros((len(x.labels), x.free.shape[3], 2, x.images))
    _call(_sweep, x, cross_entropy, relaxation, eta, *options, change)
    return torch.from_numpy(change.sum((1, 2)).reshape(-1))


def energy(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float) -> Tensor:
    """As `kernel_torch.energy`."""
    if isinstance(x, EdgeListProblem):
        return _call_tiles(_energy_tiles, x, cross_entropy, relaxation, eta)
    value = np.zeros((len(x.labels), 2, 2, x.free.shape[3], x.images))
    _call(_energy, x, cross_entropy, relaxation, eta, value)
    return torch.from_numpy(value.sum((1, 2, 3)).reshape(-1))


def _call(loop, x: FourColourGrid, cross_entropy: str, relaxation: str, eta: float, *rest) -> None:
    """Run a parallel loop on torch's number of threads."""
    arrays = tuple(t.numpy() for t in (x.labels, x.target, x.weights, x.free))
    impurity, held = np.empty_like(x.labels[..., 0, :].numpy()), np.empty(x.labels.shape[:-1], np.bool_)
    with torch_threads():
        loop(*arrays, impurity, held, np.array(x.offsets), *_numbers(x, cross_entropy, relaxation, eta, *rest))


def _call_tiles(loop, x: EdgeListProblem, cross_entropy: str, relaxation: str, eta: float, *rest) -> Tensor:
    """Run a parallel loop over each block's tiles in turn; returns the sum of what they say (1,)."""
    labels, target, free = x.labels[0, :, :, 0], x.target[0, :, :, 0].numpy(), x.free[0, :, 0].numpy()
    impurity = (labels * (1 - labels)).sum(1).numpy()
    numbers, total = _numbers(x, cross_entropy, relaxation, eta, *rest), 0.0
    with torch_threads():
        for pixels, starts, neighbors, weights in x.rows:
            said = np.zeros(-(-len(pixels) // TILE))
            loop(
                labels.numpy(), target, free, impurity, pixels.numpy(), starts.numpy(), neighbors.numpy(), weights.numpy(),
                *numbers, said,
            )  # fmt: skip
            total += said.sum()
    return torch.tensor([total], dtype=torch.float64)


def _numbers(x: FourColourGrid | EdgeListProblem, cross_entropy: str, relaxation: str, eta: float, *rest) -> tuple:
    """What the loops take after the arrays, numbers in the arrays' type."""
    number = x.labels.numpy().dtype.type
    numbers = (eta, smallest_probability(x.labels.dtype), *rest)
    return (
        RELAXATIONS.index(relaxation),
        CROSS_ENTROPIES.index(cross_entropy),
        *(number(r) if isinstance(r, float) else r for r in numbers),
    )


@_outer
def _sweep(
    labels, target, weights, free, impurity, held, offsets, relaxation, unary, eta, eps, omega, rounding, limits, change
):
    for task in numba.prange(4 * labels.shape[0] * labels.shape[3]):
        _survey(labels, impurity, held, task)
    for row in range(2):
        for task in numba.prange(labels.shape[0] * free.shape[3]):
            image, line = task // free.shape[3], task % free.shape[3]
            for column in range(2):
                _half_row(
                    labels, target, weights, free, impurity, held, offsets, relaxation, unary, eta, eps, omega, limits,
                    rounding, image, row, column, line, change[image, line, row],
                )  # fmt: skip


@_outer
def _energy(labels, target, weights, free, impurity, held, offsets, relaxation, unary, eta, eps, value):
    for task in numba.prange(4 * labels.shape[0] * labels.shape[3]):
        _survey(labels, impurity, held, task)
    for task in numba.prange(4 * labels.shape[0] * free.shape[3]):
        quarter, line = task // free.shape[3], task % free.shape[3]
        image, row, column = quarter // 4, quarter // 2 % 2, quarter % 2
        _row_energy(
            labels,
            target,
            weights,
            free,
            impurity,
            held,
            offsets,
            relaxation,
            unary,
            eta,
            eps,
            image,
            row,
            column,
            line,
            value[image, row, column, line],
        )


@_inner
def _survey(labels, impurity, held, task):
    """Of one row of one quarter, border included: sum_k y^k (1 - y^k), and which classes any pixel holds."""
    classes, wide = labels.shape[4], labels.shape[5]
    y, mixed, any_of = labels.reshape(-1), impurity.reshape(-1), held.reshape(-1)
    out = mixed[task * wide : (task + 1) * wide]
    out[:] = 0
    for k in range(classes):
        p = y[(task * classes + k) * wide : (task * classes + k + 1) * wide]
        any_of[task * classes + k] = _holds(p)
        if any_of[task * classes + k]:
            _add_impurity(out, p)


@_inner
def _places(labels, offsets, image, row, column, line):
    """Numbers of the half-row and of its neighbours, in rows of a class of the labels."""
    lines = labels.shape[3]
    rows = np.empty(len(offsets) + 1, np.int64)
    for n in range(len(rows)):
        r = row + (offsets[n, 0] if n < len(offsets) else 0)
        c = column + (offsets[n, 1] if n < len(offsets) else 0)
        rows[n] = ((image * 2 + r % 2) * 2 + c % 2) * lines + line + 1 + r // 2
    return rows


@_inner
def _classes_of(held, rows, classes):
    """The classes that any of some rows holds."""
    any_of = held.reshape(-1)
    kinds, number = np.empty(classes, np.int64), 0
    for k in range(classes):
        found = False
        for r in rows:
            found = found or any_of[r * classes + k]
        if found:
            kinds[number] = k
            number += 1
    return kinds, number


@_inner
def _half_row(
    labels, target, weights, free, impurity, held, offsets, relaxation, unary, eta, eps, omega, limits, rounding,
    image, row, column, line, change,
):  # fmt: skip
    """Steps 1 to 3 of `torch_kernel` for one row of one quarter; adds to the change of each image's energy."""
    height, classes, width = free.shape[3], labels.shape[4], free.shape[4]
    count, wide, quarter = len(offsets), width + 2, (image * 2 + row) * 2 + column
    y, sigma, affinity, mixed = labels.reshape(-1), target.reshape(-1), weights.reshape(-1), impurity.reshape(-1)
    rows = _places(labels, offsets, image, row, column, line)
    p0, i0 = rows[count] * classes * wide + 1, rows[count] * wide + 1
    t0, w0, f0 = (
        (quarter * height + line) * classes * width,
        (quarter * count * height + line) * width,
        (quarter * height + line) * width,
    )
    movable = free.reshape(-1)[f0 : f0 + width]
    if not _holds(movable):  # nothing may move here
        return
    known, alive = _classes_of(held, rows, classes)
    w, others, starts = np.empty((count, width), y.dtype), np.empty((count, width), y.dtype), np.empty(count, np.int64)
    for n in range(count):
        shift = (column + offsets[n, 1]) // 2
        starts[n], j0 = rows[n] * classes * wide + 1 + shift, rows[n] * wide + 1 + shift
        w[n], others[n] = affinity[w0 + n * height * width : w0 + n * height * width + width], mixed[j0 : j0 + width]
    kinds = _update(
        y, p0, wide, starts, w, others, mixed[i0 : i0 + width].copy(), sigma, t0, movable, known, alive, relaxation, unary,
        eta, eps, omega, limits, rounding, change,
    )  # fmt: skip
    mixed[i0 : i0 + width] = 0
    for k in kinds:
        p = y[p0 + k * wide : p0 + k * wide + width]
        held.reshape(-1)[rows[count] * classes + k] = _holds(p)
        _add_impurity(mixed[i0 : i0 + width], p)


@_inner
def _update(
    y, p0, wide, starts, w, others, impure, sigma, t0, movable, known, alive, relaxation, unary, eta, eps, omega, limits,
    rounding, change,
):  # fmt: skip
    """Steps 1 to 3 for a row of pixels, none a neighbour of another, wherever their neighbours lie.

    Class k of the row starts at p0 + k wide of y, of its n-th neighbours at starts[n] + k wide; w, others: weights and
    impurities of the neighbours (D, W), D even. known[:alive]: the classes that any of them holds. Moves the labels in y,
    adds the change of the energy to `change`, one number for each image of the row, and returns the classes that the row
    may hold now.
    """
    (count, width), classes = w.shape, len(known)
    number = y.dtype.type
    one, zero = number(1), number(0)
    if unary == H_RCE:  # its barrier keeps every class above zero
        known, alive = np.arange(classes), classes
    kinds = known[:alive]

    # 1. products with the neighbours; then the slopes, and the gradient's coefficients
    products, coefficients = np.zeros((count, width), y.dtype), np.empty((count, width), y.dtype)
    own_coefficient, curvature, inverse = np.zeros(width, y.dtype), np.zeros(width, y.dtype), np.empty(width, y.dtype)
    for n in range(count):
        _add_products(products[n], y, p0, wide, y, starts[n], wide, kinds)
        _add_slopes(coefficients[n], own_coefficient, curvature, relaxation, w[n], products[n], impure, others[n], eps)
    bending = eta if unary == H_CE else (eta + eta if unary == H_Q else zero)
    pulling = eta if unary == H_Q else zero
    least = number(1e-3) * eta + number(1e-12)
    for x in range(width):
        bend = (curvature[x] + bending) / omega
        inverse[x] = one / (bend if bend > least else least)
        own_coefficient[x] = own_coefficient[x] + pulling + own_coefficient[x] + pulling

    # 2. the over-relaxed proximal step; a class that it wakes joins, and it is done again
    step, pull, shift = np.empty(classes * width, y.dtype), np.zeros(width, y.dtype), np.empty(width, y.dtype)
    for x in range(width):
        pull[x] = bending * inverse[x]
    for k in kinds:
        p, z, own = k * wide, step[k * width : (k + 1) * width], y[p0 + k * wide : p0 + k * wide + width]
        _multiply(z, own_coefficient, own)
        for n in range(0, count, 2):  # offsets come in pairs, there and back
            first, second = y[starts[n] + p : starts[n] + p + width], y[starts[n + 1] + p : starts[n + 1] + p + width]
            _add_two(z, coefficients[n], first, coefficients[n + 1], second)
        _descend(z, own, inverse)
        if unary in (H_CE, H_Q):
            _add_product(z, pull, sigma[t0 + k * width : t0 + (k + 1) * width])
    while True:
        if unary == H_CCE:
            _prox_collision(pull, shift, step, sigma, t0, inverse, eta, eps, limits[0], kinds)
        elif unary == H_RCE:
            _prox_reverse(shift, step, sigma, t0, inverse, eta, limits[2], kinds)
        else:
            _project(shift, step, limits[0], kinds)
        before = alive
        for k in range(classes):
            if unary != H_RCE and not _contains(known[:before], k):
                s = sigma[t0 + k * width : t0 + (k + 1) * width]
                if _wakes(pull, shift, s, movable):
                    z = step[k * width : (k + 1) * width]
                    if unary == H_CCE:
                        z[:] = 0
                    else:
                        _multiply(z, pull, s)
                    known[alive] = k
                    alive += 1
        kinds = known[:alive]
        if alive == before:
            break
    for k in kinds:
        z, s = step[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width]
        if unary == H_CCE:
            _raise_clipped(z, s, pull, shift)
        elif unary == H_RCE:
            _to_roots(z, s, shift, inverse, eta)
        else:
            _clip(z, shift)
    _normalize(step, kinds, width)

    # 3. the line search; all is known of a segment from its two ends and its length
    goals, goal_impurity, square = np.zeros((count, width), y.dtype), np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    match, goal_match = np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    for n in range(count):
        _add_products(goals[n], step, 0, width, y, starts[n], wide, kinds)
    if unary != H_RCE:
        _add_products(match, sigma, t0, width, y, p0, wide, kinds)
        _add_products(goal_match, sigma, t0, width, step, 0, width, kinds)
    for k in kinds:
        _add_segment(goal_impurity, square, step[k * width : (k + 1) * width], y[p0 + k * wide : p0 + k * wide + width])
    edges, segment = (w, products, goals, others), (impure, goal_impurity, square, match, goal_match)
    place = (y, p0, wide, step, sigma, t0)
    rise, length, lowest = np.empty(width, y.dtype), np.empty(width, y.dtype), np.empty(width, y.dtype)
    _rise(rise, np.ones(width, y.dtype), edges, segment, relaxation, unary, eta, eps, place)
    slack = np.full(width, eta)
    for n in range(count):
        _add(slack, w[n])
    for x in range(width):
        up = not rise[x] <= rounding * slack[x]  # also where it is NaN
        length[x], lowest[x] = zero if up else movable[x], zero if up else rise[x] * movable[x]
    uphill, rising = np.empty(width, np.int64), 0
    for x in range(width):
        if movable[x] > length[x]:
            uphill[rising] = x
            rising += 1
    if rising:
        pixels = uphill[:rising]
        if unary == H_RCE:
            rows_of = (_taken_rows(y, p0, wide, classes, pixels), _taken_rows(step, 0, width, classes, pixels))
            place = (rows_of[0], 0, rising, rows_of[1], _taken_rows(sigma, t0, width, classes, pixels), 0)
        best, fall = _search(
            (_taken(w, pixels), _taken(products, pixels), _taken(goals, pixels), _taken(others, pixels)),
            (impure[pixels], goal_impurity[pixels], square[pixels], match[pixels], goal_match[pixels]),
            relaxation, unary, eta, eps, limits[1], place,
        )  # fmt: skip
        for n in range(rising):
            length[pixels[n]], lowest[pixels[n]] = best[n], fall[n]
    _add_sums(change, lowest)
    for k in kinds:
        _move(y[p0 + k * wide : p0 + k * wide + width], length, step[k * width : (k + 1) * width])
    return kinds


@_inner
def _row_energy(
    labels, target, weights, free, impurity, held, offsets, relaxation, unary, eta, eps, image, row, column, line, total
):
    """Add the energy of one row of one quarter: its unary, and its edges to the first of each pair of offsets."""
    height, classes, width = free.shape[3], labels.shape[4], free.shape[4]
    count, wide, quarter = len(offsets), width + 2, (image * 2 + row) * 2 + column
    y, sigma, affinity, mixed = labels.reshape(-1), target.reshape(-1), weights.reshape(-1), impurity.reshape(-1)
    rows = _places(labels, offsets, image, row, column, line)
    p0, i0 = rows[count] * classes * wide + 1, rows[count] * wide + 1
    t0, w0, f0 = (
        (quarter * height + line) * classes * width,
        (quarter * count * height + line) * width,
        (quarter * height + line) * width,
    )
    known, alive = _classes_of(held, rows[count:], classes)
    kinds = np.arange(classes) if unary in (H_RCE, H_Q) else known[:alive]
    value, product = np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    _add_products(product, sigma, t0, width, y, p0, wide, kinds)
    _add_unary(value, unary, product, y, p0, wide, sigma, t0, kinds, eps)
    for x in range(width):
        value[x] = eta * value[x] * free.reshape(-1)[f0 + x]
    _add_sums(total, value)
    for n in range(0, count, 2):
        start = 1 + (column + offsets[n, 1]) // 2
        q0, j0, n0 = rows[n] * classes * wide + start, rows[n] * wide + start, w0 + n * height * width
        product[:], value[:] = 0, 0
        _add_products(product, y, p0, wide, y, q0, wide, known[:alive])
        _add_potts(
            value, relaxation, affinity[n0 : n0 + width], product, mixed[i0 : i0 + width], mixed[j0 : j0 + width], eps
        )
        _add_sums(total, value)


# Any list of edges: some pixels of a block are gathered to a row of their own, and their neighbours to others


@_outer
def _sweep_tiles(
    labels, target, free, impurity, pixels, starts, neighbors, weights, relaxation, unary, eta, eps, omega,
    rounding, limits, change,
):  # fmt: skip
    for tile in numba.prange(len(change)):
        some = pixels[tile * TILE : (tile + 1) * TILE]
        first = starts[tile * TILE : (tile + 1) * TILE + 1]
        y, sigma, w, others, impure, movable, known, alive = _gather(
            labels, target, free, impurity, some, first, neighbors, weights
        )
        width, classes, count = len(some), labels.shape[1], len(w)
        p0, rows = count * classes * width, np.arange(count) * classes * width
        kinds = _update(
            y, p0, width, rows, w, others, impure, sigma, 0, movable, known, alive, relaxation, unary, eta, eps, omega,
            limits, rounding, change[tile : tile + 1],
        )  # fmt: skip
        impure[:] = 0
        for k in kinds:
            p = y[p0 + k * width : p0 + (k + 1) * width]
            _add_impurity(impure, p)
            for x in range(width):
                labels[some[x], k] = p[x]
        for x in range(width):
            impurity[some[x]] = impure[x]


@_outer
def _energy_tiles(
    labels, target, free, impurity, pixels, starts, neighbors, weights, relaxation, unary, eta, eps, value
):  # fmt: skip
    for tile in numba.prange(len(value)):
        some = pixels[tile * TILE : (tile + 1) * TILE]
        first = starts[tile * TILE : (tile + 1) * TILE + 1]
        y, sigma, w, others, impure, movable, known, alive = _gather(
            labels, target, free, impurity, some, first, neighbors, weights
        )
        width, classes, count = len(some), labels.shape[1], len(w)
        p0, everything = count * classes * width, np.arange(classes)
        match, out = np.zeros(width, y.dtype), np.zeros(width, y.dtype)
        _add_products(match, sigma, 0, width, y, p0, width, everything)
        _add_unary(out, unary, match, y, p0, width, sigma, 0, everything, eps)
        total = 0.0
        for x in range(width):
            total += eta * out[x] * movable[x]
        out[:] = 0
        for n in range(count):
            match[:] = 0
            _add_products(match, y, p0, width, y, n * classes * width, width, known[:alive])
            _add_potts(out, relaxation, w[n], match, impure, others[n], eps)
        for x in range(width):
            total += 0.5 * out[x]  # each edge is met from both its ends
        value[tile] = total


@_inner
def _gather(labels, target, free, impurity, some, first, neighbors, weights):
    """The arguments that `_update` wants of some pixels; fewer neighbours than the most are filled up with weights of 0."""
    width, classes, count = len(some), labels.shape[1], 2
    for x in range(width):
        count = max(count, first[x + 1] - first[x])
    count += count % 2
    y, sigma = np.zeros((count + 1) * classes * width, labels.dtype), np.empty(classes * width, labels.dtype)
    w, others = np.zeros((count, width), labels.dtype), np.zeros((count, width), labels.dtype)
    impure, movable = np.empty(width, labels.dtype), np.empty(width, labels.dtype)
    held = np.zeros((1, classes), np.bool_)
    for x in range(width):
        i, own = some[x], count * classes * width + x
        impure[x], movable[x] = impurity[i], free[i]
        for k in range(classes):
            y[own + k * width], sigma[k * width + x] = labels[i, k], target[i, k]
            held[0, k] |= labels[i, k] > 0
        for n in range(first[x + 1] - first[x]):
            j, place = neighbors[first[x] + n], n * classes * width + x
            w[n, x], others[n, x] = weights[first[x] + n], impurity[j]
            for k in range(classes):
                y[place + k * width] = labels[j, k]
                held[0, k] |= labels[j, k] > 0
        # what fills up has a label too: a zero would be singular to some relaxations
        for n in range(first[x + 1] - first[x], count):
            others[n, x] = impure[x]
            for k in range(classes):
                y[(n * classes + k) * width + x] = labels[i, k]
    known, alive = _classes_of(held, np.zeros(1, np.int64), classes)
    return y, sigma, w, others, impure, movable, known, alive


# Scalars: the forms of `scalar_forms`, and the logarithm


def _log(x):
    """Natural logarithm of a positive normal number; in single precision without a call, so that loops become vector code."""


@overload(_log, jit_options={"fastmath": _FAST, "error_model": "numpy"})
def _log_of(x):
    if x != numba.types.float32:
        return lambda x: math.log(x)

    def single(x):
        # x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s) with s = (m - 1)/(m + 1), |s| < 0.172
        bits = np.float32(x).view(np.int32)
        e = (bits - np.int32(0x3F3504F3)) >> np.int32(23)
        m = np.int32(bits - (e << np.int32(23))).view(np.float32)
        s = (m - np.float32(1)) / (m + np.float32(1))
        z = s * s
        series = np.float32(2 / 5) + z * (np.float32(2 / 7) + z * np.float32(2 / 9))
        return np.float32(e) * np.float32(math.log(2)) + s * (np.float32(2) + z * (np.float32(2 / 3) + z * series))

    return single


@_inner
def _extended_log(x, eps):
    """`toykit.simplex.extended_log`."""
    above, below = max(x, eps), min(x, eps)
    return _log(above) + (below - eps) / eps


@_inner
def _log_ratio(x, y, eps):
    """`toykit.simplex.extended_log` of x less that of y."""
    return _log(max(x, eps) / max(y, eps)) + (min(x, eps) - min(y, eps)) / eps


@_inner
def _slopes(relaxation, s, i, j, eps, one, half):
    """(dP/ds, dP/da), as in `scalar_forms`."""
    if relaxation == BL:
        return -one, one - one
    if relaxation == Q:
        return -one, half
    if relaxation == NQ:
        q = one / math.sqrt((one - i) * (one - j))
        return -q, half * s * q / (one - i)
    if relaxation == CCE:
        return -one / max(s, eps), one - one
    if relaxation == LQ:
        g = one / max(s + half * (i + j), eps)
        return -g, half * g
    return -one / max(s, eps), half / (one - i)


@_inner
def _difference(relaxation, s, moved_s, i, moved_i, j, eps, one, half):
    """P after the move less P before, as in `scalar_forms`."""
    if relaxation == BL:
        return s - moved_s
    if relaxation == Q:
        return s - moved_s + half * (i - moved_i)
    if relaxation == NQ:
        return (s / math.sqrt(one - i) - moved_s / math.sqrt(one - moved_i)) / math.sqrt(one - j)
    if relaxation == CCE:
        return _log_ratio(s, moved_s, eps)
    if relaxation == LQ:
        return _log_ratio(s + half * (i + j), moved_s + half * (moved_i + j), eps)
    scale = one / math.sqrt(one - j)
    return _log_ratio(s * scale / math.sqrt(one - i), moved_s * scale / math.sqrt(one - moved_i), eps)


@_inner
def _potts(relaxation, s, i, j, eps, one, half):
    """P, as in `scalar_forms`."""
    if relaxation == BL:
        return one - s
    if relaxation == Q:
        return one - s - half * (i + j)
    if relaxation == NQ:
        return one - s / math.sqrt((one - i) * (one - j))
    if relaxation == CCE:
        return -_extended_log(s, eps)
    if relaxation == LQ:
        return -_extended_log(s + half * (i + j), eps)
    return -_extended_log(s / math.sqrt((one - i) * (one - j)), eps)


# Loops along a row, compiled for one relaxation at a time: a constant to them, so that they become vector code


def _row_loops(relaxation):
    @_inner
    def add_slopes(out, own, curvature, w, s, i, j, eps):
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for x in range(len(w)):
            by_s, by_a = _slopes(relaxation, s[x], i[x], j[x], eps, one, half)
            out[x], own[x], curvature[x] = w[x] * by_s, own[x] + w[x] * by_a, curvature[x] - w[x] * by_s

    @_inner
    def add_rises(rise, t, w, s, goal, i, moved, j, eps):
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for x in range(len(w)):
            now = (one - t[x]) * s[x] + t[x] * goal[x]
            rise[x] += w[x] * _difference(relaxation, s[x], now, i[x], moved[x], j[x], eps, one, half)

    @_inner
    def add_turns(slope, t, w, s, goal, moved, turn, j, eps):
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for x in range(len(w)):
            now = (one - t[x]) * s[x] + t[x] * goal[x]
            by_s, by_a = _slopes(relaxation, now, moved[x], j[x], eps, one, half)
            slope[x] += w[x] * (by_s * (goal[x] - s[x]) + by_a * turn[x])

    @_inner
    def add_potts(out, w, s, i, j, eps):
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for x in range(len(w)):
            out[x] += w[x] * _potts(relaxation, s[x], i[x], j[x], eps, one, half)

    return add_slopes, add_rises, add_turns, add_potts


def _choose(loops):
    """One function that takes the relaxation and hands on to its loop."""
    bl, q, nq, cce, lq, cd = loops

    @_inner
    def chosen(relaxation, arguments):
        if relaxation == BL:
            bl(*arguments)
        elif relaxation == Q:
            q(*arguments)
        elif relaxation == NQ:
            nq(*arguments)
        elif relaxation == CCE:
            cce(*arguments)
        elif relaxation == LQ:
            lq(*arguments)
        else:
            cd(*arguments)

    return chosen


_slopes_of, _rises_of, _turns_of, _potts_of = map(
    _choose, zip(*(_row_loops(r) for r in (BL, Q, NQ, CCE, LQ, CD)), strict=True)
)


@_inner
def _add_slopes(out, own, curvature, relaxation, w, s, i, j, eps):
    """Coefficients of one neighbour's label in the gradient; adds to those of the label itself and to the curvature."""
    _slopes_of(relaxation, (out, own, curvature, w, s, i, j, eps))


@_inner
def _add_potts(out, relaxation, w, s, i, j, eps):
    _potts_of(relaxation, (out, w, s, i, j, eps))


@_inner
def _taken(a, pixels):
    """Some pixels' columns of (N, W)."""
    out = np.empty((len(a), len(pixels)), a.dtype)
    for n in range(len(a)):
        for x in range(len(pixels)):
            out[n, x] = a[n, pixels[x]]
    return out


@_inner
def _taken_rows(a, start, stride, classes, pixels):
    """Some pixels of a row of all classes, flat, class after class."""
    out = np.empty(classes * len(pixels), a.dtype)
    for k in range(classes):
        for x in range(len(pixels)):
            out[k * len(pixels) + x] = a[start + k * stride + pixels[x]]
    return out


@_inner
def _search(edges, segment, relaxation, unary, eta, eps, repeats, place):
    """For pixels whose whole step leads up, the best of the secant points and its change; 0 where none leads down."""
    impure = segment[0]
    number, width = impure.dtype.type, len(impure)
    zero = number(0)
    best, lowest, low, high = np.zeros_like(impure), np.zeros_like(impure), np.zeros_like(impure), np.ones_like(impure)
    t, rise, slope = np.empty_like(impure), np.empty_like(impure), np.empty_like(impure)
    low_slope, high_slope = np.empty_like(impure), np.empty_like(impure)
    _slope(low_slope, low, edges, segment, relaxation, unary, eta, eps, place)
    _slope(high_slope, high, edges, segment, relaxation, unary, eta, eps, place)
    for _ in range(repeats):
        _secant(t, low, high, low_slope, high_slope)
        _rise(rise, t, edges, segment, relaxation, unary, eta, eps, place)
        _slope(slope, t, edges, segment, relaxation, unary, eta, eps, place)
        for x in range(width):
            better, up = rise[x] < lowest[x], slope[x] > zero
            best[x], lowest[x] = t[x] if better else best[x], rise[x] if better else lowest[x]
            high[x], high_slope[x] = t[x] if up else high[x], slope[x] if up else high_slope[x]
            low[x], low_slope[x] = low[x] if up else t[x], low_slope[x] if up else slope[x]
    return best, lowest


@_inner
def _rise(rise, t, edges, segment, relaxation, unary, eta, eps, place):
    """Change of each pixel's energy at p + t (z - p), z the goal of its step."""
    (w, products, goals, others), (impure, goal_impurity, square, match, goal_match) = edges, segment
    y, p0, wide, step, sigma, t0 = place
    width, moved, one = len(t), np.empty_like(t), t.dtype.type(1)
    for x in range(width):
        left = one - t[x]
        moved[x] = left * impure[x] + t[x] * goal_impurity[x] + t[x] * left * square[x]
    rise[:] = 0
    for n in range(len(w)):
        _rises_of(relaxation, (rise, t, w[n], products[n], goals[n], impure, moved, others[n], eps))
    if unary == H_CE:
        for x in range(width):
            rise[x] -= eta * t[x] * (goal_match[x] - match[x])
    elif unary == H_Q:
        for x in range(width):
            gain = goal_match[x] - match[x]
            rise[x] += eta * (impure[x] - moved[x] - t[x] * (gain + gain))
    elif unary == H_CCE:
        for x in range(width):
            rise[x] += eta * _log_ratio(match[x], (one - t[x]) * match[x] + t[x] * goal_match[x], eps)
    else:
        for k in range(len(step) // width):
            p, z = y[p0 + k * wide : p0 + k * wide + width], step[k * width : (k + 1) * width]
            s = sigma[t0 + k * width : t0 + (k + 1) * width]
            for x in range(width):
                rise[x] += eta * s[x] * _log_ratio(p[x], (one - t[x]) * p[x] + t[x] * z[x], eps)


@_inner
def _slope(slope, t, edges, segment, relaxation, unary, eta, eps, place):
    """Derivative of `_rise` by t."""
    (w, products, goals, others), (impure, goal_impurity, square, match, goal_match) = edges, segment
    y, p0, wide, step, sigma, t0 = place
    width, moved, turn, one = len(t), np.empty_like(t), np.empty_like(t), t.dtype.type(1)
    for x in range(width):
        left = one - t[x]
        moved[x] = left * impure[x] + t[x] * goal_impurity[x] + t[x] * left * square[x]
        turn[x] = impure[x] - goal_impurity[x] - (left - t[x]) * square[x]  # of a = p.p
    slope[:] = 0
    for n in range(len(w)):
        _turns_of(relaxation, (slope, t, w[n], products[n], goals[n], moved, turn, others[n], eps))
    if unary == H_CE:
        for x in range(width):
            slope[x] -= eta * (goal_match[x] - match[x])
    elif unary == H_Q:
        for x in range(width):
            gain = goal_match[x] - match[x]
            slope[x] += eta * (turn[x] - (gain + gain))
    elif unary == H_CCE:
        for x in range(width):
            now = (one - t[x]) * match[x] + t[x] * goal_match[x]
            slope[x] -= eta * (goal_match[x] - match[x]) / max(now, eps)
    else:
        for k in range(len(step) // width):
            p, z = y[p0 + k * wide : p0 + k * wide + width], step[k * width : (k + 1) * width]
            s = sigma[t0 + k * width : t0 + (k + 1) * width]
            for x in range(width):
                slope[x] -= eta * s[x] * (z[x] - p[x]) / max((one - t[x]) * p[x] + t[x] * z[x], eps)


@_inner
def _secant(t, low, high, low_slope, high_slope):
    """The next point of each pixel's search, between low and high and not too near to either."""
    number = t.dtype.type
    least, most, half = number(0.05), number(0.95), number(0.5)
    for x in range(len(t)):
        fall = low_slope[x] - high_slope[x]
        ratio = low_slope[x] / fall if fall != 0 else half
        t[x] = low[x] + (high[x] - low[x]) * min(max(ratio, least), most)


@_inner
def _add_unary(out, unary, match, y, p0, wide, sigma, t0, kinds, eps):
    """Adds H(y, sigma) of each pixel; match is the product of y with sigma (with ln sigma for CE)."""
    width = len(out)
    if unary == H_CE:
        for x in range(width):
            out[x] -= match[x]
    elif unary == H_CCE:
        for x in range(width):
            out[x] -= _extended_log(match[x], eps)
    for k in kinds:
        p, s = y[p0 + k * wide : p0 + k * wide + width], sigma[t0 + k * width : t0 + (k + 1) * width]
        if unary == H_RCE:
            for x in range(width):
                out[x] -= s[x] * _extended_log(p[x], eps)
        elif unary == H_Q:
            for x in range(width):
                out[x] += (p[x] - s[x]) * (p[x] - s[x])


# The proximal maps: thresholds first, for the classes `kinds` of the rows in z; the caller clips


@_inner
def _project(shift, z, repeats, kinds):
    """The shift of `proximal.project`."""
    width, one = len(shift), z.dtype.type(1)
    total, used, number = np.empty(width, z.dtype), np.empty(width, z.dtype), z.dtype.type(len(kinds))
    shift[:] = 0
    for k in kinds:
        _add(shift, z[k * width : (k + 1) * width])
    for x in range(width):
        shift[x] = (shift[x] - one) / number
    for _ in range(repeats):
        total[:] = 0
        used[:] = 0
        for k in kinds:
            _add_above(total, used, z[k * width : (k + 1) * width], shift)
        if not _shift(shift, total, used):
            break


@_inner
def _shift(shift, total, used):
    one, small = shift.dtype.type(1), shift.dtype.type(1e-7)
    moved = shift.dtype.type(0)
    for x in range(len(shift)):
        gain = (total[x] - one) / (used[x] if used[x] > one else one)
        shift[x] += gain
        moved = max(moved, abs(gain))
    return moved > small


@_inner
def _prox_collision(pull, shift, z, sigma, t0, inverse, eta, eps, repeats, kinds):
    """The pull and shift of `proximal.prox_collision`."""
    width = len(shift)
    pull[:] = 0
    shift[:] = -np.inf
    sums = np.empty((5, width), z.dtype)
    for _ in range(repeats):
        sums[:] = 0
        for k in kinds:
            _add_used(sums, z[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width], pull, shift)
        if not _collision_shift(pull, shift, sums, inverse, eta, eps):
            break


@_inner
def _collision_shift(pull, shift, sums, inverse, eta, eps):
    number = pull.dtype.type
    zero, half, one, four = number(0), number(0.5), number(1), number(4)
    small, tiny = number(1e-7), number(1e-37)
    changed = 0
    for x in range(len(shift)):
        n = sums[0, x] if sums[0, x] > one else one
        total, mass, kappa = sums[1, x], sums[2, x], eta * inverse[x]
        alpha = sums[3, x] - (total - one) * mass / n
        beta = sums[4, x] - mass * mass / n
        beta = beta if beta > zero else zero
        root = math.sqrt(alpha * alpha + four * kappa * beta)
        u = half * (alpha + root) if alpha > zero else (kappa + kappa) * beta / (root - alpha + tiny)
        now = kappa / (u if u > eps else eps)
        level = (total + now * mass - one) / n
        changed += 0 if abs(level - shift[x]) <= small * (one + abs(level)) else 1
        pull[x], shift[x] = now, level
    return changed > 0


@_inner
def _prox_reverse(shift, z, sigma, t0, inverse, eta, repeats, kinds):
    """The shift of `proximal.prox_reverse`."""
    width, one, least = len(shift), z.dtype.type(1), z.dtype.type(1e-6)
    total, falls, number = np.empty(width, z.dtype), np.empty(width, z.dtype), z.dtype.type(len(kinds))
    shift[:] = 0
    for k in kinds:
        _add(shift, z[k * width : (k + 1) * width])
    for x in range(width):
        shift[x] = (shift[x] - one) / number
    for _ in range(repeats):
        total[:] = 0
        falls[:] = 0
        for k in kinds:
            a, b = z[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width]
            _add_roots(total, falls, a, b, shift, inverse, eta)
        for x in range(width):
            shift[x] += (total[x] - one) / max(falls[x], least)


@_inner
def _contains(kinds, k):
    found = False
    for other in kinds:
        found = found or other == k
    return found


@_inner
def _wakes(pull, shift, sigma, movable):
    """Whether the step would give a pixel some of a class that neither it nor a neighbour holds."""
    zero, one = shift.dtype.type(0), shift.dtype.type(1)
    count = zero
    for x in range(len(shift)):
        count += movable[x] * (one if pull[x] * sigma[x] > shift[x] else zero)
    return count > zero


# The innermost loops: all arrays of one length


@_inner
def _add_sums(totals, a):
    """Add to each image's total the sum of its part of a row; all have equally long parts."""
    width = len(a) // len(totals)
    for image in range(len(totals)):
        total = 0.0
        for x in range(image * width, (image + 1) * width):
            total += a[x]
        totals[image] += total


@_inner
def _holds(p):
    most = p.dtype.type(0)
    for x in range(len(p)):
        most += p[x]
    return most > 0


@_inner
def _add_products(out, a, i, skip_a, b, j, skip_b, kinds):
    """out[x] += sum over k of a[i + k skip_a + x] b[j + k skip_b + x]; three classes a pass save two in three stores."""
    width, m = len(out), 0
    while m + 3 <= len(kinds):
        k, r, n = kinds[m], kinds[m + 1], kinds[m + 2]
        a0, a1, a2 = a[i + k * skip_a :][:width], a[i + r * skip_a :][:width], a[i + n * skip_a :][:width]
        b0, b1, b2 = b[j + k * skip_b :][:width], b[j + r * skip_b :][:width], b[j + n * skip_b :][:width]
        for x in range(width):
            out[x] += a0[x] * b0[x] + a1[x] * b1[x] + a2[x] * b2[x]
        m += 3
    while m < len(kinds):
        _add_product(out, a[i + kinds[m] * skip_a :][:width], b[j + kinds[m] * skip_b :][:width])
        m += 1


@_inner
def _add_product(out, a, b):
    for x in range(len(out)):
        out[x] += a[x] * b[x]


@_inner
def _add_impurity(out, a):
    for x in range(len(out)):
        out[x] += a[x] - a[x] * a[x]


@_inner
def _multiply(out, a, b):
    for x in range(len(out)):
        out[x] = a[x] * b[x]


@_inner
def _add_two(out, a, b, c, d):
    for x in range(len(out)):
        out[x] += a[x] * b[x] + c[x] * d[x]


@_inner
def _descend(z, y, inverse):
    for x in range(len(z)):
        z[x] = y[x] - z[x] * inverse[x]


@_inner
def _add_segment(impurity, square, z, y):
    for x in range(len(z)):
        impurity[x] += z[x] - z[x] * z[x]
        square[x] += (z[x] - y[x]) * (z[x] - y[x])


@_inner
def _move(y, length, goal):
    one = y.dtype.type(1)
    for x in range(len(y)):
        y[x] = (one - length[x]) * y[x] + length[x] * goal[x]


@_inner
def _add_above(total, used, z, shift):
    one, zero = z.dtype.type(1), z.dtype.type(0)
    for x in range(len(shift)):
        above = z[x] - shift[x]
        total[x] += above if above > zero else zero
        used[x] += one if above > zero else zero


@_inner
def _clip(z, shift):
    zero = z.dtype.type(0)
    for x in range(len(shift)):
        above = z[x] - shift[x]
        z[x] = above if above > zero else zero


@_inner
def _add_used(sums, z, sigma, pull, shift):
    one, zero = z.dtype.type(1), z.dtype.type(0)
    count, total, mass, mixed, power = sums[0], sums[1], sums[2], sums[3], sums[4]
    for x in range(len(shift)):
        use = one if z[x] + pull[x] * sigma[x] > shift[x] else zero
        count[x] += use
        total[x] += use * z[x]
        mass[x] += use * sigma[x]
    for x in range(len(shift)):
        use = sigma[x] if z[x] + pull[x] * sigma[x] > shift[x] else zero
        mixed[x] += use * z[x]
        power[x] += use * sigma[x]


@_inner
def _raise_clipped(z, sigma, pull, shift):
    zero = z.dtype.type(0)
    for x in range(len(shift)):
        value = z[x] + pull[x] * sigma[x] - shift[x]
        z[x] = value if value > zero else zero


@_inner
def _add_roots(total, falls, z, sigma, shift, inverse, eta):
    half, four, tiny = z.dtype.type(0.5), z.dtype.type(4), z.dtype.type(1e-37)
    for x in range(len(shift)):
        v = z[x] - shift[x]
        product = four * eta * inverse[x] * sigma[x]
        root = math.sqrt(v * v + product)
        total[x] += half * (v + root) if v > 0 else half * product / (root - v + tiny)
        falls[x] += half + half * v / (root + tiny)


@_inner
def _to_roots(z, sigma, shift, inverse, eta):
    half, four, tiny = z.dtype.type(0.5), z.dtype.type(4), z.dtype.type(1e-37)
    for x in range(len(shift)):
        product, v = four * eta * inverse[x] * sigma[x], z[x] - shift[x]
        root = math.sqrt(v * v + product)
        z[x] = half * (v + root) if v > 0 else half * product / (root - v + tiny)


@_inner
def _add(out, a):
    for x in range(len(out)):
        out[x] += a[x]


@_inner
def _normalize(z, kinds, width):
    sums, one, least = np.zeros(width, z.dtype), z.dtype.type(1), z.dtype.type(1e-37)
    for k in kinds:
        _add(sums, z[k * width : (k + 1) * width])
    for x in range(width):
        sums[x] = one / max(sums[x], least)
    for k in kinds:
        row = z[k * width : (k + 1) * width]
        _multiply(row, row, sums)
