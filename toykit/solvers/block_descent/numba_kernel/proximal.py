"""The proximal maps of `toykit.solvers.block_descent.proximal` along a row.

Each map has a threshold, `shift`, found by a search; then the goal follows for each class on its own. `kinds` are the classes
that the search covers. Its sums over classes for CCE are taken as in `class_sums`.
"""

import math

import numpy as np

from toykit._shared import lanes
from toykit._shared.compiled import inner
from toykit.solvers.block_descent.numba_kernel.lanes import LANES, load, load_class, repeat
from toykit.solvers.block_descent.numba_kernel.room import give_back, take, take_rows
from toykit.solvers.block_descent.numba_kernel.rows import add, of_class
from toykit.solvers.block_descent.numba_kernel.unary import CCE, RCE
from toykit.solvers.block_descent.scalar_forms import inverse


@inner
def find_thresholds(shift, pull, point, target, lengths, terms, options, kinds, room):
    """Set the shift, and for CCE the pull kappa / u, of the proximal map of the row's points.

    lengths: each pixel's step length, 1 / curvature.
    """
    mark = room.used[0]
    if terms.cross_entropy == CCE:
        _collision_threshold(shift, pull, point, target, lengths, terms.eta, options.projection_steps, kinds, room)
    elif terms.cross_entropy == RCE:
        _reverse_threshold(shift, point, target, lengths, terms.eta, options.newton_steps, kinds, room)
    else:
        _projection_threshold(shift, point, options.projection_steps, kinds, room)
    give_back(room, mark)


@inner
def apply_thresholds(point, shift, pull, target, lengths, terms, kinds):
    """Replace the points by the values of the proximal map, not yet normalised."""
    width, zero = len(shift), shift.dtype.type(0)
    for k in kinds:
        z, s = of_class(point, k, width), of_class(target, k, width)
        if terms.cross_entropy == CCE:
            for x in range(width):
                value = z[x] + pull[x] * s[x] - shift[x]
                z[x] = value if value > zero else zero
        elif terms.cross_entropy == RCE:
            _to_roots(z, s, shift, lengths, terms.eta)
        else:
            for x in range(width):
                above = z[x] - shift[x]
                z[x] = above if above > zero else zero


@inner
def wakes(pull, shift, sigma, free):
    """Return whether the step would give a free pixel some of a class that neither it nor a neighbour holds."""
    zero, one = shift.dtype.type(0), shift.dtype.type(1)
    count = zero
    for x in range(len(shift)):
        count += free[x] * (one if pull[x] * sigma[x] > shift[x] else zero)
    return count > zero


@inner
def _start_from_all(shift, point, kinds):
    """Set the shift with which the values of all classes, negative ones included, sum to 1."""
    width, one, number = len(shift), shift.dtype.type(1), shift.dtype.type(len(kinds))
    shift[:] = 0
    for k in kinds:
        add(shift, of_class(point, k, width))
    for x in range(width):
        shift[x] = (shift[x] - one) / number


@inner
def _projection_threshold(shift, point, repeats, kinds, room):
    """Find the shift of `proximal.project` by active-set steps."""
    width = len(shift)
    total, used = take(room, width), take(room, width)
    _start_from_all(shift, point, kinds)
    for _ in range(repeats):
        total[:] = 0
        used[:] = 0
        for k in kinds:
            _add_above(total, used, of_class(point, k, width), shift)
        if not _raise_shift(shift, total, used):
            break


@inner
def _add_above(total, used, z, shift):
    """Add the part of z above the shift, and 1 where there is one."""
    one, zero = z.dtype.type(1), z.dtype.type(0)
    for x in range(len(shift)):
        above = z[x] - shift[x]
        total[x] += above if above > zero else zero
        used[x] += one if above > zero else zero


@inner
def _raise_shift(shift, total, used):
    """Make one active-set step; return whether any shift changed by more than rounding."""
    one, small = shift.dtype.type(1), shift.dtype.type(1e-7)
    moved = shift.dtype.type(0)
    for x in range(len(shift)):
        gain = (total[x] - one) / (used[x] if used[x] > one else one)
        shift[x] += gain
        moved = max(moved, abs(gain))
    return moved > small


@inner
def _collision_threshold(shift, pull, point, target, lengths, eta, repeats, kinds, room):
    """Find the pull and the shift of `proximal.prox_collision`."""
    width = len(shift)
    pull[:] = 0
    shift[:] = -np.inf
    sums = take_rows(room, 5, width)
    for _ in range(repeats):
        _add_up_used(sums, point, target, pull, shift, kinds)
        if not _solve_for_used(shift, pull, sums, lengths, eta):
            break


@inner
def _add_up_used(sums, point, target, pull, shift, kinds):
    """Set the sums over the classes in use of 1, z, sigma, sigma z, sigma^2; z is the point."""
    width, zero = len(shift), shift.dtype.type(0)
    ones = repeat(shift.dtype.type(1))
    if width < LANES:
        sums[:] = 0
        for k in kinds:
            _add_used(sums, of_class(point, k, width), of_class(target, k, width), pull, shift)
        return
    for begin in range(0, width, LANES):
        first, none = min(begin, width - LANES), repeat(zero)
        count, total, mass, mixed, power = none, none, none, none, none
        pulls, shifts = load(pull, first), load(shift, first)
        for k in kinds:
            z, sigma = load_class(point, k, first), load_class(target, k, first)
            y = lanes.add_product(z, pulls, sigma)
            used = lanes.where_above(y, shifts, sigma)
            count = lanes.add(count, lanes.where_above(y, shifts, ones))
            total = lanes.add(total, lanes.where_above(y, shifts, z))
            mass = lanes.add(mass, used)
            mixed, power = lanes.add_product(mixed, used, z), lanes.add_product(power, used, sigma)
        lanes.store(sums[0], first, count)
        lanes.store(sums[1], first, total)
        lanes.store(sums[2], first, mass)
        lanes.store(sums[3], first, mixed)
        lanes.store(sums[4], first, power)


@inner
def _add_used(sums, z, sigma, pull, shift):
    """Add, where the class is in use: 1, z, sigma, sigma z, sigma^2."""
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


@inner
def _solve_for_used(shift, pull, sums, lengths, eta):
    """Set pull and shift to the solution for the classes in use; return whether any shift changed by more than rounding."""
    number = pull.dtype.type
    zero, half, one, four = number(0), number(0.5), number(1), number(4)
    small, tiny = number(1e-7), number(1e-37)
    changed = 0
    for x in range(len(shift)):
        n = sums[0, x] if sums[0, x] > one else one
        total, mass, kappa = sums[1, x], sums[2, x], eta * lengths[x]
        alpha = sums[3, x] - (total - one) * mass / n
        beta = sums[4, x] - mass * mass / n
        beta = beta if beta > zero else zero
        root = math.sqrt(alpha * alpha + four * kappa * beta)
        u = half * (alpha + root) if alpha > zero else (kappa + kappa) * beta / (root - alpha + tiny)
        now = kappa * inverse(u)
        level = (total + now * mass - one) / n
        changed += 0 if abs(level - shift[x]) <= small * (one + abs(level)) else 1
        pull[x], shift[x] = now, level
    return changed > 0


@inner
def _reverse_threshold(shift, point, target, lengths, eta, repeats, kinds, room):
    """Find the shift of `proximal.prox_reverse` by Newton steps."""
    width, one, least = len(shift), shift.dtype.type(1), shift.dtype.type(1e-6)
    total, falls = take(room, width), take(room, width)
    _start_from_all(shift, point, kinds)
    for _ in range(repeats):
        total[:] = 0
        falls[:] = 0
        for k in kinds:
            _add_roots(total, falls, of_class(point, k, width), of_class(target, k, width), shift, lengths, eta)
        for x in range(width):
            shift[x] += (total[x] - one) / max(falls[x], least)


@inner
def _add_roots(total, falls, z, sigma, shift, lengths, eta):
    """Add the value of `_to_roots` and its derivative by -shift."""
    half, four, tiny = z.dtype.type(0.5), z.dtype.type(4), z.dtype.type(1e-37)
    for x in range(len(shift)):
        v = z[x] - shift[x]
        product = four * eta * lengths[x] * sigma[x]
        root = math.sqrt(v * v + product)
        total[x] += half * (v + root) if v > 0 else half * product / (root - v + tiny)
        falls[x] += half + half * v / (root + tiny)


@inner
def _to_roots(z, sigma, shift, lengths, eta):
    """Replace z by (v + sqrt(v^2 + 4 kappa sigma)) / 2, v = z - shift, without cancellation."""
    half, four, tiny = z.dtype.type(0.5), z.dtype.type(4), z.dtype.type(1e-37)
    for x in range(len(shift)):
        product, v = four * eta * lengths[x] * sigma[x], z[x] - shift[x]
        root = math.sqrt(v * v + product)
        z[x] = half * (v + root) if v > 0 else half * product / (root - v + tiny)
