"""The relaxations in Triton: the scalar forms of `scalar_forms`, compiled from the same source.

The forms call four helpers. Their versions for Triton's numbers are here; on tensors they are the functions of the same name.
"""

from collections.abc import Callable
from types import FunctionType

import torch
import triton
import triton.language as tl

from toykit.simplex import smallest_probability
from toykit.solvers.block_descent.scalar_forms import FORMS

_FLOOR_SINGLE = tl.constexpr(smallest_probability(torch.float32))
_FLOOR_DOUBLE = tl.constexpr(smallest_probability(torch.float64))
_TINY_SINGLE = tl.constexpr(torch.finfo(torch.float32).tiny)
_TINY_DOUBLE = tl.constexpr(torch.finfo(torch.float64).tiny)


@triton.jit
def at_least_floor(x):
    """Return x, raised to the smallest probability of its type."""
    if x.dtype == tl.float64:
        return tl.maximum(x, _FLOOR_DOUBLE)
    else:
        return tl.maximum(x, _FLOOR_SINGLE)


@triton.jit
def at_least_tiny(x):
    """Return x, raised to the smallest normal number of its type."""
    if x.dtype == tl.float64:
        return tl.maximum(x, _TINY_DOUBLE)
    else:
        return tl.maximum(x, _TINY_SINGLE)


@triton.jit
def below_floor(x):
    """Return min(x, floor) / floor - 1, floor the smallest probability: the tangent's part of the extended logarithm."""
    if x.dtype == tl.float64:
        return (tl.minimum(x, _FLOOR_DOUBLE) - _FLOOR_DOUBLE) / _FLOOR_DOUBLE
    else:
        return (tl.minimum(x, _FLOOR_SINGLE) - _FLOOR_SINGLE) / _FLOOR_SINGLE


@triton.jit
def extended_log(x):
    """Compute `toykit.simplex.extended_log`."""
    return tl.log(at_least_floor(x)) + below_floor(x)


@triton.jit
def log_ratio(x, y):
    """Compute `scalar_forms.log_ratio` with one logarithm."""
    return tl.log(at_least_floor(x) / at_least_floor(y)) + (below_floor(x) - below_floor(y))


@triton.jit
def inverse(x):
    """Compute `scalar_forms.inverse`."""
    return 1 / at_least_floor(x)


@triton.jit
def inverse_root(x):
    """Compute `scalar_forms.inverse_root`."""
    return tl.rsqrt(x)


def _in_triton(form: Callable) -> Callable:
    """Return a function of a scalar form as a Triton function; its helpers are those of this file."""
    helpers = {"extended_log": extended_log, "log_ratio": log_ratio, "inverse": inverse, "inverse_root": inverse_root}
    copy = FunctionType(form.__code__, {"__name__": form.__module__, "tl": tl, **helpers}, form.__name__)
    copy.__qualname__ = form.__qualname__
    return triton.jit(copy)


#: By relaxation: the three functions of `scalar_forms.ScalarForm`.
VALUE = {name: _in_triton(form.value) for name, form in FORMS.items()}
SLOPES = {name: _in_triton(form.slopes) for name, form in FORMS.items()}
DIFFERENCE = {name: _in_triton(form.difference) for name, form in FORMS.items()}
