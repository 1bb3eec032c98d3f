"""The fast solver's sweep as one fused loop for the processor (numba); the same arithmetic as `kernel_torch`.

A half-row (one row of one quarter, all classes) stays in the cache from its gradient to its new labels. Rows of one parity
are no neighbours and run in parallel. Numba compiles at the first call, some seconds, and keeps the result on disk.
The innermost loops run along a row of one class and become vector code; all arrays are flat, with the start of the row.
"""

import math

import numba
import numpy as np
import torch
from torch import Tensor

from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.potts import RELAXATIONS
from toykit.simplex import smallest_probability
from toykit.solvers import kernel_torch
from toykit.solvers.quarters import Quarters

BL, Q, NQ, CCE, LQ, CD = (tuple(RELAXATIONS).index(name) for name in ("BL", "Q", "NQ", "CCE", "LQ", "CD"))
H_CE, H_RCE, H_CCE, H_Q = (tuple(CROSS_ENTROPIES).index(name) for name in ("CE", "RCE", "CCE", "Q"))
_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinity keep their meaning
# a test for division by zero would keep a loop from becoming vector code
_inner = numba.njit(fastmath=_FAST, error_model="numpy")


def sweep(x: Quarters, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """As `kernel_torch.sweep`."""
    change = np.zeros((len(x.labels), x.free.shape[3], 2))
    impurity = np.empty_like(x.labels[..., 0, :].numpy())
    threads = torch.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    dtype = x.labels.numpy().dtype.type
    _sweep(
        *(t.numpy() for t in (x.labels, x.target, x.weights, x.free)),
        impurity,
        np.array(x.offsets),
        tuple(RELAXATIONS).index(relaxation),
        tuple(CROSS_ENTROPIES).index(cross_entropy),
        dtype(eta),
        dtype(omega),
        dtype(smallest_probability(x.labels.dtype)),
        (kernel_torch.PROJECTION_STEPS, kernel_torch.SECANT_STEPS),
        change,
    )
    torch.set_num_threads(threads)  # numba's first call sets OpenMP's number, and so torch's, to its own
    return torch.from_numpy(change.sum((1, 2)))


@numba.njit(parallel=True, cache=True, fastmath=_FAST, error_model="numpy")
def _sweep(labels, target, weights, free, impurity, offsets, relaxation, unary, eta, omega, eps, limits, change):
    lines = impurity.shape[3]
    for task in numba.prange(4 * labels.shape[0] * lines):
        _impurities(labels.reshape(-1), impurity.reshape(-1), task, labels.shape[4], labels.shape[5])
    for row in range(2):
        for task in numba.prange(labels.shape[0] * free.shape[3]):
            image, line = task // free.shape[3], task % free.shape[3]
            for column in range(2):
                change[image, line, row] += _half_row(
                    labels, target, weights, free, impurity, offsets, relaxation, unary, eta, omega, eps, limits,
                    image, row, column, line,
                )  # fmt: skip


@_inner
def _impurities(labels, impurity, task, classes, wide):
    """sum_k y^k (1 - y^k) of one row of one quarter, border included."""
    out = impurity[task * wide : (task + 1) * wide]
    out[:] = 0
    for k in range(classes):
        _add_impurity(out, labels[(task * classes + k) * wide : (task * classes + k + 1) * wide])


@_inner
def _half_row(
    labels,
    target,
    weights,
    free,
    impurity,
    offsets,
    relaxation,
    unary,
    eta,
    omega,
    eps,
    limits,
    image,
    row,
    column,
    line,
):
    """Steps 1 to 3 of `kernel_torch` for one row of one quarter; returns the change of the energy."""
    height, classes, width = free.shape[3], labels.shape[4], free.shape[4]
    count, wide, quarter = len(offsets), width + 2, (image * 2 + row) * 2 + column
    y, sigma, affinity, movable = labels.reshape(-1), target.reshape(-1), weights.reshape(-1), free.reshape(-1)
    mixed = impurity.reshape(-1)
    own_line = quarter * (height + 2) + line + 1
    p0, i0 = own_line * classes * wide + 1, own_line * wide + 1
    t0 = (quarter * height + line) * classes * width
    w0 = (quarter * count * height + line) * width
    f0 = (quarter * height + line) * width
    q0, j0 = np.empty(count, np.int64), np.empty(count, np.int64)
    for n in range(count):
        r, c = row + offsets[n, 0], column + offsets[n, 1]
        other = ((image * 2 + r % 2) * 2 + c % 2) * (height + 2) + line + 1 + r // 2
        q0[n], j0[n] = other * classes * wide + 1 + c // 2, other * wide + 1 + c // 2

    # 1. products with the neighbours; then the slopes, and the gradient's coefficients
    products, coefficients = np.zeros((count, width), y.dtype), np.empty((count, width), y.dtype)
    own_coefficient, curvature, inverse = np.zeros(width, y.dtype), np.zeros(width, y.dtype), np.empty(width, y.dtype)
    impure = mixed[i0 : i0 + width]
    for n in range(count):
        _add_products(products[n], y, p0, wide, y, q0[n], wide, classes)
        w, j = affinity[w0 + n * height * width : w0 + n * height * width + width], mixed[j0[n] : j0[n] + width]
        _add_slopes(coefficients[n], own_coefficient, curvature, relaxation, w, products[n], impure, j, eps)
    for x in range(width):
        bend, total = curvature[x], own_coefficient[x]
        if unary == H_CE:
            bend += eta
        elif unary == H_Q:
            bend += eta + eta
            total += eta
        own_coefficient[x] = total + total
        inverse[x] = 1 / max(bend / omega, 1e-3 * eta + 1e-12)

    # 2. the over-relaxed proximal step
    step = np.empty(classes * width, y.dtype)
    for k in range(classes):
        p, z, own = k * wide, step[k * width : (k + 1) * width], y[p0 + k * wide : p0 + k * wide + width]
        _multiply(z, own_coefficient, own)
        for n in range(0, count, 2):  # offsets come in pairs, there and back
            first, second = y[q0[n] + p : q0[n] + p + width], y[q0[n + 1] + p : q0[n + 1] + p + width]
            _add_two(z, coefficients[n], first, coefficients[n + 1], second)
        if unary == H_CE:
            _add_scaled(z, -eta, sigma[t0 + k * width : t0 + (k + 1) * width])
        elif unary == H_Q:
            _add_scaled(z, -(eta + eta), sigma[t0 + k * width : t0 + (k + 1) * width])
        _descend(z, own, inverse)
    if unary == H_CCE:
        _prox_collision(step, sigma, t0, inverse, eta, eps, limits[0], classes, width)
    elif unary == H_RCE:
        _prox_reverse(step, sigma, t0, inverse, eta, limits[0], classes, width)
    else:
        _project(step, limits[0], classes, width)

    # 3. the line search
    along, own, square = np.zeros((count, width), y.dtype), np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    match, match_along, length = np.zeros(width, y.dtype), np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    for k in range(classes):
        _subtract(step[k * width : (k + 1) * width], y[p0 + k * wide : p0 + k * wide + width])
    for n in range(count):
        _add_products(along[n], step, 0, width, y, q0[n], wide, classes)
    _add_products(own, step, 0, width, y, p0, wide, classes)
    _add_products(square, step, 0, width, step, 0, width, classes)
    _add_products(match, sigma, t0, width, y, p0, wide, classes)
    _add_products(match_along, sigma, t0, width, step, 0, width, classes)
    moved, rise = np.empty(width, y.dtype), np.zeros(width, y.dtype)
    for x in range(width):
        moved[x] = impure[x] - own[x] - own[x] - square[x]
    for n in range(count):
        w, j = affinity[w0 + n * height * width : w0 + n * height * width + width], mixed[j0[n] : j0[n] + width]
        _add_rises(rise, relaxation, w, products[n], along[n], impure, moved, j, eps)
    _add_unary_rises(rise, unary, eta, own, square, match, match_along, eps)
    if unary == H_RCE:
        for k in range(classes):
            p, z = y[p0 + k * wide : p0 + k * wide + width], step[k * width : (k + 1) * width]
            _add_reverse_rises(rise, eta, sigma[t0 + k * width : t0 + (k + 1) * width], p, z, eps)
    change = 0.0
    edges = np.empty((count, 4))
    for x in range(width):
        if movable[f0 + x] == 0:
            continue
        if rise[x] <= 0:
            length[x] = 1
            change += rise[x]
        else:
            for n in range(count):
                edges[n, 0] = affinity[w0 + n * height * width + x]
                edges[n, 1] = products[n, x]
                edges[n, 2] = along[n, x]
                edges[n, 3] = mixed[j0[n] + x]
            segment = (impure[x], own[x], square[x], match[x], match_along[x])
            place = (p0 + x, wide, x, t0 + x, width, classes)
            t, lowered = _search(edges, segment, relaxation, unary, eta, eps, limits[1], y, step, sigma, place)
            length[x] = t
            change += lowered
    mixed[i0 : i0 + width] = 0
    for k in range(classes):
        p = y[p0 + k * wide : p0 + k * wide + width]
        _move(p, length, step[k * width : (k + 1) * width])
        _add_impurity(mixed[i0 : i0 + width], p)
    return change


@_inner
def _slopes(relaxation, s, i, j, eps):
    """(dP/ds, dP/da), as in `scalar_forms`."""
    if relaxation == BL:
        return -1.0, 0.0
    if relaxation == Q:
        return -1.0, 0.5
    if relaxation == NQ:
        q = 1 / math.sqrt((1.0 - i) * (1.0 - j))
        return -q, s * q / (2 * (1.0 - i))
    if relaxation == CCE:
        return -1 / max(s, eps), 0.0
    if relaxation == LQ:
        g = 1 / max(s + 0.5 * (i + j), eps)
        return -g, 0.5 * g
    return -1 / max(s, eps), 0.5 / (1.0 - i)


@_inner
def _log_ratio(x, y, eps):
    """`toykit.simplex.extended_log` of x less that of y."""
    if x >= eps and y >= eps:
        return math.log(x / y)
    bounded = math.log(max(x, eps) / max(y, eps))
    return bounded + (min(x, eps) - min(y, eps)) / eps


@_inner
def _difference(relaxation, s, moved_s, i, moved_i, j, eps):
    """P after the move less P before, as in `scalar_forms`."""
    if relaxation == BL:
        return s - moved_s
    if relaxation == Q:
        return s - moved_s + 0.5 * (i - moved_i)
    if relaxation == NQ:
        return (s / math.sqrt(1 - i) - moved_s / math.sqrt(1 - moved_i)) / math.sqrt(1.0 - j)
    if relaxation == CCE:
        return _log_ratio(s, moved_s, eps)
    if relaxation == LQ:
        return _log_ratio(s + 0.5 * (i + j), moved_s + 0.5 * (moved_i + j), eps)
    return _log_ratio(s / math.sqrt((1.0 - i) * (1.0 - j)), moved_s / math.sqrt((1 - moved_i) * (1.0 - j)), eps)


def _row_loops(relaxation):
    """Two loops along a row for one relaxation: a constant to them, so that they become vector code."""

    @_inner
    def add_slopes(out, own, curvature, w, s, i, j, eps):
        for x in range(len(w)):
            by_s, by_a = _slopes(relaxation, s[x], i[x], j[x], eps)
            out[x], own[x], curvature[x] = w[x] * by_s, own[x] + w[x] * by_a, curvature[x] - w[x] * by_s

    @_inner
    def add_rises(rise, w, s, r, i, moved, j, eps):
        for x in range(len(w)):
            rise[x] += w[x] * _difference(relaxation, s[x], s[x] + r[x], i[x], moved[x], j[x], eps)

    return add_slopes, add_rises


_slopes_bl, _rises_bl = _row_loops(BL)
_slopes_q, _rises_q = _row_loops(Q)
_slopes_nq, _rises_nq = _row_loops(NQ)
_slopes_cce, _rises_cce = _row_loops(CCE)
_slopes_lq, _rises_lq = _row_loops(LQ)
_slopes_cd, _rises_cd = _row_loops(CD)


@_inner
def _add_slopes(out, own, curvature, relaxation, w, s, i, j, eps):
    """Coefficients of one neighbour's label in the gradient; adds to those of the label itself and to the curvature."""
    if relaxation == BL:
        _slopes_bl(out, own, curvature, w, s, i, j, eps)
    elif relaxation == Q:
        _slopes_q(out, own, curvature, w, s, i, j, eps)
    elif relaxation == NQ:
        _slopes_nq(out, own, curvature, w, s, i, j, eps)
    elif relaxation == CCE:
        _slopes_cce(out, own, curvature, w, s, i, j, eps)
    elif relaxation == LQ:
        _slopes_lq(out, own, curvature, w, s, i, j, eps)
    else:
        _slopes_cd(out, own, curvature, w, s, i, j, eps)


@_inner
def _add_rises(rise, relaxation, w, s, r, i, moved, j, eps):
    """Adds one neighbour's change of energy at the end of the step."""
    if relaxation == BL:
        _rises_bl(rise, w, s, r, i, moved, j, eps)
    elif relaxation == Q:
        _rises_q(rise, w, s, r, i, moved, j, eps)
    elif relaxation == NQ:
        _rises_nq(rise, w, s, r, i, moved, j, eps)
    elif relaxation == CCE:
        _rises_cce(rise, w, s, r, i, moved, j, eps)
    elif relaxation == LQ:
        _rises_lq(rise, w, s, r, i, moved, j, eps)
    else:
        _rises_cd(rise, w, s, r, i, moved, j, eps)


@_inner
def _add_unary_rises(rise, unary, eta, own, square, match, match_along, eps):
    """Adds the unary's change of energy at the end of the step; of RCE it is `_add_reverse_rises`."""
    if unary == H_CE:
        for x in range(len(rise)):
            rise[x] -= eta * match_along[x]
    elif unary == H_Q:
        for x in range(len(rise)):
            rise[x] += eta * (own[x] - match_along[x] + own[x] - match_along[x] + square[x])
    elif unary == H_CCE:
        for x in range(len(rise)):
            rise[x] += eta * _log_ratio(match[x], match[x] + match_along[x], eps)


@_inner
def _add_reverse_rises(rise, eta, sigma, y, step, eps):
    for x in range(len(rise)):
        rise[x] += eta * sigma[x] * _log_ratio(y[x], y[x] + step[x], eps)


@_inner
def _rise(t, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place):
    """Change of a pixel's energy at p + t step."""
    i, own, square, match, match_along = segment
    moved, change = i - 2 * t * own - t * t * square, 0.0
    for n in range(len(edges)):
        w, s, r, j = edges[n, 0], edges[n, 1], edges[n, 2], edges[n, 3]
        change += w * _difference(relaxation, s, s + t * r, i, moved, j, eps)
    if unary == H_CE:
        return change - eta * t * match_along
    if unary == H_Q:
        return change + eta * t * (2 * (own - match_along) + t * square)
    if unary == H_CCE:
        return change + eta * _log_ratio(match, match + t * match_along, eps)
    p0, wide, z0, t0, width, classes = place
    for k in range(classes):
        p, d = y[p0 + k * wide], step[z0 + k * width]
        change += eta * sigma[t0 + k * width] * _log_ratio(p, p + t * d, eps)
    return change


@_inner
def _slope(t, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place):
    """Derivative of `_rise` by t."""
    i, own, square, match, match_along = segment
    moved, turn, slope = i - 2 * t * own - t * t * square, 2 * own + 2 * t * square, 0.0
    for n in range(len(edges)):
        w, s, r, j = edges[n, 0], edges[n, 1], edges[n, 2], edges[n, 3]
        by_s, by_a = _slopes(relaxation, s + t * r, moved, j, eps)
        slope += w * (by_s * r + by_a * turn)
    if unary == H_CE:
        return slope - eta * match_along
    if unary == H_Q:
        return slope + 2 * eta * (own - match_along + t * square)
    if unary == H_CCE:
        return slope - eta * match_along / max(match + t * match_along, eps)
    p0, wide, z0, t0, width, classes = place
    for k in range(classes):
        d = step[z0 + k * width]
        slope -= eta * sigma[t0 + k * width] * d / max(y[p0 + k * wide] + t * d, eps)
    return slope


@_inner
def _search(edges, segment, relaxation, unary, eta, eps, repeats, y, step, sigma, place):
    """The best of the secant points, where the whole step would raise the pixel's energy; 0 if none lowers it."""
    low_slope = _slope(0.0, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
    high_slope = _slope(1.0, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
    low, high, best, lowest = 0.0, 1.0, 0.0, 0.0
    for _ in range(repeats):
        ratio = low_slope / (low_slope - high_slope) if low_slope != high_slope else 0.5
        t = low + (high - low) * min(max(ratio, 0.05), 0.95)
        change = _rise(t, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
        slope = _slope(t, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
        if change < lowest:
            best, lowest = t, change
        if slope > 0:
            high, high_slope = t, slope
        else:
            low, low_slope = t, slope
    return best, lowest


@_inner
def _project(z, repeats, classes, width):
    """`kernel_torch._project` along a row, in place."""
    shift, total, used = _sums(z, classes, width), np.empty(width, z.dtype), np.empty(width, z.dtype)
    for x in range(width):
        shift[x] = (shift[x] - 1) / classes
    for _ in range(repeats):
        total[:] = 0
        used[:] = 0
        for k in range(classes):
            _add_above(total, used, z[k * width : (k + 1) * width], shift)
        if not _shift(shift, total, used):
            break
    for k in range(classes):
        _clip(z[k * width : (k + 1) * width], shift)
    _normalize(z, classes, width)


@_inner
def _shift(shift, total, used):
    one, small = shift.dtype.type(1), shift.dtype.type(1e-7)
    moved = 0
    for x in range(len(shift)):
        gain = (total[x] - one) / (used[x] if used[x] > one else one)
        shift[x] += gain
        moved += 1 if abs(gain) > small else 0
    return moved > 0


@_inner
def _prox_collision(z, sigma, t0, inverse, eta, eps, repeats, classes, width):
    """`kernel_torch._prox_collision` along a row, in place."""
    pull, shift = np.zeros(width, z.dtype), np.full(width, -np.inf).astype(z.dtype)
    sums = np.empty((5, width), z.dtype)
    for _ in range(repeats):
        sums[:] = 0
        for k in range(classes):
            a, b = z[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width]
            _add_used(sums, a, b, pull, shift)
        if not _collision_shift(pull, shift, sums, inverse, eta, eps):
            break
    for k in range(classes):
        _raise_clipped(z[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width], pull, shift)
    _normalize(z, classes, width)


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
def _prox_reverse(z, sigma, t0, inverse, eta, repeats, classes, width):
    """`kernel_torch._prox_reverse` along a row, in place."""
    shift, total, falls = _sums(z, classes, width), np.empty(width, z.dtype), np.empty(width, z.dtype)
    for x in range(width):
        shift[x] = (shift[x] - 1) / classes
    for _ in range(repeats):
        total[:] = 0
        falls[:] = 0
        for k in range(classes):
            a, b = z[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width]
            _add_roots(total, falls, a, b, shift, inverse, eta)
        for x in range(width):
            shift[x] += (total[x] - 1) / max(falls[x], 1e-6)
    for k in range(classes):
        _to_roots(z[k * width : (k + 1) * width], sigma[t0 + k * width : t0 + (k + 1) * width], shift, inverse, eta)
    _normalize(z, classes, width)


# The innermost loops: along a row, all arrays of one length, single precision throughout (an integer would make it double)


@_inner
def _add_products(out, a, i, skip_a, b, j, skip_b, classes):
    """out[x] += sum over k of a[i + k skip_a + x] b[j + k skip_b + x]; three classes a pass save two in three stores."""
    width, k = len(out), 0
    while k + 3 <= classes:
        a0, a1, a2 = a[i : i + width], a[i + skip_a : i + skip_a + width], a[i + 2 * skip_a : i + 2 * skip_a + width]
        b0, b1, b2 = b[j : j + width], b[j + skip_b : j + skip_b + width], b[j + 2 * skip_b : j + 2 * skip_b + width]
        for x in range(width):
            out[x] += a0[x] * b0[x] + a1[x] * b1[x] + a2[x] * b2[x]
        i, j, k = i + 3 * skip_a, j + 3 * skip_b, k + 3
    while k < classes:
        a0, b0 = a[i : i + width], b[j : j + width]
        for x in range(width):
            out[x] += a0[x] * b0[x]
        i, j, k = i + skip_a, j + skip_b, k + 1


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
def _add_scaled(out, factor, a):
    for x in range(len(out)):
        out[x] += factor * a[x]


@_inner
def _descend(z, y, inverse):
    for x in range(len(z)):
        z[x] = y[x] - z[x] * inverse[x]


@_inner
def _subtract(z, y):
    for x in range(len(z)):
        z[x] -= y[x]


@_inner
def _move(y, length, step):
    for x in range(len(y)):
        y[x] += length[x] * step[x]


@_inner
def _add_above(total, used, z, shift):
    one = z.dtype.type(1)
    zero = z.dtype.type(0)
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
        root = math.sqrt(v * v + four * eta * inverse[x] * sigma[x])
        total[x] += half * (v + root)
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
def _scale(z, by):
    for x in range(len(by)):
        z[x] *= by[x]


@_inner
def _sums(z, classes, width):
    sums = np.zeros(width, z.dtype)
    for k in range(classes):
        _add(sums, z[k * width : (k + 1) * width])
    return sums


@_inner
def _normalize(z, classes, width):
    sums = _sums(z, classes, width)
    for x in range(width):
        sums[x] = 1 / sums[x]
    for k in range(classes):
        _scale(z[k * width : (k + 1) * width], sums)
