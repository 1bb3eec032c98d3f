"""The cross-entropies along a row: value, and change and slope on the way from a label to its goal."""

from toykit._shared.compiled import inner
from toykit.simplex import extended_log
from toykit.solvers.block_descent.numba_kernel.rows import of_class
from toykit.solvers.block_descent.scalar_forms import inverse, log_ratio

#: Their order is their number in compiled code.
CROSS_ENTROPIES = ("CE", "RCE", "CCE", "Q")
CE, RCE, CCE, Q = range(4)


@inner
def unary_curvature(terms):
    """Return the curvature of the part of the unary that enters the gradient (CE is linear and adds its weight)."""
    zero = terms.eta - terms.eta
    return terms.eta if terms.cross_entropy == CE else (terms.eta + terms.eta if terms.cross_entropy == Q else zero)


@inner
def add_unary(out, cross_entropy, match, labels, target, kinds):
    """Add H(y, sigma) of each pixel; match: product of y and sigma (ln sigma for CE), summed over classes."""
    width = len(out)
    if cross_entropy == CE:
        for x in range(width):
            out[x] -= match[x]
    elif cross_entropy == CCE:
        for x in range(width):
            out[x] -= extended_log(match[x])
    for k in kinds:
        p, s = of_class(labels, k, width), of_class(target, k, width)
        if cross_entropy == RCE:
            for x in range(width):
                out[x] -= s[x] * extended_log(p[x])
        elif cross_entropy == Q:
            for x in range(width):
                out[x] += (p[x] - s[x]) * (p[x] - s[x])


@inner
def add_unary_rise(rise, t, moved, segment, terms):
    """Add eta times the change of H at t of the way; moved: impurity there."""
    width, one, eta = len(t), t.dtype.type(1), terms.eta
    match, goal_match, impure = segment.match, segment.goal_match, segment.impurity
    if terms.cross_entropy == CE:
        for x in range(width):
            rise[x] -= eta * t[x] * (goal_match[x] - match[x])
    elif terms.cross_entropy == Q:
        for x in range(width):
            gain = goal_match[x] - match[x]
            rise[x] += eta * (impure[x] - moved[x] - t[x] * (gain + gain))
    elif terms.cross_entropy == CCE:
        for x in range(width):
            rise[x] += eta * log_ratio(match[x], (one - t[x]) * match[x] + t[x] * goal_match[x])
    else:
        for k in range(len(segment.goal.values) // width):
            p, z = of_class(segment.labels, k, width), of_class(segment.goal, k, width)
            s = of_class(segment.target, k, width)
            for x in range(width):
                rise[x] += eta * s[x] * log_ratio(p[x], (one - t[x]) * p[x] + t[x] * z[x])


@inner
def add_unary_slope(slope, t, turn, segment, terms):
    """Add the derivative of `add_unary_rise` by t; turn: derivative of p.p."""
    width, one, eta = len(t), t.dtype.type(1), terms.eta
    match, goal_match = segment.match, segment.goal_match
    if terms.cross_entropy == CE:
        for x in range(width):
            slope[x] -= eta * (goal_match[x] - match[x])
    elif terms.cross_entropy == Q:
        for x in range(width):
            gain = goal_match[x] - match[x]
            slope[x] += eta * (turn[x] - (gain + gain))
    elif terms.cross_entropy == CCE:
        for x in range(width):
            now = (one - t[x]) * match[x] + t[x] * goal_match[x]
            slope[x] -= eta * (goal_match[x] - match[x]) * inverse(now)
    else:
        for k in range(len(segment.goal.values) // width):
            p, z = of_class(segment.labels, k, width), of_class(segment.goal, k, width)
            s = of_class(segment.target, k, width)
            for x in range(width):
                slope[x] -= eta * s[x] * (z[x] - p[x]) * inverse((one - t[x]) * p[x] + t[x] * z[x])
