"""Loops along a row of pixels. All arrays have the row's length; each loop is simple enough to become vector code.

Constants have the arrays' type, since one of double precision would make the whole loop double.
"""

from toykit._shared.compiled import inner
from toykit.solvers.block_descent.numba_kernel.room import give_back, of_class, take


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
def add_products(out, a, b, kinds):
    """Add to out the sum over some classes of the product of two `Row`s.

    Three classes are added in one pass, which saves two in three stores.
    """
    width, m = len(out), 0
    while m + 3 <= len(kinds):
        k, r, n = kinds[m], kinds[m + 1], kinds[m + 2]
        a0, a1, a2 = of_class(a, k, width), of_class(a, r, width), of_class(a, n, width)
        b0, b1, b2 = of_class(b, k, width), of_class(b, r, width), of_class(b, n, width)
        for x in range(width):
            out[x] += a0[x] * b0[x] + a1[x] * b1[x] + a2[x] * b2[x]
        m += 3
    while m < len(kinds):
        add_product(out, of_class(a, kinds[m], width), of_class(b, kinds[m], width))
        m += 1


@inner
def multiply(out, a, b):
    """Set out to a b."""
    for x in range(len(out)):
        out[x] = a[x] * b[x]


@inner
def add_impurity(out, p):
    """Add one class's part of the impurity, p (1 - p), to out."""
    for x in range(len(out)):
        out[x] += p[x] - p[x] * p[x]


@inner
def normalize(row, kinds, width, room):
    """Scale the numbers of some classes so that each pixel's sum is 1."""
    used, one, least = room.used[0], row.values.dtype.type(1), row.values.dtype.type(1e-37)
    sums = take(room, width)
    sums[:] = 0
    for k in kinds:
        add(sums, of_class(row, k, width))
    for x in range(width):
        sums[x] = one / max(sums[x], least)
    for k in kinds:
        p = of_class(row, k, width)
        multiply(p, p, sums)
    give_back(room, used)


@inner
def add_image_sums(totals, a):
    """Add the sum of each image's part of a row to its total; all images have parts of equal length."""
    width = len(a) // len(totals)
    for image in range(len(totals)):
        part, total = a[image * width : (image + 1) * width], 0.0
        for x in range(width):
            total += part[x]
        totals[image] += total
