"""The numba kernel's parts: sums over classes and the room for intermediate results, against numpy."""

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch

from toykit import Energy
from toykit._shared.compiled import inner
from toykit.solvers.block_descent import numba_kernel, torch_kernel
from toykit.solvers.block_descent.numba_kernel import grid
from toykit.solvers.block_descent.numba_kernel.class_sums import multiply_with_neighbors, set_products
from toykit.solvers.block_descent.numba_kernel.lanes import LANES
from toykit.solvers.block_descent.numba_kernel.proximal import _add_up_used
from toykit.solvers.block_descent.numba_kernel.room import give_back, make_room, take, take_integers, take_rows
from toykit.solvers.block_descent.numba_kernel.rows import Row
from toykit.solvers.layouts.four_colour_grid import pack

TYPES = (np.float32, np.float64)


@numba.njit
def sums(out, products, rows, start, stride, starts, kinds):
    row = Row(rows, start, stride)
    set_products(out, row, Row(rows, starts[1], stride), kinds)
    multiply_with_neighbors(products, row, row, starts, kinds)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("width", [1, LANES - 1, LANES, LANES + 1, 3 * LANES - 2])
def test_sums_over_classes(kind, width):
    classes, stride = 5, width + 2
    rows = np.random.default_rng(width).normal(size=3 * classes * stride).astype(kind)
    start, starts, kinds = classes * stride + 1, np.array([0, 2, 2 * classes * stride, 1]), np.array([3, 0, 4])
    around, products = np.full(width + 2 * LANES, np.nan, kind), np.full((4, width), np.nan, kind)
    out = around[LANES : LANES + width]
    sums(out, products, rows, start, stride, starts, kinds)
    assert np.isnan(around).sum() == 2 * LANES  # nothing is written beside it

    def of(first):
        return rows[first + stride * np.arange(classes)[:, None] + np.arange(width)][kinds]

    expected = np.stack([(of(start) * of(other)).sum(0) for other in starts])
    np.testing.assert_allclose(products, expected, atol=20 * np.finfo(kind).eps)
    np.testing.assert_allclose(out, expected[1], atol=20 * np.finfo(kind).eps)


@numba.njit
def add_up(sums, point, sigma, stride, pull, shift, kinds):
    _add_up_used(sums, Row(point, 0, stride), Row(sigma, 0, stride), pull, shift, kinds)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("width", [5, LANES, 2 * LANES + 3])
def test_sums_over_the_classes_in_use(kind, width):
    classes, generator = 6, np.random.default_rng(width)
    point, sigma = generator.normal(size=(2, classes, width)).astype(kind)
    pull, shift = generator.uniform(size=(2, width)).astype(kind)
    kinds, sums = np.array([5, 0, 2, 3]), np.full((5, width), np.nan, kind)
    add_up(sums, point.ravel(), sigma.ravel(), width, pull, shift, kinds)
    z, s = point[kinds], sigma[kinds]
    used = z + pull * s > shift
    assert used.any()
    assert not used.all()
    expected = np.stack([(used * part).sum(0) for part in (np.ones_like(z), z, s, s * z, s * s)])
    np.testing.assert_allclose(sums, expected, atol=20 * np.finfo(kind).eps)


@numba.njit
def furnish(numbers, integers):
    """Take parts of a room, and some of them again."""
    room = make_room((numbers, integers), np.float32)
    a, b, c = take(room, 3), take_rows(room, 2, 4), take_integers(room, 5)
    a[:], b[:], c[:] = 1, 2, 3
    give_back(room, 3)
    take(room, 8)[:4] = 4
    return room.numbers.copy(), room.integers.copy(), room.used.copy()


def test_a_room_is_handed_out_in_parts():
    numbers, integers, used = furnish(11, 5)
    assert numbers.tolist() == [1] * 3 + [4] * 4 + [2] * 4
    assert integers.tolist() == [3] * 5
    assert used.tolist() == [11, 5]


@pytest.mark.parametrize("size", [(10, 5), (11, 4)])
def test_a_room_that_is_too_small_is_an_error(size):
    with pytest.raises(AssertionError, match="size_of_room"):
        furnish(*size)


def test_inner_functions_cannot_allocate():
    """They count no references: an array of their own would never be freed."""

    @inner
    def allocate(n):
        return np.empty(n).sum()

    @numba.njit
    def call(n):
        return allocate(n)

    with pytest.raises(numba.core.errors.NumbaError, match="Only accept returning of array"):
        call(3)


def test_impurity_and_held_classes_stay_true(make_problem, monkeypatch):
    """They are read off the labels once, and again where torch, or a sweep of a part, has changed these, or others are met."""
    surveys, share = [], numba_kernel.share
    monkeypatch.setattr(
        numba_kernel,
        "share",
        lambda loop, *rest, **more: surveys.append(loop is grid.survey) or share(loop, *rest, **more),
    )
    problem = Energy("CCE", "CD").subproblem(*make_problem(batch=2, height=21, width=40, classes=5, padding=True))
    x = pack(problem, problem.fix_seeds(problem.sigma))
    first, other = x.unpack(), replace(x, free=x.free.clone())

    def check(y):
        """Compare with torch's energy; return it."""
        energy = numba_kernel.energy(y, "CCE", "CD", 0.3)
        assert torch.allclose(energy, torch_kernel.energy(y, "CCE", "CD", 0.3))
        return energy

    for relaxation in ("Q", "CD", "CD"):
        numba_kernel.sweep(other, "CCE", relaxation, 0.3, 1.75)
        *_, impurity, held = x.notes["survey"]
        labels = x.labels.numpy()
        np.testing.assert_allclose(impurity, (labels * (1 - labels)).sum(-2), atol=1e-14)
        np.testing.assert_array_equal(held, (labels > 0).any(-1))
        check(x)
    assert sum(surveys) == 1
    swept = check(x)
    x.restore(first, torch.tensor([True, False]))
    now = check(other)
    assert now[0] > swept[0]
    assert now[1] == swept[1]
    numba_kernel.sweep(x[:1], "CCE", "CD", 0.3, 1.75)
    assert check(x)[0] < now[0]
    check(replace(x, labels=x.labels.flip(-2)))
    with torch.inference_mode():
        check(pack(problem, first))
    x.labels[:] = 0
    assert (check(x) != now).all()
