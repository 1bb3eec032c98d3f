"""The comparison of neighbourhoods in notebook 06, against loops over all pairs of pixels."""

import itertools
import math

import numpy as np
import pytest
import torch

from toykit import Dense, Energy, NearestNeighbors, SparseNonLocal, solve
from toykit.experiments.neighborhoods import (
    SHAPES,
    affinity_map,
    at_side,
    boundary,
    cut_shares,
    filter_errors,
    match_lam,
    most_certain,
    noisy_logits,
    segment,
)


def color_affinity(image, i, j, bandwidth):
    """Compute exp(-||I_i - I_j||^2 / (2 s^2)) of two pixels (row, column) of an image (1, 3, H, W)."""
    squares = [
        (a - b) ** 2 for a, b in zip(image[0, :, i[0], i[1]].tolist(), image[0, :, j[0], j[1]].tolist(), strict=True)
    ]
    return math.exp(-sum(squares) / (2 * bandwidth**2))


@pytest.mark.parametrize("pixel", [(0, 0), (2, 3), (4, 6)])
@pytest.mark.parametrize("connectivity", [4, 8])
def test_neighbours_on_the_grid_touch_the_pixel(pixel, connectivity, make_problem):
    _, image, _ = make_problem(batch=1, height=5, width=7)
    affinities = affinity_map(image, pixel, NearestNeighbors(20.0, connectivity, diagonal=0.7))
    for row in range(5):
        for column in range(7):
            steps = sorted((abs(row - pixel[0]), abs(column - pixel[1])))
            near = {(0, 1): 1.0, (1, 1): 0.7 if connectivity == 8 else 0.0}.get(tuple(steps), 0.0)
            expected = near * color_affinity(image, pixel, (row, column), 20.0)
            assert float(affinities[row, column]) == pytest.approx(expected, rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("downscale", [1, 2])
@pytest.mark.parametrize("exact", [True, False])
def test_dense_weights_are_the_exact_ones(downscale, exact, make_problem):
    _, image, _ = make_problem(batch=1, height=6, width=8)
    affinities = affinity_map(image, (3, 4), Dense(20.0, 3.0, downscale, exact))
    means = torch.nn.functional.avg_pool2d(image, downscale)
    for row in range(6):
        for column in range(8):
            ends = [(r // downscale, c // downscale) for r, c in ((3, 4), (row, column))]
            apart = downscale**2 * sum((a - b) ** 2 for a, b in zip(*ends, strict=True))
            expected = math.exp(-apart / (2 * 3.0**2)) * color_affinity(means, *ends, 20.0)
            expected *= (row, column) != (3, 4)
            assert float(affinities[row, column]) == pytest.approx(expected, rel=1e-10, abs=1e-14)


def test_sparse_weights_are_those_of_the_list(make_problem):
    _, image, _ = make_problem(batch=1, height=9, width=8)
    neighborhood = SparseNonLocal(20.0, far=3)
    edges = neighborhood.edges(image)
    for pixel in ((0, 0), (4, 5)):
        affinities = affinity_map(image, pixel, neighborhood)
        expected = torch.zeros(72, dtype=torch.float64)
        for i, j, w in zip(edges.i[0].tolist(), edges.j[0].tolist(), edges.weights[0].tolist(), strict=True):
            here = pixel[0] * 8 + pixel[1]
            if here in (i, j):
                expected[j if i == here else i] += w
        assert torch.allclose(affinities.flatten(), expected, rtol=1e-12, atol=1e-15)
        assert (affinities > 0).sum() > (affinity_map(image, pixel, NearestNeighbors(20.0)) > 0).sum()


@pytest.mark.parametrize("neighborhood", [NearestNeighbors(), SparseNonLocal(), Dense(), Dense.rloss()])
def test_any_image_has_a_map(neighborhood):
    for size in ((1, 1), (1, 5), (4, 1), (3, 4)):
        picture = torch.randint(0, 256, (1, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        affinities = affinity_map(picture, np.int64([0, size[1] - 1]), neighborhood)
        assert affinities.shape == size
        assert affinities.dtype == torch.float32
        assert affinities[0, size[1] - 1] == 0
        assert (affinities >= 0).all()
        assert (affinities <= 1).all()
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


def test_equal_pull(make_problem):
    _, image, _ = make_problem(batch=1)
    choices = {"a": NearestNeighbors(20.0), "b": SparseNonLocal(20.0), "c": Dense(20.0, 3.0, exact=True)}
    lams = match_lam(image, choices, 6.0)
    assert lams["a"] == 6
    pulls = []
    for name, neighborhood in choices.items():
        pixels = [(r, c) for r in range(image.shape[2]) for c in range(image.shape[3])]
        total = sum(float(affinity_map(image, pixel, neighborhood).sum()) for pixel in pixels)
        pulls.append(lams[name] * total)
    assert pulls == pytest.approx([pulls[0]] * 3, rel=1e-5)
    steep = torch.zeros(1, 3, 1, 2)
    steep[..., 1] = 255
    with pytest.raises(ValueError, match="a: no pixel has a neighbour of weight above 0"):
        match_lam(steep, choices, 6.0)
    with pytest.raises(ValueError, match="expected at least one"):
        match_lam(steep, {}, 6.0)


def test_experiments_on_one_photo_refuse_several():
    two = torch.zeros(2, 3, 4, 4) + torch.tensor([9.0, 200.0]).view(2, 1, 1, 1)
    for experiment in (
        lambda: cut_shares(two, NearestNeighbors(), "disk", [0.5]),
        lambda: boundary(two, torch.ones(2, 2, 4, 4)),
    ):
        with pytest.raises(ValueError, match=r"expected a batch of one.*got shape \(2, 3, 4, 4\)"):
            experiment()


@pytest.mark.parametrize("shape", SHAPES)
def test_segments_grow_pixel_by_pixel(shape):
    before = torch.zeros(9, 16, dtype=torch.bool)
    for volume in range(145):
        inside = segment(shape, volume, (9, 16))
        assert inside.sum() == volume
        assert (inside | ~before).all()
        before = inside
    for volume in (-1, 145):
        with pytest.raises(ValueError, match=r"volume: expected 0\.\.144 pixels"):
            segment(shape, volume, (9, 16))
    with pytest.raises(ValueError, match="shape: expected one of disk, stripes, scattered"):
        segment("square", 3, (9, 16))


def test_shapes_are_what_they_are_called():
    disk = segment("disk", 60, (21, 21)).nonzero().double()
    assert (disk - 10).norm(dim=1).max() <= (60 / math.pi) ** 0.5 + 1  # about the radius of a disk
    stripes = segment("stripes", 2 * 16 * 16 // 8, (16, 16))
    assert stripes.any(0).sum() == 4  # two periods, two columns wide
    assert not torch.equal(segment("scattered", 60, (21, 21)), segment("disk", 60, (21, 21)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("neighborhood", [NearestNeighbors(20.0), SparseNonLocal(20.0), Dense(20.0, 3.0, exact=True)])
def test_cut_shares_by_a_loop(shape, neighborhood, make_problem):
    _, image, _ = make_problem(batch=1, height=5, width=6)
    shares = cut_shares(image, neighborhood, shape, [0, 0.2, 0.5, 1])
    weights = torch.stack([affinity_map(image, divmod(i, 6), neighborhood).flatten() for i in range(30)])
    for value, volume in zip(shares, (0, 6, 15, 30), strict=True):
        inside = segment(shape, volume, (5, 6)).flatten().tolist()
        pairs = [(i, j) for i in range(30) for j in range(i)]
        cut = sum(float(weights[i, j]) for i, j in pairs if inside[i] != inside[j])
        assert float(value) == pytest.approx(cut / sum(float(weights[i, j]) for i, j in pairs), rel=1e-10, abs=1e-12)


def test_equal_weights_depend_on_the_volume_only():
    flat, volumes = torch.zeros(1, 3, 8, 8), [0.25, 0.5]
    pairs = [16 * 48 / (64 * 63 / 2), 32 * 32 / (64 * 63 / 2)]
    for shape in SHAPES:
        shares = cut_shares(flat, Dense(spatial_bandwidth=1e6, exact=True), shape, volumes)
        assert shares.tolist() == pytest.approx(pairs, rel=1e-9)
    assert cut_shares(flat, NearestNeighbors(), "disk", volumes).max() < 0.3


def test_boundaries_are_counted_and_weighed():
    image = torch.zeros(1, 3, 2, 3)
    image[..., 2] = 10
    labels = torch.eye(3)[torch.tensor([[0, 0, 1], [0, 2, 2]])].movedim(-1, 0)[None]
    length, weight = boundary(image, labels, bandwidth=10.0)
    assert length == 4
    assert weight == pytest.approx((math.exp(-1.5) + 1 + 1 + 1) / 4)
    assert boundary(image, labels, bandwidth=5.0)[1] < weight
    assert math.isnan(boundary(image, torch.ones(1, 2, 2, 3))[1])


def test_noisy_predictions_are_right_on_average():
    truth = segment("disk", 500, (50, 50))
    logits = noisy_logits(truth, margin=2.0, noise=0.5)
    difference = logits[0, 1] - logits[0, 0]
    assert float(difference[truth].mean()) == pytest.approx(2, abs=0.1)
    assert float(difference[~truth].mean()) == pytest.approx(-2, abs=0.1)
    assert float(difference[truth].std()) == pytest.approx(0.5, abs=0.1)
    assert not torch.equal(logits, noisy_logits(truth, margin=2.0, noise=0.5, seed=1))


def test_a_volume_potential_only_moves_the_threshold(generator):
    """Of all 2^9 labellings, the best of each volume is the threshold; the solver finds the best of all."""
    logits = torch.randn(1, 2, 3, 3, generator=generator, dtype=torch.float64)
    difference = (logits[0, 1] - logits[0, 0]).flatten()
    for volume in range(10):
        chosen = most_certain(logits, volume)
        assert chosen.sum() == volume
        best = max(float(difference[list(c)].sum()) for c in itertools.combinations(range(9), volume))
        assert float(difference[chosen.flatten()].sum()) == pytest.approx(best)
    energy = Energy("CE", "BL", eta=1.0, lam=0.1, neighborhood=Dense(spatial_bandwidth=1e6, exact=True))
    nobody = torch.full((1, 3, 3), 255)
    solved = solve(logits, torch.zeros(1, 3, 3, 3), nobody, energy, "gradient", lr=0.5, steps=60, tolerance=0.9)
    inside = solved.labels.argmax(1)[0] == 1
    assert 0 < inside.sum() < 9
    assert torch.equal(inside, most_certain(logits, int(inside.sum())))


def test_filter_errors_are_relative_and_per_map(make_problem):
    logits, image, _ = make_problem(batch=1)
    y, neighborhood = logits.softmax(1), Dense(20.0, 3.0)
    errors = filter_errors(image, y, neighborhood)
    assert errors.shape == (3,)
    assert torch.allclose(errors, filter_errors(image, 7 * y, neighborhood))
    weights = torch.stack([affinity_map(image, divmod(i, 7), neighborhood).flatten() for i in range(42)])
    exact, fast = weights @ y[0].flatten(1).T, neighborhood.edges(image).filter(y)[0].flatten(1).T
    assert torch.allclose(errors, (fast - exact).norm(dim=0) / exact.norm(dim=0))
    assert (errors > 0).all()


def test_a_smaller_photo_has_a_smaller_spatial_bandwidth():
    assert at_side(Dense(), 100) == Dense(spatial_bandwidth=100 * 100 / 512)
    assert at_side(at_side(Dense(15.0, 80.0, 2), 128), 512, 128) == Dense(15.0, 80.0, 2)
    photo = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 20
    twice = photo.repeat_interleave(2, 2).repeat_interleave(2, 3)
    small = affinity_map(photo, (2, 3), at_side(Dense(9.0, 6.0), 8, 16))
    large = affinity_map(twice, (4, 6), Dense(9.0, 6.0))[::2, ::2]
    assert torch.allclose(small, large, rtol=0, atol=1e-12)


def test_the_trainer_scales_spatial_bandwidths_alike():
    pytest.importorskip("omegaconf")
    from toykit.training import load_config
    from toykit.training.methods import with_method

    own, toy = load_config("dense_crf").energy.neighborhood.build(), load_config("toy")
    scaled = with_method(toy, "dense_crf").energy.neighborhood.build()
    assert scaled.spatial_bandwidth == at_side(own, toy.data.crop).spatial_bandwidth
