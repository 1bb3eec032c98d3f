"""The relaxations along a row: the scalar forms of `scalar_forms`, compiled.

Each relaxation has loops of its own, in which its formula is a constant, so that they become vector code. All are generated
from `scalar_forms.FORMS`; a new relaxation changes nothing here.
"""

import math
from typing import Any

import numba
import numpy as np
import torch

from toykit._shared.compiled import in_compiled_code, inner
from toykit.simplex import extended_log, smallest_probability
from toykit.solvers.block_descent.scalar_forms import FORMS, ScalarForm, inverse, inverse_root, log_ratio

#: Their order is their number in compiled code.
RELAXATIONS = tuple(FORMS)


# What the forms' helpers do on a number of numba's type x (on tensors they are the functions of the same name)


@inner
def _log_double(x):
    """Return the natural logarithm."""
    return math.log(x)


@inner
def _log_single(x):
    """Return the natural logarithm of a positive normal number, without a call, so that loops become vector code.

    x = 2^e m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh(s) with s = (m - 1)/(m + 1), |s| < 0.172.
    """
    bits = np.float32(x).view(np.int32)
    e = (bits - np.int32(0x3F3504F3)) >> np.int32(23)
    m = np.int32(bits - (e << np.int32(23))).view(np.float32)
    s = (m - np.float32(1)) / (m + np.float32(1))
    z = s * s
    series = np.float32(2 / 5) + z * (np.float32(2 / 7) + z * np.float32(2 / 9))
    return np.float32(e) * np.float32(math.log(2)) + s * (np.float32(2) + z * (np.float32(2 / 3) + z * series))


def _log_and_floor(x):
    """Return the logarithm and the smallest probability for numba's type x."""
    if x == numba.types.float32:
        return _log_single, np.float32(smallest_probability(torch.float32))
    return _log_double, smallest_probability(torch.float64)


@in_compiled_code(extended_log)
def _extended_log(x):
    log, floor = _log_and_floor(x)
    return lambda x: log(max(x, floor)) + (min(x, floor) - floor) / floor


@in_compiled_code(log_ratio)
def _log_ratio(x, y):
    log, floor = _log_and_floor(x)
    return lambda x, y: log(max(x, floor) / max(y, floor)) + (min(x, floor) - min(y, floor)) / floor


@in_compiled_code(inverse)
def _inverse(x):
    one = np.float32(1) if x == numba.types.float32 else 1.0
    _, floor = _log_and_floor(x)
    return lambda x: one / max(x, floor)


@in_compiled_code(inverse_root)
def _inverse_root(x):
    one = np.float32(1) if x == numba.types.float32 else 1.0
    return lambda x: one / math.sqrt(x)


def _row_loops(form: type[ScalarForm]):
    """Return the four loops of one relaxation.

    The first three run over all edges of a row's pixels: w, s, goal, j and out are (D, W), the others are (W,). w, s, i, j
    are weight, product and impurities of each pixel's n-th edge.
    """
    value, slopes, difference = inner(form.value), inner(form.slopes), inner(form.difference)

    @inner
    def add_slopes(out, own, curvature, w, s, i, j):
        """Set the coefficients of the neighbour's label in the gradient; add to those of the label itself and the curvature."""
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for n in range(len(w)):
            out_n, w_n, s_n, j_n = out[n], w[n], s[n], j[n]
            for x in range(len(i)):
                by_s, by_a = slopes(s_n[x], i[x], j_n[x], one, half)
                out_n[x], own[x] = w_n[x] * by_s, own[x] + w_n[x] * by_a
                curvature[x] -= w_n[x] * by_s

    @inner
    def add_rises(rise, t, w, s, goal, i, moved, j):
        """Add the change at t of the way, where products go from s to goal and impurities from i to moved."""
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for n in range(len(w)):
            w_n, s_n, goal_n, j_n = w[n], s[n], goal[n], j[n]
            for x in range(len(i)):
                now = (one - t[x]) * s_n[x] + t[x] * goal_n[x]
                rise[x] += w_n[x] * difference(s_n[x], now, i[x], moved[x], j_n[x], one, half)

    @inner
    def add_turns(slope, t, w, s, goal, moved, turn, j):
        """Add the derivative of the change by t; turn: derivative of a = p.p."""
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for n in range(len(w)):
            w_n, s_n, goal_n, j_n = w[n], s[n], goal[n], j[n]
            for x in range(len(t)):
                now = (one - t[x]) * s_n[x] + t[x] * goal_n[x]
                by_s, by_a = slopes(now, moved[x], j_n[x], one, half)
                slope[x] += w_n[x] * (by_s * (goal_n[x] - s_n[x]) + by_a * turn[x])

    @inner
    def add_potts(out, w, s, i, j):
        """Add the term of one edge of each pixel to the energy; all are (W,)."""
        one, half = w.dtype.type(1), w.dtype.type(0.5)
        for x in range(len(w)):
            out[x] += w[x] * value(s[x], i[x], j[x], one, half)

    return add_slopes, add_rises, add_turns, add_potts


def _choose(loops):
    """Return one function (relaxation, arguments) that calls the loop of that relaxation's number.

    Its chain of conditions is generated: compiled code cannot index functions, and a chain of calls would be slow.
    """
    lines = ["def chosen(relaxation, arguments):"]
    for number in range(len(loops)):
        lines += [f"    if relaxation == {number}:", f"        loop_{number}(*arguments)"]
    functions: dict[str, Any] = {f"loop_{number}": loop for number, loop in enumerate(loops)}
    exec("\n".join(lines), functions)
    return inner(functions["chosen"])


# Each is a function of a relaxation's number and a tuple, the arguments of the loop of this name in `_row_loops`
add_slopes, add_rises, add_turns, add_potts = map(_choose, zip(*map(_row_loops, FORMS.values()), strict=True))
