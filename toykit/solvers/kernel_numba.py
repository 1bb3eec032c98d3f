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
from toykit.solvers.kernel_torch import PROJECTION_STEPS, SECANT_STEPS
from toykit.solvers.quarters import Quarters

BL, Q, NQ, CCE, LQ, CD = (tuple(RELAXATIONS).index(name) for name in ("BL", "Q", "NQ", "CCE", "LQ", "CD"))
H_CE, H_RCE, H_CCE, H_Q = (tuple(CROSS_ENTROPIES).index(name) for name in ("CE", "RCE", "CCE", "Q"))
_FAST = {"contract", "reassoc", "nsz", "arcp"}  # NaN and infinity keep their meaning


def sweep(x: Quarters, cross_entropy: str, relaxation: str, eta: float, omega: float) -> Tensor:
    """As `kernel_torch.sweep`."""
    change = np.zeros((len(x.labels), x.free.shape[3], 2))
    numba.set_num_threads(min(torch.get_num_threads(), numba.config.NUMBA_NUM_THREADS))
    dtype = x.labels.numpy().dtype.type
    _sweep(
        *(t.numpy() for t in (x.labels, x.target, x.weights, x.free)),
        np.array(x.offsets),
        tuple(RELAXATIONS).index(relaxation),
        tuple(CROSS_ENTROPIES).index(cross_entropy),
        dtype(eta),
        dtype(omega),
        dtype(smallest_probability(x.labels.dtype)),
        change,
    )
    return torch.from_numpy(change.sum((1, 2)))


@numba.njit(parallel=True, cache=True, fastmath=_FAST)
def _sweep(labels, target, weights, free, offsets, relaxation, unary, eta, omega, eps, change):
    for row in range(2):
        for task in numba.prange(labels.shape[0] * free.shape[3]):
            image, line = task // free.shape[3], task % free.shape[3]
            for column in range(2):
                change[image, line, row] += _half_row(
                    labels, target, weights, free, offsets, relaxation, unary, eta, omega, eps, image, row, column, line
                )


@numba.njit(fastmath=_FAST)
def _half_row(labels, target, weights, free, offsets, relaxation, unary, eta, omega, eps, image, row, column, line):
    """Steps 1 to 3 of `kernel_torch` for one row of one quarter; returns the change of the energy."""
    height, classes, width = free.shape[3], labels.shape[4], free.shape[4]
    count, wide, quarter = len(offsets), width + 2, (image * 2 + row) * 2 + column
    y, sigma, affinity, movable = labels.reshape(-1), target.reshape(-1), weights.reshape(-1), free.reshape(-1)
    p0 = (quarter * (height + 2) + line + 1) * classes * wide + 1
    t0 = (quarter * height + line) * classes * width
    w0 = (quarter * count * height + line) * width
    f0 = (quarter * height + line) * width
    q0 = np.empty(count, np.int64)
    for n in range(count):
        r, c = row + offsets[n, 0], column + offsets[n, 1]
        other = (image * 2 + r % 2) * 2 + c % 2
        q0[n] = (other * (height + 2) + line + 1 + r // 2) * classes * wide + 1 + c // 2

    # 1. products with the neighbours and impurities; then the slopes, and the gradient's coefficients
    products, impurities = np.zeros(count * width, y.dtype), np.zeros(count * width, y.dtype)
    coefficients, own_impurity = np.empty(count * width, y.dtype), np.zeros(width, y.dtype)
    own_coefficient, inverse = np.empty(width, y.dtype), np.empty(width, y.dtype)
    for k in range(classes):
        p = p0 + k * wide
        for n in range(count):
            _add_products(products, n * width, y, p, y, q0[n] + k * wide, width)
            _add_impurity(impurities, n * width, y, q0[n] + k * wide, width)
        _add_impurity(own_impurity, 0, y, p, width)
    for x in range(width):
        total, curvature = 0.0, 0.0
        for n in range(count):
            w = affinity[w0 + n * height * width + x]
            by_s, by_a = _slopes(relaxation, products[n * width + x], own_impurity[x], impurities[n * width + x], eps)
            coefficients[n * width + x] = w * by_s
            total += w * by_a
            curvature -= w * by_s
        if unary == H_CE:
            curvature += eta
        elif unary == H_Q:
            curvature += 2 * eta
        own_coefficient[x] = 2 * total
        inverse[x] = 1 / max(curvature / omega, 1e-3 * eta + 1e-12)

    # 2. the over-relaxed proximal step
    step = np.zeros(classes * width, y.dtype)
    for k in range(classes):
        p, z = p0 + k * wide, k * width
        _add_products(step, z, own_coefficient, 0, y, p, width)
        for n in range(count):
            _add_products(step, z, coefficients, n * width, y, q0[n] + k * wide, width)
        if unary == H_CE:
            _add_scaled(step, z, -eta, sigma, t0 + z, width)
        elif unary == H_Q:
            _add_scaled(step, z, 2 * eta, y, p, width)
            _add_scaled(step, z, -2 * eta, sigma, t0 + z, width)
        _descend(step, z, y, p, inverse, width)
    if unary == H_CCE:
        _prox_collision(step, sigma, t0, inverse, eta, eps, classes, width)
    elif unary == H_RCE:
        _prox_reverse(step, sigma, t0, inverse, eta, classes, width)
    else:
        _project(step, classes, width)

    # 3. the line search
    along, own, square = np.zeros(count * width, y.dtype), np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    match, match_along, length = np.zeros(width, y.dtype), np.zeros(width, y.dtype), np.zeros(width, y.dtype)
    for k in range(classes):
        p, z = p0 + k * wide, k * width
        _subtract(step, z, y, p, width)
        for n in range(count):
            _add_products(along, n * width, step, z, y, q0[n] + k * wide, width)
        _add_products(own, 0, step, z, y, p, width)
        _add_products(square, 0, step, z, step, z, width)
        _add_products(match, 0, sigma, t0 + z, y, p, width)
        _add_products(match_along, 0, sigma, t0 + z, step, z, width)
    change = 0.0
    edges = np.empty((count, 4))
    for x in range(width):
        if movable[f0 + x] > 0:
            for n in range(count):
                edges[n, 0] = affinity[w0 + n * height * width + x]
                edges[n, 1] = products[n * width + x]
                edges[n, 2] = along[n * width + x]
                edges[n, 3] = impurities[n * width + x]
            segment = (own_impurity[x], own[x], square[x], match[x], match_along[x])
            place = (p0 + x, wide, x, t0 + x, width, classes)
            t, lowered = _search(edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
            length[x] = t
            change += lowered
    for k in range(classes):
        _add_products(y, p0 + k * wide, length, 0, step, k * width, width)
    return change


@numba.njit(fastmath=_FAST)
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


@numba.njit(fastmath=_FAST)
def _log(x, eps):
    """`toykit.simplex.extended_log`."""
    return math.log(x) if x >= eps else math.log(eps) + (x - eps) / eps


@numba.njit(fastmath=_FAST)
def _difference(relaxation, s, moved_s, i, moved_i, j, eps):
    """P after the move less P before, as in `scalar_forms`."""
    if relaxation == BL:
        return s - moved_s
    if relaxation == Q:
        return s - moved_s + 0.5 * (i - moved_i)
    if relaxation == NQ:
        return (s / math.sqrt(1 - i) - moved_s / math.sqrt(1 - moved_i)) / math.sqrt(1.0 - j)
    if relaxation == CCE:
        return _log(s, eps) - _log(moved_s, eps)
    if relaxation == LQ:
        return _log(s + 0.5 * (i + j), eps) - _log(moved_s + 0.5 * (moved_i + j), eps)
    return _log(s, eps) - _log(moved_s, eps) + 0.5 * math.log((1 - moved_i) / (1.0 - i))


@numba.njit(fastmath=_FAST)
def _at(t, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place):
    """Change of a pixel's energy at p + t step, and its slope there."""
    i, own, square, match, match_along = segment
    moved, turn = i - 2 * t * own - t * t * square, 2 * own + 2 * t * square
    change, slope = 0.0, 0.0
    for n in range(len(edges)):
        w, s, r, j = edges[n, 0], edges[n, 1], edges[n, 2], edges[n, 3]
        if w > 0:
            change += w * _difference(relaxation, s, s + t * r, i, moved, j, eps)
            by_s, by_a = _slopes(relaxation, s + t * r, moved, j, eps)
            slope += w * (by_s * r + by_a * turn)
    if unary == H_CE:
        change -= eta * t * match_along
        slope -= eta * match_along
    elif unary == H_Q:
        change += eta * t * (2 * (own - match_along) + t * square)
        slope += 2 * eta * (own - match_along + t * square)
    elif unary == H_CCE:
        now = match + t * match_along
        change += eta * (_log(match, eps) - _log(now, eps))
        slope -= eta * match_along / max(now, eps)
    else:
        p0, wide, z0, t0, width, classes = place
        for k in range(classes):
            p, d, goal = y[p0 + k * wide], step[z0 + k * width], sigma[t0 + k * width]
            change += eta * goal * (_log(p, eps) - _log(p + t * d, eps))
            slope -= eta * goal * d / max(p + t * d, eps)
    return change, slope


@numba.njit(fastmath=_FAST)
def _search(edges, segment, relaxation, unary, eta, eps, y, step, sigma, place):
    """The whole step if it does not raise the pixel's energy, else the best of the secant points, else none."""
    change, high_slope = _at(1.0, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
    if change <= 0:
        return 1.0, change
    _, low_slope = _at(0.0, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
    low, high, best, lowest = 0.0, 1.0, 0.0, 0.0
    for _ in range(SECANT_STEPS):
        ratio = low_slope / (low_slope - high_slope) if low_slope != high_slope else 0.5
        t = low + (high - low) * min(max(ratio, 0.05), 0.95)
        change, slope = _at(t, edges, segment, relaxation, unary, eta, eps, y, step, sigma, place)
        if change < lowest:
            best, lowest = t, change
        if slope > 0:
            high, high_slope = t, slope
        else:
            low, low_slope = t, slope
    return best, lowest


@numba.njit(fastmath=_FAST)
def _project(z, classes, width):
    shift, total, used = _sums(z, classes, width), np.empty(width, z.dtype), np.empty(width, z.dtype)
    for x in range(width):
        shift[x] = (shift[x] - 1) / classes
    for _ in range(PROJECTION_STEPS):
        total[:] = 0
        used[:] = 0
        for k in range(classes):
            _add_above(total, used, z, k * width, shift, width)
        moved = 0.0
        for x in range(width):
            gain = (total[x] - 1) / max(used[x], 1)
            shift[x] += gain
            moved = max(moved, abs(gain))
        if moved < 1e-7:
            break
    for k in range(classes):
        for x in range(width):
            z[k * width + x] = max(z[k * width + x] - shift[x], z.dtype.type(0))
    _normalize(z, classes, width)


@numba.njit(fastmath=_FAST)
def _prox_collision(z, sigma, t0, inverse, eta, eps, classes, width):
    """`kernel_torch._prox_collision` along a row, in place."""
    pull, shift = np.zeros(width, z.dtype), np.full(width, -np.inf).astype(z.dtype)
    sums = np.empty((5, width), z.dtype)
    count, total, mass, mixed, power = sums[0], sums[1], sums[2], sums[3], sums[4]
    for _ in range(PROJECTION_STEPS):
        sums[:] = 0
        for k in range(classes):
            _add_used(count, total, mass, z, k * width, sigma, t0 + k * width, pull, shift, width)
            _add_used_sigma(mixed, power, z, k * width, sigma, t0 + k * width, pull, shift, width)
        changed = _collision_shift(pull, shift, count, total, mass, mixed, power, inverse, eta, eps, width)
        if not changed:
            break
    for k in range(classes):
        _raise_clipped(z, k * width, sigma, t0 + k * width, pull, shift, width)
    _normalize(z, classes, width)


@numba.njit(fastmath=_FAST)
def _collision_shift(pull, shift, count, total, mass, mixed, power, inverse, eta, eps, width):
    changed = False
    for x in range(width):
        n = max(count[x], 1)
        kappa = eta * inverse[x]
        alpha = mixed[x] - (total[x] - 1) * mass[x] / n
        beta = max(power[x] - mass[x] * mass[x] / n, 0)
        root = math.sqrt(alpha * alpha + 4 * kappa * beta)
        u = (alpha + root) / 2 if alpha > 0 else 2 * kappa * beta / max(root - alpha, 1e-37)
        now = kappa / max(u, eps)
        level = (total[x] + now * mass[x] - 1) / n
        if not abs(level - shift[x]) <= 1e-7 * (1 + abs(level)):
            changed = True
        pull[x], shift[x] = now, level
    return changed


@numba.njit(fastmath=_FAST)
def _prox_reverse(z, sigma, t0, inverse, eta, classes, width):
    """`kernel_torch._prox_reverse` along a row, in place."""
    shift, total, falls = _sums(z, classes, width), np.empty(width), np.empty(width)
    for x in range(width):
        shift[x] = (shift[x] - 1) / classes
    for _ in range(PROJECTION_STEPS):
        total[:] = 0
        falls[:] = 0
        for k in range(classes):
            for x in range(width):
                v = z[k * width + x] - shift[x]
                root = math.sqrt(v * v + 4 * eta * inverse[x] * sigma[t0 + k * width + x])
                total[x] += (v + root) / 2
                falls[x] += (1 + v / max(root, 1e-37)) / 2
        for x in range(width):
            shift[x] += (total[x] - 1) / max(falls[x], 1e-6)
    for k in range(classes):
        for x in range(width):
            product = 4 * eta * inverse[x] * sigma[t0 + k * width + x]
            v = z[k * width + x] - shift[x]
            root = math.sqrt(v * v + product)
            z[k * width + x] = (v + root) / 2 if v > 0 else product / 2 / max(root - v, 1e-37)
    _normalize(z, classes, width)


@numba.njit(fastmath=_FAST)
def _add_products(out, o, a, i, b, j, width):
    for x in range(width):
        out[o + x] += a[i + x] * b[j + x]


@numba.njit(fastmath=_FAST)
def _add_impurity(out, o, a, i, width):
    for x in range(width):
        out[o + x] += a[i + x] - a[i + x] * a[i + x]


@numba.njit(fastmath=_FAST)
def _add_scaled(out, o, factor, a, i, width):
    for x in range(width):
        out[o + x] += factor * a[i + x]


@numba.njit(fastmath=_FAST)
def _descend(z, o, y, i, inverse, width):
    for x in range(width):
        z[o + x] = y[i + x] - z[o + x] * inverse[x]


@numba.njit(fastmath=_FAST)
def _subtract(z, o, y, i, width):
    for x in range(width):
        z[o + x] -= y[i + x]


@numba.njit(fastmath=_FAST)
def _add_above(total, used, z, o, shift, width):
    for x in range(width):
        above = z[o + x] - shift[x]
        total[x] += max(above, 0 * above)
        used[x] += z.dtype.type(above > 0)


@numba.njit(fastmath=_FAST)
def _add_used(count, total, mass, z, o, sigma, t, pull, shift, width):
    for x in range(width):
        use = z.dtype.type(z[o + x] + pull[x] * sigma[t + x] > shift[x])
        count[x] += use
        total[x] += use * z[o + x]
        mass[x] += use * sigma[t + x]


@numba.njit(fastmath=_FAST)
def _add_used_sigma(mixed, power, z, o, sigma, t, pull, shift, width):
    for x in range(width):
        use = z.dtype.type(z[o + x] + pull[x] * sigma[t + x] > shift[x]) * sigma[t + x]
        mixed[x] += use * z[o + x]
        power[x] += use * sigma[t + x]


@numba.njit(fastmath=_FAST)
def _raise_clipped(z, o, sigma, t, pull, shift, width):
    for x in range(width):
        value = z[o + x] + pull[x] * sigma[t + x] - shift[x]
        z[o + x] = max(value, 0 * value)


@numba.njit(fastmath=_FAST)
def _sums(z, classes, width):
    sums = np.zeros(width, z.dtype)
    for k in range(classes):
        for x in range(width):
            sums[x] += z[k * width + x]
    return sums


@numba.njit(fastmath=_FAST)
def _normalize(z, classes, width):
    sums = _sums(z, classes, width)
    for k in range(classes):
        for x in range(width):
            z[k * width + x] /= sums[x]
