"""A row of pixels, and loops along it, each simple enough to become vector code. Most arrays have the row's length.

Constants have the arrays' type, since one of double precision would make the whole loop double.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types

from toykit._shared.compiled import generated, inner
from toykit.solvers.block_descent.numba_kernel.room import give_back, take, view


class Row(NamedTuple):
    """Numbers of a row of pixels for every class, in a flat array: class k of pixel x is values[start + k stride + x]."""

    values: np.ndarray
    start: int
    stride: int


@generated
def of_class(typing_context: Any, row: Any, k: Any, width: Any) -> Any:
    """Return the numbers of class k of a `Row`, a view (width,)."""
    kind = row.types[0]

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        row, k, width = arguments
        return view(context, builder, kind, *start_of_class(builder, row, k), [width])

    return kind(row, types.intp, types.intp), generate


def start_of_class(builder: Any, row: Any, k: Any) -> tuple[Any, Any]:
    """Generate code for a `Row`'s array and the place in it where class k starts."""
    values, start, stride = (builder.extract_value(row, n) for n in range(3))
    return values, builder.add(start, builder.mul(k, stride))


@inner
def count_up(kinds):
    """Set kinds to 0, 1, 2 and so on."""
    for k in range(len(kinds)):
        kinds[k] = k


@inner
def holds(p):
    """Return whether any of some non-negative numbers is positive."""
    total = p.dtype.type(0)
    for x in range(len(p)):
        total += p[x]
    return total > 0


@inner
def copy(out, a):
    """Set out to a."""
    for x in range(len(out)):
        out[x] = a[x]


@inner
def add(out, a):
    """Add a to out."""
    for x in range(len(out)):
        out[x] += a[x]


@inner
def add_product(out, a, b):
    """Add a b to out."""
    for x in range(len(out)):
        out[x] += a[x] * b[x]


@inner
def add_two_products(out, a, b, c, d):
    """Add a b + c d to out."""
    for x in range(len(out)):
        out[x] += a[x] * b[x] + c[x] * d[x]


@inner
def multiply(out, a, b):
    """Set out to a b."""
    for x in range(len(out)):
        out[x] = a[x] * b[x]


@inner
def scale(a, b):
    """Multiply a by b, in place; `multiply(a, a, b)` would not become vector code."""
    for x in range(len(a)):
        a[x] *= b[x]


@inner
def add_impurity(out, p):
    """Add one class's part of the impurity, p (1 - p), to out."""
    for x in range(len(out)):
        out[x] += p[x] - p[x] * p[x]


@inner
def normalize(row, kinds, width, room):
    """Scale the numbers of some classes so that each pixel's sum is 1."""
    mark, one, least = room.used[0], row.values.dtype.type(1), row.values.dtype.type(1e-37)
    sums = take(room, width)
    sums[:] = 0
    for k in kinds:
        add(sums, of_class(row, k, width))
    for x in range(width):
        sums[x] = one / max(sums[x], least)
    for k in kinds:
        scale(of_class(row, k, width), sums)
    give_back(room, mark)


@inner
def add_image_sums(totals, a):
    """Add the sum of each image's part of a row to its total; all images have parts of equal length."""
    width = len(a) // len(totals)
    for image in range(len(totals)):
        part, total = a[image * width : (image + 1) * width], 0.0
        for x in range(width):
            total += part[x]
        totals[image] += total
