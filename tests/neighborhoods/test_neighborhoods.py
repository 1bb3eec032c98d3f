"""Edges and affinities against a double loop over pixel pairs."""

import dataclasses
import math

import pytest
import torch
from helpers.oracles import edges_by_hand

from toykit import PADDING, UNLABELLED, Energy, NearestNeighbors
from toykit.conventions import check_inputs

SHAPES = [(1, 1), (1, 6), (5, 1), (2, 2), (4, 3), (3, 5)]


def random_image(height, width, batch=2, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(batch, 3, height, width, generator=g, dtype=torch.float64) * 20 + 50


def as_dictionary(edges, height, width, b=0):
    i, j, weights = edges.index_pairs(height, width)
    keys = [tuple(sorted(pair)) for pair in zip(i.tolist(), j.tolist(), strict=True)]
    assert len(set(keys)) == len(keys), "each undirected edge once"
    return dict(zip(keys, weights[b].tolist(), strict=True))


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_edges_and_weights(height, width, connectivity):
    image = random_image(height, width)
    edges = NearestNeighbors(connectivity=connectivity).edges(image)
    for b in range(2):
        assert as_dictionary(edges, height, width, b) == pytest.approx(edges_by_hand(image[b], connectivity), rel=1e-12)


@pytest.mark.parametrize("changed", [{"bandwidth": 3.0}, {"bandwidth": 4}, {"factor": 1.0}, {"connectivity": 8}])
def test_each_argument_matters(changed):
    image = random_image(3, 4)
    edges = as_dictionary(NearestNeighbors(**changed).edges(image), 3, 4)
    expected = edges_by_hand(image[0], **{"connectivity": 4, **changed})
    assert edges == pytest.approx(expected, rel=1e-12)
    assert edges != pytest.approx(as_dictionary(NearestNeighbors().edges(image), 3, 4), rel=1e-3)


def test_diagonal_edges_are_scaled():
    image = random_image(3, 4)
    usual = as_dictionary(NearestNeighbors(connectivity=8).edges(image), 3, 4)
    scaled = as_dictionary(NearestNeighbors(connectivity=8, diagonal=0.5).edges(image), 3, 4)
    for (i, j), weight in usual.items():
        diagonal = i // 4 != j // 4 and i % 4 != j % 4
        assert scaled[i, j] == pytest.approx(weight * (0.5 if diagonal else 1), rel=1e-12)
    with pytest.raises(ValueError, match="diagonal"):
        NearestNeighbors(diagonal=0)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_automatic_bandwidth_is_per_image(connectivity):
    image = random_image(4, 5, batch=3)
    image[1] = 50 + (image[1] - 50) * 5
    image[2] = 70  # constant: all weights 1
    padding = torch.zeros(3, 4, 5, dtype=torch.bool)
    padding[0, :, 3:] = True
    image[0, :, :, 4] = 255  # in the padding: must not count
    edges = NearestNeighbors("auto", connectivity).edges(image, padding)
    for b in range(2):
        wide = edges_by_hand(image[b], connectivity, bandwidth=100, factor=1, padding=padding[b])
        distances = {k: -math.log(w) * 100**2 for k, w in wide.items()}
        mean = sum(distances.values()) / len(distances)
        expected = {k: math.exp(-d / (2 * mean)) for k, d in distances.items()}
        weights = {k: w for k, w in as_dictionary(edges, 4, 5, b).items() if w > 0}
        assert weights == pytest.approx(expected, rel=1e-12)
    assert set(as_dictionary(edges, 4, 5, 2).values()) == {1.0}
    alone = NearestNeighbors("auto", connectivity).edges(image[1:2], padding[1:2])
    assert as_dictionary(alone, 4, 5) == pytest.approx(as_dictionary(edges, 4, 5, 1), rel=1e-14)
    # a brighter scale of the same image changes nothing; factor does
    scaled = NearestNeighbors("auto", connectivity).edges(image[1:2] / 2)
    assert as_dictionary(scaled, 4, 5) == pytest.approx(as_dictionary(edges, 4, 5, 1), rel=1e-12)
    other = NearestNeighbors("auto", connectivity, factor=1.0).edges(image[1:2])
    assert as_dictionary(other, 4, 5) != pytest.approx(as_dictionary(edges, 4, 5, 1), rel=1e-3)


@pytest.mark.parametrize("connectivity", [4, 8])
def test_padding_has_no_edges_but_unlabelled_pixels_have_theirs(connectivity, make_problem):
    logits, image, seeds = make_problem(batch=1, height=4, width=5)
    seeds[0, 1:3, 2], seeds[0, 0, 4] = PADDING, PADDING
    neighborhood = NearestNeighbors(connectivity=connectivity)
    edges = Energy(neighborhood=neighborhood).subproblem(logits, image, seeds).edges
    weights = {k: w for k, w in as_dictionary(edges, 4, 5).items() if w > 0}
    assert weights == pytest.approx(edges_by_hand(image[0], connectivity, padding=seeds[0] == PADDING), rel=1e-12)
    unlabelled = torch.full_like(seeds, UNLABELLED)
    everywhere = Energy(neighborhood=neighborhood).subproblem(logits, image, unlabelled).edges
    assert as_dictionary(everywhere, 4, 5) == pytest.approx(edges_by_hand(image[0], connectivity), rel=1e-12)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_pairs_agree_with_index_pairs(height, width, connectivity, generator):
    edges = NearestNeighbors(connectivity=connectivity).edges(random_image(height, width))
    y = torch.rand(2, 3, height, width, generator=generator, dtype=torch.float64)
    i, j, weights = edges.index_pairs(height, width)
    flat = y.flatten(2)
    p = torch.cat([p.flatten(2) for p, _, _ in edges.pairs(y)], 2)
    q = torch.cat([q.flatten(2) for _, q, _ in edges.pairs(y)], 2)
    w = torch.cat([w.flatten(1) for _, _, w in edges.pairs(y)], 1)
    assert torch.equal(p, flat[:, :, i])
    assert torch.equal(q, flat[:, :, j])
    assert torch.equal(w, weights)
    total = edges.potts(y, lambda p, q: (p - q).abs().sum(1))
    assert torch.allclose(total, (weights * (flat[:, :, i] - flat[:, :, j]).abs().sum(1)).sum(1), rtol=1e-13)


def test_weights_follow_the_images_dtype():
    image = random_image(3, 3)
    single = NearestNeighbors().edges(image.float()).weights
    assert all(w.dtype == torch.float32 for w in single)
    for a, b in zip(single, NearestNeighbors().edges(image).weights, strict=True):
        assert torch.allclose(a.double(), b, rtol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"bandwidth": 0}, r"bandwidth: expected a number in \[1e-6, 1e6\], got 0"),
        ({"bandwidth": -1.0}, "bandwidth: .* got -1.0"),
        ({"bandwidth": math.nan}, "bandwidth: .* got nan"),
        ({"bandwidth": math.inf}, "bandwidth: .* got inf"),
        ({"bandwidth": "automatic"}, r'bandwidth: expected a number in .*\] or "auto", got .automatic.'),
        ({"bandwidth": True}, "bandwidth: .* got True"),
        ({"factor": 0.0}, r"factor: expected a number in \[1e-6, 1e6\], got 0.0"),
        ({"factor": "auto"}, r"factor: expected a number in \[1e-6, 1e6\], got 'auto'"),
        ({"connectivity": 6}, "connectivity: expected one of 4, 8; got 6"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        NearestNeighbors(**arguments)


@pytest.mark.parametrize("bandwidth", [1e-30, 1e30, 1e200])
def test_absurd_bandwidths_give_weights_or_a_clear_error(bandwidth):
    """A flat edge has weight 1, a steep one 0, however small the bandwidth; or the bandwidth is refused by name."""
    image = torch.tensor([10.0, 10.0, 90.0]).expand(1, 3, 1, 3)
    try:
        edges = NearestNeighbors(bandwidth).edges(check_inputs(image, image, torch.zeros(1, 1, 3).long())[1])
    except ValueError as error:
        assert "bandwidth" in str(error)  # noqa: PT017
    else:
        assert edges.weights[0].flatten().tolist() == [1, 0 if bandwidth < 1 else 1]


@pytest.mark.parametrize("few", [0, 1])  # the edges of a small mask are gathered
@pytest.mark.parametrize("connectivity", [4, 8])
def test_agreement_within_a_mask_is_that_of_the_edges_within_it(
    connectivity, few, make_problem, generator, monkeypatch
):
    monkeypatch.setattr("toykit.neighborhoods.nearest.FEW", few)
    _, image, seeds = make_problem(height=7, width=6)
    edges, mask = NearestNeighbors(30.0, connectivity).edges(image), torch.rand(seeds.shape, generator=generator) < 0.6
    labels = torch.randint(0, 3, seeds.shape, generator=generator)
    for sums, expected in zip(
        edges.weight_by_agreement(labels, mask), edges.within(mask).weight_by_agreement(labels), strict=True
    ):
        assert torch.allclose(sums, expected, rtol=1e-12)
        assert bool((sums > 0).all())


def test_the_sums_of_many_edges_keep_their_digits(monkeypatch):
    """In float32, one weight after the other, the sum of two million would be 0.4% off."""
    monkeypatch.setattr("toykit.neighborhoods.nearest.FEW", 1)
    edges = NearestNeighbors(1.0).edges(torch.zeros(1, 3, 1000, 1000))
    weights = [torch.full_like(w, 0.6) for w in edges.weights]
    one, mask = torch.zeros(1, 1000, 1000, dtype=torch.int64), torch.ones(1, 1000, 1000, dtype=torch.bool)
    equal, different = dataclasses.replace(edges, weights=tuple(weights)).weight_by_agreement(one, mask)
    assert equal.item() == pytest.approx(0.6 * 2 * 999 * 1000, rel=1e-6)
    assert different.item() == 0


@pytest.mark.parametrize("bandwidth", [15.0, "auto"])
def test_affinities_have_gradients_with_respect_to_the_photo(bandwidth):
    image, padding = random_image(4, 3, batch=1), torch.zeros(1, 4, 3, dtype=torch.bool)
    padding[:, -1] = True
    system = NearestNeighbors(bandwidth, connectivity=8, diagonal=0.7)
    assert torch.autograd.gradcheck(lambda x: system.edges(x, padding).weights, image.requires_grad_(), fast_mode=True)


def test_affinities_of_many_rows_are_those_of_few(monkeypatch, make_problem):
    """Rows are computed in parts."""
    _, image, seeds = make_problem(height=9, width=8, padding=True)
    whole = NearestNeighbors("auto", 8).edges(image, seeds == PADDING)
    monkeypatch.setattr("toykit.neighborhoods.nearest.CHUNK", 20)
    parts = NearestNeighbors("auto", 8).edges(image, seeds == PADDING)
    assert all(map(torch.equal, whole.weights, parts.weights))
