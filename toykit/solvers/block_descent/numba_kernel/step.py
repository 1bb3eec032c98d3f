"""One step of a row of pixels, no two of them neighbours, wherever their neighbours are: the core of both layouts.

The three parts are those of `toykit.solvers.block_descent.torch_kernel`: gradient, proximal step, line search. The step
covers only the classes that a pixel of the row or a neighbour holds (`kinds`), and those that it wakes. This is exact: for a
class that nobody there holds, the gradient is the unary's alone.
"""

from typing import NamedTuple

import numpy as np

from toykit._shared.compiled import inlined, inner
from toykit.solvers.block_descent.numba_kernel.class_sums import multiply_with_neighbors
from toykit.solvers.block_descent.numba_kernel.forms import add_slopes
from toykit.solvers.block_descent.numba_kernel.line_search import line_search
from toykit.solvers.block_descent.numba_kernel.proximal import apply_thresholds, find_thresholds, wakes
from toykit.solvers.block_descent.numba_kernel.room import take, take_rows
from toykit.solvers.block_descent.numba_kernel.rows import (
    Row,
    add_image_sums,
    add_product,
    add_two_products,
    count_up,
    multiply,
    normalize,
    of_class,
)
from toykit.solvers.block_descent.numba_kernel.unary import CCE, CE, RCE, Q, unary_curvature


class Terms(NamedTuple):
    """The energy: numbers of the relaxation (`forms`) and the cross-entropy (`unary`), and the unary's weight."""

    relaxation: int
    cross_entropy: int
    eta: float


class StepOptions(NamedTuple):
    """How a step is made: over-relaxation, relative rounding, and the number of steps of each search."""

    omega: float
    rounding: float
    projection_steps: int
    newton_steps: int
    secant_steps: int


class Pixels(NamedTuple):
    """A row of W pixels."""

    labels: Row
    target: Row  # sigma; ln sigma for CE
    impurity: np.ndarray  # (W,), sum_k y^k (1 - y^k)
    free: np.ndarray  # (W,), 1 for pixels that may move, else 0


class Neighbors(NamedTuple):
    """The D neighbours of each pixel of a row; D is even. Their labels lie in the same array as the pixels' own."""

    starts: np.ndarray  # (D,), where the row of n-th neighbours starts
    weights: np.ndarray  # (D, W), lam w_ij
    impurity: np.ndarray  # (D, W)


class Gradient(NamedTuple):
    """The gradient of the pairwise terms, and of the quadratic part of the unary, as coefficients; and the step lengths."""

    products: np.ndarray  # (D, W), of the label with each neighbour's
    others: np.ndarray  # (D, W), coefficients of the neighbours' labels
    own: np.ndarray  # (W,), coefficient of the pixel's own label
    lengths: np.ndarray  # (W,), omega over the majoriser's curvature


@inlined
def update(pixels, neighbors, terms, options, held, alive, change, room):
    """Move the labels of a row by one step and return the classes that it may hold now.

    held[:alive]: the classes that a pixel or a neighbour holds; `held` has room for all classes and is overwritten. The energy
    change of each image in the row is added to `change`.
    """
    if terms.cross_entropy == RCE:  # its barrier keeps every class above zero
        count_up(held)
        alive = len(held)
    gradient = find_gradient(pixels, neighbors, terms, options.omega, held[:alive], room)
    goal, kinds = proximal_step(pixels, neighbors, gradient, terms, options, held, alive, room)
    length, lowest = line_search(pixels, neighbors, gradient.products, goal, terms, options, kinds, room)
    add_image_sums(change, lowest)
    for k in kinds:
        _move(of_class(pixels.labels, k, len(length)), length, of_class(goal, k, len(length)))
    return kinds


@inlined
def find_gradient(pixels, neighbors, terms, omega, kinds, room):
    """Return the row's `Gradient`."""
    (count, width), number = neighbors.weights.shape, pixels.free.dtype.type
    products, others = take_rows(room, count, width), take_rows(room, count, width)
    own, curvature, lengths = take(room, width), take(room, width), take(room, width)
    own[:], curvature[:] = 0, 0
    labels, one = pixels.labels, number(1)
    multiply_with_neighbors(products, labels, labels, neighbors.starts, kinds)
    edges = (others, own, curvature, neighbors.weights, products, pixels.impurity, neighbors.impurity)
    add_slopes(terms.relaxation, edges)
    bending = unary_curvature(terms)
    pulling = terms.eta if terms.cross_entropy == Q else number(0)
    least = number(1e-3) * terms.eta + number(1e-12)
    for x in range(width):
        bend = (curvature[x] + bending) / omega
        lengths[x] = one / (bend if bend > least else least)
        own[x] = own[x] + pulling + own[x] + pulling
    return Gradient(products, others, own, lengths)


@inlined
def proximal_step(pixels, neighbors, gradient, terms, options, held, alive, room):
    """Return each pixel's goal, a `Row`, and the classes that it may hold.

    A class that the step would wake joins the others, and the thresholds are found again.
    """
    classes, width = len(held), len(pixels.free)
    goal = Row(take(room, classes * width), 0, width)
    shift, pull = take(room, width), take(room, width)
    bending, unary = unary_curvature(terms), terms.cross_entropy
    for x in range(width):
        pull[x] = bending * gradient.lengths[x]
    for k in held[:alive]:
        z = of_class(goal, k, width)
        _descend(z, pixels, neighbors, gradient, k)
        if unary in (CE, Q):
            add_product(z, pull, of_class(pixels.target, k, width))
    while True:
        find_thresholds(shift, pull, goal, pixels.target, gradient.lengths, terms, options, held[:alive], room)
        before = alive
        for k in range(classes):
            if unary != RCE and not _contains(held[:before], k):
                sigma = of_class(pixels.target, k, width)
                if wakes(pull, shift, sigma, pixels.free):
                    z = of_class(goal, k, width)
                    if unary == CCE:
                        z[:] = 0
                    else:
                        multiply(z, pull, sigma)
                    held[alive] = k
                    alive += 1
        if alive == before:
            break
    kinds = held[:alive]
    apply_thresholds(goal, shift, pull, pixels.target, gradient.lengths, terms, kinds)
    normalize(goal, kinds, width, room)
    return goal, kinds


@inlined
def _descend(z, pixels, neighbors, gradient, k):
    """Set z to the row's labels of class k less the step length times the gradient."""
    width, labels = len(z), pixels.labels
    own, skip = of_class(labels, k, width), k * labels.stride
    multiply(z, gradient.own, own)
    for n in range(0, len(gradient.others), 2):  # offsets come in pairs, there and back
        i, j = neighbors.starts[n] + skip, neighbors.starts[n + 1] + skip
        first, second = labels.values[i : i + width], labels.values[j : j + width]
        add_two_products(z, gradient.others[n], first, gradient.others[n + 1], second)
    for x in range(width):
        z[x] = own[x] - z[x] * gradient.lengths[x]


@inner
def _contains(kinds, k):
    """Return whether k is one of some classes."""
    contained = False
    for other in kinds:
        contained = contained or other == k
    return contained


@inner
def _move(y, length, goal):
    """Move one class's labels towards their goal."""
    one = y.dtype.type(1)
    for x in range(len(y)):
        y[x] = (one - length[x]) * y[x] + length[x] * goal[x]
