"""Every relaxation as a scalar function of three products, written once for all kernels.

With s = p.q, a = p.p, b = q.q and the impurities i = sum_k p^k (1 - p^k) = 1 - a, j likewise of q,

    BL  1 - s              Q  (a + b)/2 - s                   NQ  1 - s / sqrt(ab)
    CCE -ln s              LQ -ln(s + (i + j)/2)              CD  -ln s + (ln a + ln b)/2

(on the simplex 1 - P_Q = s + (i + j)/2, a sum of non-negative terms). So dP/dp = P_s q + 2 P_a p, and the solver needs no
autograd. Where the logarithm or its slope is singular, `toykit.simplex.smallest_probability` bounds the argument from below.

A new relaxation is one more class here, registered in `FORMS`. The torch kernel calls its functions with tensors; the numba and
Triton kernels compile them for numbers. They may therefore use arithmetic, `extended_log`, and the three helpers below.
Literals would turn single precision into double in compiled code: use `one` and `half`, 1 and 1/2 in the arguments' type.
"""

from typing import Any, Protocol

import torch
from torch import Tensor

from toykit.simplex import extended_log, smallest_probability


def inverse(x: Tensor) -> Tensor:
    """Return 1 / x, with x raised to the smallest probability."""
    return 1 / x.clamp_min(smallest_probability(x.dtype))


def inverse_root(x: Tensor) -> Tensor:
    """Return 1 / sqrt(x)."""
    return x.rsqrt()


def log_ratio(x: Tensor, y: Tensor) -> Tensor:
    """Return the extended logarithm of x minus that of y."""
    return extended_log(x) - extended_log(y)


class ScalarForm(Protocol):
    """One relaxation P(s, i, j).

    Attributes
    ----------
    value : function of (s, i, j, one, half)
        P.
    slopes : function of (s, i, j, one, half)
        (dP/ds, dP/da).
    difference : function of (s, new_s, i, new_i, j, one, half)
        P(new_s, new_i, j) - P(s, i, j), without cancellation where that is possible.
    """

    value: Any
    slopes: Any
    difference: Any


class Bilinear:
    """P = 1 - s."""

    @staticmethod
    def value(s, i, j, one, half):
        return one - s

    @staticmethod
    def slopes(s, i, j, one, half):
        return -one, one - one

    @staticmethod
    def difference(s, new_s, i, new_i, j, one, half):
        return s - new_s


class Quadratic:
    """P = 1 - s - (i + j)/2."""

    @staticmethod
    def value(s, i, j, one, half):
        return one - s - half * (i + j)

    @staticmethod
    def slopes(s, i, j, one, half):
        return -one, half

    @staticmethod
    def difference(s, new_s, i, new_i, j, one, half):
        return s - new_s + half * (i - new_i)


class NormalizedQuadratic:
    """P = 1 - s / sqrt(ab)."""

    @staticmethod
    def value(s, i, j, one, half):
        return one - s * inverse_root((one - i) * (one - j))

    @staticmethod
    def slopes(s, i, j, one, half):
        scale = inverse_root((one - i) * (one - j))
        return -scale, half * s * scale / (one - i)

    @staticmethod
    def difference(s, new_s, i, new_i, j, one, half):
        return (s * inverse_root(one - i) - new_s * inverse_root(one - new_i)) * inverse_root(one - j)


class CollisionCrossEntropy:
    """P = -ln s."""

    @staticmethod
    def value(s, i, j, one, half):
        return -extended_log(s)

    @staticmethod
    def slopes(s, i, j, one, half):
        return -inverse(s), one - one

    @staticmethod
    def difference(s, new_s, i, new_i, j, one, half):
        return log_ratio(s, new_s)


class LogQuadratic:
    """P = -ln(s + (i + j)/2)."""

    @staticmethod
    def value(s, i, j, one, half):
        return -extended_log(s + half * (i + j))

    @staticmethod
    def slopes(s, i, j, one, half):
        slope = inverse(s + half * (i + j))
        return -slope, half * slope

    @staticmethod
    def difference(s, new_s, i, new_i, j, one, half):
        return log_ratio(s + half * (i + j), new_s + half * (new_i + j))


class CollisionDivergence:
    """P = -ln(s / sqrt(ab))."""

    @staticmethod
    def value(s, i, j, one, half):
        return -extended_log(s * inverse_root((one - i) * (one - j)))

    @staticmethod
    def slopes(s, i, j, one, half):
        return -inverse(s), half / (one - i)

    @staticmethod
    def difference(s, new_s, i, new_i, j, one, half):
        scale = inverse_root(one - j)
        return log_ratio(s * scale * inverse_root(one - i), new_s * scale * inverse_root(one - new_i))


#: The forms by the paper's abbreviations, as in `toykit.potts.RELAXATIONS`.
FORMS: dict[str, type[ScalarForm]] = {
    "BL": Bilinear,
    "Q": Quadratic,
    "NQ": NormalizedQuadratic,
    "CCE": CollisionCrossEntropy,
    "LQ": LogQuadratic,
    "CD": CollisionDivergence,
}


def value(relaxation: str, s: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """Return P(p, q), in the shape of s.

    Parameters
    ----------
    relaxation : str
        A key of `FORMS`.
    s : Tensor, any shape
        p.q.
    i, j : Tensor, broadcast to s
        Impurities of p and of q.
    """
    return FORMS[relaxation].value(s, i, j, 1.0, 0.5)


def slopes(relaxation: str, s: Tensor, i: Tensor, j: Tensor) -> tuple[Tensor, Tensor]:
    """Return (dP/ds, dP/da), so that dP/dp = dP/ds q + 2 dP/da p; parameters as in `value`."""
    by_s, by_a = FORMS[relaxation].slopes(s, i, j, 1.0, 0.5)
    return _like(s, by_s), _like(s, by_a)


def _like(s: Tensor, x: Tensor | float) -> Tensor:
    """Return x as a tensor; a constant is repeated in the shape of s."""
    return x if isinstance(x, Tensor) else torch.full_like(s, x)
