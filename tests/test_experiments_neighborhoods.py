"""What notebook 06 computes of neighbourhoods, against loops over all pairs of pixels."""

import math

import numpy as np
import pytest
import torch

from toykit import Dense, NearestNeighbors, SparseNonLocal
from toykit.experiments.neighborhoods import affinity_map


def color_affinity(image, i, j, bandwidth):
    """exp(-||I_i - I_j||^2 / (2 s^2)) of two pixels (row, column) of an image (1, 3, H, W)."""
    squares = [
        (a - b) ** 2 for a, b in zip(image[0, :, i[0], i[1]].tolist(), image[0, :, j[0], j[1]].tolist(), strict=True)
    ]
    return math.exp(-sum(squares) / (2 * bandwidth**2))


@pytest.mark.parametrize("pixel", [(0, 0), (2, 3), (4, 6)])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_on_the_grid_a_pixel_talks_to_those_that_touch_it(pixel, connectivity, make_problem):
    _, image, _ = make_problem(batch=1, height=5, width=7)
    found = affinity_map(image, pixel, NearestNeighbors(20.0, connectivity, diagonal=0.7))
    for row in range(5):
        for column in range(7):
            steps = sorted((abs(row - pixel[0]), abs(column - pixel[1])))
            near = {(0, 1): 1.0, (1, 1): 0.7 if connectivity == 8 else 0.0}.get(tuple(steps), 0.0)
            expected = near * color_affinity(image, pixel, (row, column), 20.0)
            assert float(found[row, column]) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("downscale", [1, 2])
@pytest.mark.parametrize("exact", [True, False])
def test_dense_weights_are_the_exact_ones(downscale, exact, make_problem):
    _, image, _ = make_problem(batch=1, height=6, width=8)
    found = affinity_map(image, (3, 4), Dense(20.0, 3.0, downscale, exact))
    means = torch.nn.functional.avg_pool2d(image, downscale)
    for row in range(6):
        for column in range(8):
            ends = [(r // downscale, c // downscale) for r, c in ((3, 4), (row, column))]
            apart = downscale**2 * sum((a - b) ** 2 for a, b in zip(*ends, strict=True))
            expected = math.exp(-apart / (2 * 3.0**2)) * color_affinity(means, *ends, 20.0)
            expected *= (row, column) != (3, 4)
            assert float(found[row, column]) == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_sparse_weights_are_those_of_the_list(make_problem):
    _, image, _ = make_problem(batch=1, height=9, width=8)
    neighborhood = SparseNonLocal(20.0, far=3)
    edges = neighborhood.edges(image)
    for pixel in ((0, 0), (4, 5)):
        found = affinity_map(image, pixel, neighborhood)
        expected = torch.zeros(72, dtype=torch.float64)
        for i, j, w in zip(edges.i[0].tolist(), edges.j[0].tolist(), edges.weights[0].tolist(), strict=True):
            here = pixel[0] * 8 + pixel[1]
            if here in (i, j):
                expected[j if i == here else i] += w
        assert torch.allclose(found.flatten(), expected, rtol=1e-12, atol=1e-15)
        assert (found > 0).sum() > (affinity_map(image, pixel, NearestNeighbors(20.0)) > 0).sum()


@pytest.mark.parametrize("neighborhood", [NearestNeighbors(), SparseNonLocal(), Dense(), Dense.rloss()])
def test_any_image_has_a_map(neighborhood):
    for size in ((1, 1), (1, 5), (4, 1), (3, 4)):
        picture = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        found = affinity_map(picture, np.int64([0, size[1] - 1]), neighborhood)
        assert found.shape == size
        assert found.dtype == torch.float32
        assert found[0, size[1] - 1] == 0
        assert (found >= 0).all()
        assert (found <= 1).all()
        assert affinity_map(picture.double(), (0, 0), neighborhood).dtype == torch.float64


def test_a_pixel_is_two_whole_numbers_inside():
    image = torch.zeros(1, 3, 4, 5)
    for pixel in ((4, 0), (0, 5), (-1, 0)):
        with pytest.raises(ValueError, match=r"pixel: expected a row in 0\.\.3 and a column in 0\.\.4"):
            affinity_map(image, pixel, NearestNeighbors())
    for pixel in (3, (1, 2, 3), (0.5, 1), "ab"):
        with pytest.raises(TypeError, match=r"pixel: expected \(row, column\)"):
            affinity_map(image, pixel, NearestNeighbors())
    with pytest.raises(ValueError, match="expected a batch of one"):
        affinity_map(torch.zeros(2, 3, 4, 5), (0, 0), NearestNeighbors())
    with pytest.raises(TypeError, match=r"image: expected a torch\.Tensor"):
        affinity_map(np.zeros((1, 3, 4, 5)), (0, 0), NearestNeighbors())
