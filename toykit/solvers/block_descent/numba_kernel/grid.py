"""Sweep and energy on the grid in four colours (`toykit.solvers.layouts.four_colour_grid`), one half-row after another.

A half-row is one row of one quarter; it stays in the cache from its gradient to its new labels. Half-rows of one parity are
not neighbours and run on several threads.
"""

from typing import NamedTuple

import numpy as np

from toykit._shared.compiled import inlined, inner, outer
from toykit.solvers.block_descent.numba_kernel.class_sums import set_products
from toykit.solvers.block_descent.numba_kernel.forms import add_potts
from toykit.solvers.block_descent.numba_kernel.room import (
    clear,
    make_room,
    size_of_room,
    take,
    take_integers,
    take_rows,
)
from toykit.solvers.block_descent.numba_kernel.rows import (
    Row,
    add_image_sums,
    add_impurity,
    copy,
    count_up,
    holds,
    of_class,
)
from toykit.solvers.block_descent.numba_kernel.sources import SOURCES
from toykit.solvers.block_descent.numba_kernel.step import Neighbors, Pixels, update
from toykit.solvers.block_descent.numba_kernel.unary import RCE, Q, add_unary


class GridArrays(NamedTuple):
    """The arrays of a `FourColourGrid` and, of its labels, the impurity (B, 2, 2, h + 2, w + 2) and the classes held."""

    labels: np.ndarray
    target: np.ndarray
    weights: np.ndarray
    free: np.ndarray
    offsets: np.ndarray  # (D, 2)
    impurity: np.ndarray
    held: np.ndarray  # (B, 2, 2, h + 2, K), bool: whether any pixel of the half-row holds the class


@outer(SOURCES)
def survey(digest):
    """Set impurity and held classes of some half-rows, border included, of all 4 B (h + 2)."""

    def survey_half_rows(first, last, grid):
        _ = digest  # closes over it, see `outer`
        for place in range(first, last):
            _survey(grid, place)

    return survey_half_rows


@outer(SOURCES)
def sweep(digest):
    """Update both half-rows of some of the B h lines of rows of one parity; adds to change (B, h, 2, images)."""

    def sweep_lines(first, last, grid, terms, options, row, change):
        _ = digest  # closes over it, see `outer`
        _update_lines(first, last, grid, terms, options, row, change, _room_of(grid))

    return sweep_lines


@outer(SOURCES)
def energy(digest):
    """Add up the energy of some of all 4 B h half-rows in value (B, 2, 2, h, images)."""

    def energy_of_half_rows(first, last, grid, terms, value):
        _ = digest  # closes over it, see `outer`
        _add_energies(first, last, grid, terms, value, _room_of(grid))

    return energy_of_half_rows


@inlined
def _room_of(grid):
    """Return room for a half-row."""
    return make_room(size_of_room(len(grid.offsets), grid.labels.shape[4], grid.free.shape[4]), grid.labels.dtype)


@inner
def _update_lines(first, last, grid, terms, options, row, change, room):
    """Update both half-rows of some lines, see `sweep`."""
    for task in range(first, last):
        image, line = task // grid.free.shape[3], task % grid.free.shape[3]
        for column in range(2):
            clear(room)
            _update_half_row(grid, terms, options, image, row, column, line, change[image, line, row], room)


@inner
def _add_energies(first, last, grid, terms, value, room):
    """Add up the energy of some half-rows, see `energy`."""
    for task in range(first, last):
        quarter, line = task // grid.free.shape[3], task % grid.free.shape[3]
        image, row, column = quarter // 4, quarter // 2 % 2, quarter % 2
        clear(room)
        _add_energy(grid, terms, image, row, column, line, value[image, row, column, line], room)


@inner
def _survey(grid, task):
    """Set impurity and held classes of one half-row, border included."""
    classes, wide = grid.labels.shape[4], grid.labels.shape[5]
    labels, held = Row(grid.labels.reshape(-1), task * classes * wide, wide), grid.held.reshape(-1)
    impurity = grid.impurity.reshape(-1)[task * wide : (task + 1) * wide]
    impurity[:] = 0
    for k in range(classes):
        p = of_class(labels, k, wide)
        held[task * classes + k] = holds(p)
        if held[task * classes + k]:
            add_impurity(impurity, p)


@inlined
def _update_half_row(grid, terms, options, image, row, column, line, change, room):
    """Make one step of a half-row; adds to the change of each image's energy."""
    classes = grid.labels.shape[4]
    places = _places(grid, image, row, column, line, room)
    pixels = _pixels(grid, places, image, row, column, line)
    if not holds(pixels.free):  # nothing may move here
        return
    held, alive = classes_held(grid.held, places, classes, room)
    neighbors = _neighbors(grid, places, image, row, column, line, room)
    kinds = update(pixels, neighbors, terms, options, held, alive, change, room)
    pixels.impurity[:] = 0
    for k in kinds:
        p = of_class(pixels.labels, k, len(pixels.free))
        grid.held.reshape(-1)[places[-1] * classes + k] = holds(p)
        add_impurity(pixels.impurity, p)


@inlined
def _add_energy(grid, terms, image, row, column, line, total, room):
    """Add the energy of one half-row: its unary, and its edges to the first of each pair of offsets."""
    places = _places(grid, image, row, column, line, room)
    pixels = _pixels(grid, places, image, row, column, line)
    neighbors = _neighbors(grid, places, image, row, column, line, room)
    labels, width = pixels.labels, len(pixels.free)
    held, alive = classes_held(grid.held, places[-1:], grid.labels.shape[4], room)
    everything, value, product = take_integers(room, len(held)), take(room, width), take(room, width)
    count_up(everything)
    kinds = everything if terms.cross_entropy in (RCE, Q) else held[:alive]
    value[:] = 0
    set_products(product, pixels.target, labels, kinds)
    add_unary(value, terms.cross_entropy, product, labels, pixels.target, kinds)
    for x in range(width):
        value[x] = terms.eta * value[x] * pixels.free[x]
    add_image_sums(total, value)
    for n in range(0, len(neighbors.starts), 2):
        value[:] = 0
        set_products(product, labels, Row(labels.values, neighbors.starts[n], labels.stride), held[:alive])
        add_potts(terms.relaxation, (value, neighbors.weights[n], product, pixels.impurity, neighbors.impurity[n]))
        add_image_sums(total, value)


@inlined
def _places(grid, image, row, column, line, room):
    """Return the numbers (D + 1,) of the half-rows of the neighbours, and last of the half-row itself."""
    lines, offsets = grid.labels.shape[3], grid.offsets
    places = take_integers(room, len(offsets) + 1)
    for n in range(len(places)):
        r = row + (offsets[n, 0] if n < len(offsets) else 0)
        c = column + (offsets[n, 1] if n < len(offsets) else 0)
        places[n] = ((image * 2 + r % 2) * 2 + c % 2) * lines + line + 1 + r // 2
    return places


@inlined
def _pixels(grid, places, image, row, column, line):
    """Return the half-row's `Pixels`, views."""
    height, classes, width = grid.free.shape[3], grid.labels.shape[4], grid.free.shape[4]
    own, wide = places[len(places) - 1], width + 2
    number = ((image * 2 + row) * 2 + column) * height + line  # without borders
    return Pixels(
        Row(grid.labels.reshape(-1), own * classes * wide + 1, wide),
        Row(grid.target.reshape(-1), number * classes * width, width),
        grid.impurity.reshape(-1)[own * wide + 1 : own * wide + 1 + width],
        grid.free.reshape(-1)[number * width : (number + 1) * width],
    )


@inlined
def _neighbors(grid, places, image, row, column, line, room):
    """Return the half-row's `Neighbors`; weights and impurities are copies."""
    height, classes, width = grid.free.shape[3], grid.labels.shape[4], grid.free.shape[4]
    count, wide = len(grid.offsets), width + 2
    affinity, mixed = grid.weights.reshape(-1), grid.impurity.reshape(-1)
    first = (((image * 2 + row) * 2 + column) * count * height + line) * width
    starts = take_integers(room, count)
    weights, impurity = take_rows(room, count, width), take_rows(room, count, width)
    for n in range(count):
        shift = 1 + (column + grid.offsets[n, 1]) // 2
        i, j = first + n * height * width, places[n] * wide + shift
        starts[n] = places[n] * classes * wide + shift
        copy(weights[n], affinity[i : i + width])  # of slices: numbers at computed places would be gathered one by one
        copy(impurity[n], mixed[j : j + width])
    return Neighbors(starts, weights, impurity)


@inlined
def classes_held(held, places, classes, room):
    """Return an array with room for all classes and, first in it, those that any of some half-rows holds; their number."""
    any_of = held.reshape(-1)
    kinds, number = take_integers(room, classes), 0
    for k in range(classes):
        present = False
        for place in places:
            present = present or any_of[place * classes + k]
        if present:
            kinds[number] = k
            number += 1
    return kinds, number
