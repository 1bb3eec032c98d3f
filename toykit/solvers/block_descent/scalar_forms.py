"""Every relaxation as a scalar function of three products: what the fast solver computes instead of autograd.

With s = p.q, a = p.p, b = q.q and the impurities i = sum_k p^k (1 - p^k) = 1 - a, j likewise of q,

    BL  1 - s              Q  (a + b)/2 - s                   NQ  1 - s / sqrt(ab)
    CCE -ln s              LQ -ln(s + (i + j)/2)              CD  -ln s + (ln a + ln b)/2

(on the simplex 1 - P_Q = s + (i + j)/2, a sum of non-negative terms). So dP/dp = P_s q + 2 P_a p. Arguments below s > 0 that
the logarithm does not take are raised to `toykit.simplex.smallest_probability`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from toykit.simplex import extended_log, smallest_probability

Slopes = tuple[Tensor, Tensor]


def _inverse(x: Tensor) -> Tensor:
    return 1 / x.clamp_min(smallest_probability(x.dtype))


def value(relaxation: str, s: Tensor, i: Tensor, j: Tensor) -> Tensor:
    """P(p, q) from s = p.q and the impurities i, j. Any shape."""
    return _FORMS[relaxation][0](s, i, j)


def slopes(relaxation: str, s: Tensor, i: Tensor, j: Tensor) -> Slopes:
    """(dP/ds, dP/da), so that dP/dp = dP/ds q + 2 dP/da p."""
    return _FORMS[relaxation][1](s, i, j)


_FORMS: dict[str, tuple[Callable[..., Tensor], Callable[..., Slopes]]] = {
    "BL": (lambda s, i, j: 1 - s, lambda s, i, j: (-torch.ones_like(s), torch.zeros_like(s))),
    "Q": (lambda s, i, j: 1 - s - (i + j) / 2, lambda s, i, j: (-torch.ones_like(s), torch.full_like(s, 0.5))),
    "NQ": (
        lambda s, i, j: 1 - s * ((1 - i) * (1 - j)).rsqrt(),
        lambda s, i, j: (-((1 - i) * (1 - j)).rsqrt(), s * ((1 - i) * (1 - j)).rsqrt() / (2 * (1 - i))),
    ),
    "CCE": (lambda s, i, j: -extended_log(s), lambda s, i, j: (-_inverse(s), torch.zeros_like(s))),
    "LQ": (
        lambda s, i, j: -extended_log(s + (i + j) / 2),
        lambda s, i, j: (-_inverse(s + (i + j) / 2), _inverse(s + (i + j) / 2) / 2),
    ),
    "CD": (
        lambda s, i, j: -extended_log(s * ((1 - i) * (1 - j)).rsqrt()),
        lambda s, i, j: (-_inverse(s), 0.5 / (1 - i)),
    ),
}
