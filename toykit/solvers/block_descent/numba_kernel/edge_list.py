"""Sweep and energy on any list of edges (`toykit.solvers.layouts.edge_list`).

Some pixels of one block are gathered to a row, their neighbours to further rows; the step is that of the grid.
"""

from typing import NamedTuple

import numpy as np

from toykit._shared.compiled import inlined, inner, outer
from toykit.solvers.block_descent.numba_kernel.forms import add_potts
from toykit.solvers.block_descent.numba_kernel.grid import classes_held
from toykit.solvers.block_descent.numba_kernel.rows import Row, add_impurity, add_products, of_class
from toykit.solvers.block_descent.numba_kernel.sources import SOURCES
from toykit.solvers.block_descent.numba_kernel.step import Neighbors, Pixels, update
from toykit.solvers.block_descent.numba_kernel.unary import add_unary

#: Pixels of a row.
TILE = 32


class BlockArrays(NamedTuple):
    """One image's N pixels, and the n pixels of one block with their edges."""

    labels: np.ndarray  # (N, K)
    target: np.ndarray  # (N, K)
    free: np.ndarray  # (N,)
    impurity: np.ndarray  # (N,)
    pixels: np.ndarray  # (n,), numbers of the block's pixels
    starts: np.ndarray  # (n + 1,), where each pixel's edges start
    neighbors: np.ndarray  # (E,)
    weights: np.ndarray  # (E,), lam w_ij


@outer(SOURCES)
def sweep(digest):
    """Update some tiles of one block; adds to change, one number for each tile."""

    def sweep_tiles(first, last, block, terms, options, change):
        _ = digest  # closes over it, see `outer`
        for tile in range(first, last):
            _update_tile(block, terms, options, tile * TILE, change[tile : tile + 1])

    return sweep_tiles


@outer(SOURCES)
def energy(digest):
    """Set the energy of some tiles of one block."""

    def energy_of_tiles(first, last, block, terms, value):
        _ = digest  # closes over it, see `outer`
        for tile in range(first, last):
            value[tile] = _energy(block, terms, tile * TILE)

    return energy_of_tiles


@inlined
def _update_tile(block, terms, options, first, change):
    """Make one step of the tile that starts at place `first` of the block; adds to the change of the energy (1,)."""
    some = block.pixels[first : first + TILE]
    pixels, neighbors, held, alive = _gather(block, some, first)
    kinds = update(pixels, neighbors, terms, options, held, alive, change)
    pixels.impurity[:] = 0
    for k in kinds:
        p = of_class(pixels.labels, k, len(some))
        add_impurity(pixels.impurity, p)
        for x in range(len(some)):
            block.labels[some[x], k] = p[x]
    for x in range(len(some)):
        block.impurity[some[x]] = pixels.impurity[x]


@inlined
def _energy(block, terms, first):
    """Return the energy of a tile: its pixels' unary, and half of each of their edges."""
    some = block.pixels[first : first + TILE]
    pixels, neighbors, held, alive = _gather(block, some, first)
    labels = pixels.labels
    match, out, everything = np.zeros_like(pixels.free), np.zeros_like(pixels.free), np.arange(len(held))
    add_products(match, pixels.target, labels, everything)
    add_unary(out, terms.cross_entropy, match, labels, pixels.target, everything)
    total = 0.0
    for x in range(len(some)):
        total += terms.eta * out[x] * pixels.free[x]
    out[:] = 0
    for n in range(len(neighbors.starts)):
        match[:] = 0
        add_products(match, labels, Row(labels.values, neighbors.starts[n], labels.stride), held[:alive])
        add_potts(terms.relaxation, (out, neighbors.weights[n], match, pixels.impurity, neighbors.impurity[n]))
    for x in range(len(some)):
        total += 0.5 * out[x]  # each edge is met from both its ends
    return total


@inner
def _gather(block, some, first):
    """Return what `update` takes of some pixels, copied; `first`: the place in the block of the first of them.

    Pixels with fewer neighbours than others are given more, with weights of 0.
    """
    width, classes, kind, count = len(some), block.labels.shape[1], block.labels.dtype, 2
    starts = block.starts[first : first + width + 1]
    for x in range(width):
        count = max(count, starts[x + 1] - starts[x])
    count += count % 2
    y, sigma = np.zeros((count + 1) * classes * width, kind), np.empty(classes * width, kind)
    weights, others = np.zeros((count, width), kind), np.zeros((count, width), kind)
    impurity, free = np.empty(width, kind), np.empty(width, kind)
    held = np.zeros((1, classes), np.bool_)
    for x in range(width):
        i, own = some[x], count * classes * width + x
        impurity[x], free[x] = block.impurity[i], block.free[i]
        for k in range(classes):
            y[own + k * width], sigma[k * width + x] = block.labels[i, k], block.target[i, k]
            held[0, k] |= block.labels[i, k] > 0
        for n in range(starts[x + 1] - starts[x]):
            j, place = block.neighbors[starts[x] + n], n * classes * width + x
            weights[n, x], others[n, x] = block.weights[starts[x] + n], block.impurity[j]
            for k in range(classes):
                y[place + k * width] = block.labels[j, k]
                held[0, k] |= block.labels[j, k] > 0
        # the neighbours of weight 0 have a label too: zeros would be singular in some relaxations
        for n in range(starts[x + 1] - starts[x], count):
            others[n, x] = impurity[x]
            for k in range(classes):
                y[(n * classes + k) * width + x] = block.labels[i, k]
    kinds, alive = classes_held(held, np.zeros(1, np.int64), classes)
    pixels = Pixels(Row(y, count * classes * width, width), Row(sigma, 0, width), impurity, free)
    return pixels, Neighbors(np.arange(count) * classes * width, weights, others), kinds, alive
