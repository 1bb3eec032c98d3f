"""The random walker's factorisation against exact rational arithmetic, with affinities of any range."""

from fractions import Fraction

import numpy as np
import pytest

from toykit.solvers.random_walker.pixel_graph import PixelGraph, solve_walker


def grid_edges(height, width):
    pixels = np.arange(height * width).reshape(height, width)
    i = np.concatenate([pixels[:, :-1].ravel(), pixels[:-1].ravel()])
    return i, np.concatenate([pixels[:, 1:].ravel(), pixels[1:].ravel()])


def exact_labels(network, known):
    """Gaussian elimination over the rationals: no rounding at all."""
    free = np.flatnonzero(network.free)
    number = {pixel: row for row, pixel in enumerate(free)}
    eta, lam, classes = Fraction(network.eta), Fraction(network.lam), known.shape[1]
    rows = [[Fraction(0)] * (len(free) + classes) for _ in free]
    for pixel, row in number.items():
        rows[row][row] += 2 * eta
        for k in range(classes):
            rows[row][len(free) + k] += 2 * eta * Fraction(known[pixel, k])
    for i, j, w in zip(network.i.tolist(), network.j.tolist(), network.w.tolist(), strict=True):
        for pixel, neighbour in ((i, j), (j, i)):
            if pixel not in number:
                continue
            row = rows[number[pixel]]
            row[number[pixel]] += lam * Fraction(w)
            if neighbour in number:
                row[number[neighbour]] -= lam * Fraction(w)
            elif network.grounded[neighbour]:
                for k in range(classes):
                    row[len(free) + k] += lam * Fraction(w) * Fraction(known[neighbour, k])
    for pivot in range(len(free)):
        for row in range(len(free)):
            if row != pivot and rows[row][pivot]:
                factor = rows[row][pivot] / rows[pivot][pivot]
                rows[row] = [a - factor * b for a, b in zip(rows[row], rows[pivot], strict=True)]
    return np.array([[float(rows[r][len(free) + k] / rows[r][r]) for k in range(classes)] for r in range(len(free))])


@pytest.mark.parametrize("eta", [0.0, 1e-30, 0.3])
@pytest.mark.parametrize("decades", [1, 20, 100, 300])
def test_exact_for_affinities_of_any_range(eta, decades):
    rng = np.random.default_rng(decades)
    for _ in range(6):
        height, width = rng.integers(2, 5, 2)
        i, j = grid_edges(height, width)
        grounded = np.zeros(height * width, dtype=bool)
        grounded[rng.choice(len(grounded), 2, replace=False)] = True
        known = rng.dirichlet(np.ones(3), len(grounded))
        known[grounded] = np.eye(3)[rng.integers(0, 3, 2)]
        network = PixelGraph(i, j, 10.0 ** (-decades * rng.random(len(i)) ** 2), ~grounded, grounded, eta, 1.0)
        labels, residual = solve_walker(network, known)
        assert np.abs(labels[~grounded] - exact_labels(network, known)).max() < 1e-12
        assert residual < 1e-12


def test_nested_islands():
    """A pair of pixels inside an island inside an island, each tied to the outside by ever smaller affinities."""
    i, j = np.array([0, 1, 2, 3, 4, 0, 5]), np.array([1, 2, 3, 4, 5, 2, 6])
    w = np.array([1.0, 1e-40, 1.0, 1e-90, 1e-90, 3e-41, 0.5])
    grounded = np.array([False, False, False, False, False, True, True])
    known = np.eye(2)[[0, 0, 0, 0, 0, 1, 0]]
    i, j, w = np.append(i, 3), np.append(j, 6), np.append(w, 2e-90)
    network = PixelGraph(i, j, w, ~grounded, grounded, 0.0, 1.0)
    labels, _ = solve_walker(network, known)
    assert np.abs(labels[~grounded] - exact_labels(network, known)).max() < 1e-12
    assert 0.1 < labels[0, 1] < 0.9  # decided by the smallest affinities alone


def test_an_island_with_no_way_out_is_refused():
    network = PixelGraph(
        np.array([0, 2]), np.array([1, 3]), np.ones(2), np.array([False, True, True, True]),
        np.array([True, False, False, False]), 0.0, 1.0,
    )  # fmt: skip
    with pytest.raises(ValueError, match=r"no seed reaches 2 unlabelled pixels \(the first is pixel 2"):
        solve_walker(network, np.eye(2)[[0, 0, 0, 0]])
