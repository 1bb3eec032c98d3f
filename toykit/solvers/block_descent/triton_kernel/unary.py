"""The cross-entropies in Triton: value, and change and slope on the way from a label p to its goal z.

At p + t (z - p) all but RCE depend on the products with the target only: `match` of the label, `goal_match` of the goal. RCE
needs the tiles of label, goal and target, (classes, pixels). As in the layouts, the target is sigma, or ln sigma for CE.
"""

# Triton compiles these functions; its types do not describe what they accept.
# pyright: reportOperatorIssue=false

import triton
import triton.language as tl

from toykit.solvers.block_descent.triton_kernel.forms import extended_log, inverse, log_ratio


@triton.jit
def unary(CROSS_ENTROPY: tl.constexpr, p, target):
    """Return the cross-entropy of each pixel."""
    if CROSS_ENTROPY == "CE":
        return -tl.sum(p * target, 0)
    elif CROSS_ENTROPY == "CCE":
        return -extended_log(tl.sum(p * target, 0))
    elif CROSS_ENTROPY == "RCE":
        return -tl.sum(target * extended_log(p), 0)
    else:
        return tl.sum((p - target) * (p - target), 0)


@triton.jit
def unary_rise(CROSS_ENTROPY: tl.constexpr, t, fall_of_squares, match, goal_match, p, goal, target):
    """Return the change of the cross-entropy at t of the way; fall_of_squares: the change of the impurity, negated."""
    if CROSS_ENTROPY == "CE":
        return -t * (goal_match - match)
    elif CROSS_ENTROPY == "CCE":
        return log_ratio(match, (1 - t) * match + t * goal_match)
    elif CROSS_ENTROPY == "RCE":
        label = (1 - t)[None, :] * p + t[None, :] * goal
        return tl.sum(target * log_ratio(p, label), 0)
    else:
        return fall_of_squares - 2 * t * (goal_match - match)


@triton.jit
def unary_slope(CROSS_ENTROPY: tl.constexpr, t, turn, match, goal_match, p, goal, target):
    """Return the derivative of `unary_rise` by t; turn: derivative of the label's squared norm."""
    if CROSS_ENTROPY == "CE":
        return -(goal_match - match)
    elif CROSS_ENTROPY == "CCE":
        return -(goal_match - match) * inverse((1 - t) * match + t * goal_match)
    elif CROSS_ENTROPY == "RCE":
        label = (1 - t)[None, :] * p + t[None, :] * goal
        return -tl.sum(target * (goal - p) * inverse(label), 0)
    else:
        return turn - 2 * (goal_match - match)
