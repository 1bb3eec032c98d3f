"""Each neighbourhood in the registry keeps the protocol, and its options are checked by name."""

import dataclasses
import re

import pytest
import torch

from toykit import Energy
from toykit.neighborhoods import NEIGHBORHOODS, Dense, GridEdges, NearestNeighbors, Neighborhood, build_neighborhood

every_kind = pytest.mark.parametrize("kind", NEIGHBORHOODS)


@every_kind
def test_every_kind_keeps_the_protocol(kind, generator):
    neighborhood = build_neighborhood(kind, {})
    assert isinstance(neighborhood, Neighborhood)
    edges = neighborhood.edges(torch.rand(2, 3, 5, 6, generator=generator) * 255)
    assert edges.on_grid == isinstance(edges, GridEdges)
    if edges.listed:
        i, j, weights = edges.index_pairs(5, 6)
        assert i.shape[-1] == j.shape[-1] == weights.shape[1]
    else:
        with pytest.raises(ValueError, match="no list of edges; take NearestNeighbors"):
            edges.index_pairs(5, 6)
    assert edges[:1].degree().shape == (1, 5, 6)


@every_kind
def test_scaling_changes_lengths_in_pixels_only(kind):
    neighborhood = build_neighborhood(kind, {})
    changed = {
        field.name
        for field in dataclasses.fields(neighborhood)
        if getattr(neighborhood, field.name) != getattr(neighborhood.scaled(0.5), field.name)
    }
    assert changed == ({"spatial_bandwidth"} if kind == "dense" else set())
    assert neighborhood.scaled(0.5).scaled(2.0) == neighborhood


def test_options_are_fields():
    assert build_neighborhood("nearest", {"bandwidth": "auto", "connectivity": 8}) == NearestNeighbors("auto", 8)
    assert build_neighborhood("dense", {"spatial_bandwidth": 50}) == Dense(spatial_bandwidth=50)


@pytest.mark.parametrize(
    ("kind", "options", "error", "message"),
    [
        ("far", {}, ValueError, "neighborhood: expected one of nearest, sparse_nonlocal, dense; got 'far'"),
        (
            "nearest", {"far": 8, "seed": 1}, TypeError,
            "neighborhood 'nearest' has no option far, seed; it has bandwidth, connectivity, factor, diagonal",
        ),
        ("dense", {"connectivity": 8}, TypeError, "neighborhood 'dense' has no option connectivity; it has bandwidth, spa"),
        ("dense", {"downscale": 0}, ValueError, "downscale: expected a whole number, at least 1; got 0"),
    ],
)  # fmt: skip
def test_options_are_checked(kind, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        build_neighborhood(kind, options)


@dataclasses.dataclass(frozen=True)
class Horizontal(Neighborhood):
    """Neighbours along rows only: a neighbourhood from outside the package."""

    def edges(self, image, padding=None):
        edges = NearestNeighbors().edges(image, padding)
        return GridEdges(edges.offsets, (edges.weights[0], 0 * edges.weights[1]))


def test_a_neighbourhood_of_ones_own(make_problem):
    logits, image, seeds = make_problem(height=5, width=6)
    value = Energy(neighborhood=Horizontal())(logits.softmax(1), logits, image, seeds)
    assert (value < Energy()(logits.softmax(1), logits, image, seeds)).all()
