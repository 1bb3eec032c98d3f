"""Products of labels, summed over classes: `LANES` pixels at a time, so that the sums stay in registers (`lanes`).

Where a row's width is no multiple of `LANES`, the last pixels that are taken overlap those before, and get the same sums again.
Shorter rows are added up class by class.
"""

from toykit._shared import lanes
from toykit._shared.compiled import inner
from toykit.solvers.block_descent.numba_kernel.lanes import LANES, load, load_class, repeat
from toykit.solvers.block_descent.numba_kernel.rows import Row, add_product, of_class


@inner
def set_products(out, a, b, kinds):
    """Set out to the sum over some classes of the product of two `Row`s."""
    width, zero = len(out), out.dtype.type(0)
    if width < LANES:
        out[:] = zero
        for k in kinds:
            add_product(out, of_class(a, k, width), of_class(b, k, width))
        return
    for begin in range(0, width, LANES):
        first, total = min(begin, width - LANES), repeat(zero)
        for k in kinds:
            total = lanes.add_product(total, load_class(a, k, first), load_class(b, k, first))
        lanes.store(out, first, total)


@inner
def multiply_with_neighbors(out, a, labels, starts, kinds):
    """Set out (D, W) to the sums over some classes of the products of a `Row` with the labels of each neighbour.

    starts (D,), D even: where the row of n-th neighbours starts, in the array of labels.
    """
    width, values, stride, zero = out.shape[1], labels.values, labels.stride, out.dtype.type(0)
    if width < LANES:
        for n in range(len(starts)):
            set_products(out[n], a, Row(values, starts[n], stride), kinds)
        return
    for begin in range(0, width, LANES):
        first = min(begin, width - LANES)
        for n in range(0, len(starts), 2):  # in pairs, which load the `Row` once
            total, other = repeat(zero), repeat(zero)
            for k in kinds:
                skip = k * stride + first
                p = load_class(a, k, first)
                total = lanes.add_product(total, p, load(values, starts[n] + skip))
                other = lanes.add_product(other, p, load(values, starts[n + 1] + skip))
            lanes.store(out[n], first, total)
            lanes.store(out[n + 1], first, other)
