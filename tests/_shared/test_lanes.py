"""Vectors in compiled code, against numpy."""

import numba
import numpy as np
import pytest

from toykit._shared import lanes


def calculation(count):
    """Return a compiled function of `count` numbers of arrays, from `first` on."""
    load, repeat = lanes.loader(count), lanes.repeater(count)

    @numba.njit
    def calculate(out, u, v, w, x, first):
        """Set them to u + v w + x where u > v, else to u + v w; all times w."""
        lanes.fetch(u, first)
        a, b, c = load(u, first), load(v, first), load(w, first)
        lanes.store(
            out, first, lanes.multiply(lanes.add(lanes.add_product(a, b, c), lanes.where_above(a, b, repeat(x))), c)
        )

    return calculate


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("count", [8, 16])
@pytest.mark.parametrize("rows", [1, 2])
def test_vectors_calculate_as_numpy(kind, count, rows):
    """At any place, also of an array with rows; nothing is written beside it."""
    u, v, w = np.random.default_rng(0).normal(size=(3, rows * (count + 5))).astype(kind)
    calculate = calculation(count)
    for first in (0, 3, u.size - count):
        v[first] = u[first]  # equal is not above
        out = np.full_like(u, 7)
        calculate(*(x.reshape(rows, -1) for x in (out, u, v, w)), kind(2.5), first)
        expected, inside = np.full_like(u, 7), slice(first, first + count)
        expected[inside] = ((u + v * w + np.where(u > v, kind(2.5), 0)) * w)[inside]
        np.testing.assert_allclose(out, expected, atol=8 * np.finfo(kind).eps)
