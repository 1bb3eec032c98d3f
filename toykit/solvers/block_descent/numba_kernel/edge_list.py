"""Sweep and energy on any list of edges (`toykit.solvers.layouts.edge_list`).

Some pixels of one block are gathered to a row, their neighbours to further rows; the step is that of the grid.
"""

from typing import NamedTuple

import numpy as np

from toykit._shared.compiled import inlined, inner, outer
from toykit.solvers.block_descent.numba_kernel.class_sums import set_products
from toykit.solvers.block_descent.numba_kernel.forms import add_potts
from toykit.solvers.block_descent.numba_kernel.room import make_room, size_of_room, take, take_integers, take_rows
from toykit.solvers.block_descent.numba_kernel.rows import Row, add_impurity, count_up, of_class
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
            count = _most_neighbors(block, tile)
            room = make_room(_size_of_room(block, count), block.labels.dtype)
            _update_tile(block, terms, options, tile * TILE, change[tile : tile + 1], count, room)

    return sweep_tiles


@outer(SOURCES)
def energy(digest):
    """Set the energy of some tiles of one block."""

    def energy_of_tiles(first, last, block, terms, value):
        _ = digest  # closes over it, see `outer`
        for tile in range(first, last):
            count = _most_neighbors(block, tile)
            room = make_room(_size_of_room(block, count), block.labels.dtype)
            value[tile] = _energy(block, terms, tile * TILE, count, room)

    return energy_of_tiles


@inner
def _update_tile(block, terms, options, first, change, count, room):
    """Make one step of the tile that starts at place `first` of the block; adds to the change of the energy (1,)."""
    some = block.pixels[first : first + TILE]
    pixels, neighbors, held, alive = _gather(block, some, first, count, room)
    kinds = update(pixels, neighbors, terms, options, held, alive, change, room)
    pixels.impurity[:] = 0
    for k in kinds:
        p = of_class(pixels.labels, k, len(some))
        add_impurity(pixels.impurity, p)
        for x in range(len(some)):
            block.labels[some[x], k] = p[x]
    for x in range(len(some)):
        block.impurity[some[x]] = pixels.impurity[x]


@inner
def _energy(block, terms, first, count, room):
    """Return the energy of a tile: its pixels' unary, and half of each of their edges."""
    some = block.pixels[first : first + TILE]
    pixels, neighbors, held, alive = _gather(block, some, first, count, room)
    labels = pixels.labels
    match, out, everything = take(room, len(some)), take(room, len(some)), take_integers(room, len(held))
    out[:] = 0
    count_up(everything)
    set_products(match, pixels.target, labels, everything)
    add_unary(out, terms.cross_entropy, match, labels, pixels.target, everything)
    total = 0.0
    for x in range(len(some)):
        total += terms.eta * out[x] * pixels.free[x]
    out[:] = 0
    for n in range(len(neighbors.starts)):
        set_products(match, labels, Row(labels.values, neighbors.starts[n], labels.stride), held[:alive])
        add_potts(terms.relaxation, (out, neighbors.weights[n], match, pixels.impurity, neighbors.impurity[n]))
    for x in range(len(some)):
        total += 0.5 * out[x]  # each edge is met from both its ends
    return total


@inner
def _most_neighbors(block, tile):
    """Return the largest number of neighbours of a tile's pixels, at least 2, rounded up to an even one."""
    count, starts = 2, block.starts[tile * TILE : (tile + 1) * TILE + 1]
    for x in range(len(starts) - 1):
        count = max(count, starts[x + 1] - starts[x])
    return count + count % 2


@inner
def _size_of_room(block, count):
    """Return how many numbers, and integers, a tile takes that has so many neighbours: see `_gather`."""
    numbers, integers = size_of_room(count, block.labels.shape[1], TILE)
    return numbers + ((count + 2) * block.labels.shape[1] + 2) * TILE, integers


@inlined
def _gather(block, some, first, count, room):
    """Return what `update` takes of some pixels, copied; `first`: the place in the block of the first of them.

    Pixels with fewer neighbours than others are given more, with weights of 0.
    """
    width, classes = len(some), block.labels.shape[1]
    starts = block.starts[first : first + width + 1]
    y, sigma = take(room, (count + 1) * classes * width), take(room, classes * width)
    weights, others = take_rows(room, count, width), take_rows(room, count, width)
    impurity, free = take(room, width), take(room, width)
    places, kinds, seen = take_integers(room, count), take_integers(room, classes), take_integers(room, classes)
    weights[:], seen[:], alive = 0, 0, 0
    for x in range(width):
        i, own = some[x], count * classes * width + x
        impurity[x], free[x] = block.impurity[i], block.free[i]
        for k in range(classes):
            y[own + k * width], sigma[k * width + x] = block.labels[i, k], block.target[i, k]
            seen[k] |= block.labels[i, k] > 0
        for n in range(starts[x + 1] - starts[x]):
            j, place = block.neighbors[starts[x] + n], n * classes * width + x
            weights[n, x], others[n, x] = block.weights[starts[x] + n], block.impurity[j]
            for k in range(classes):
                y[place + k * width] = block.labels[j, k]
                seen[k] |= block.labels[j, k] > 0
        # the neighbours of weight 0 have a label too: zeros would be singular in some relaxations
        for n in range(starts[x + 1] - starts[x], count):
            others[n, x] = impurity[x]
            for k in range(classes):
                y[(n * classes + k) * width + x] = block.labels[i, k]
    for k in range(classes):
        if seen[k]:
            kinds[alive] = k
            alive += 1
    for n in range(count):
        places[n] = n * classes * width
    pixels = Pixels(Row(y, count * classes * width, width), Row(sigma, 0, width), impurity, free)
    return pixels, Neighbors(places, weights, others), kinds, alive
