"""Checks of the exercises in notebook 06_neighborhoods."""

import torch

from toykit import potts
from toykit.course.answer_kinds import function, number, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs
from toykit.experiments.neighborhoods import most_certain
from toykit.neighborhoods import Dense, NearestNeighbors


@exercise(
    "06.1",
    function("h, w", returns=numbers(2)),
    hints=(
        "Count edges to the right and edges downwards; then pairs of any two pixels.",
        "Along a row of w pixels lie w - 1 pairs; dense: each of N pixels with N - 1, halved.",
    ),
    why="At 500 x 375 pixels dense has 47,000 times as many pairs: it needs a filter, not a list.",
)
def _pairs(answer):
    value = answer(5, 7)
    image = torch.zeros(1, 3, 5, 7)
    grid = NearestNeighbors().edges(image).degree().sum() / 2
    dense = Dense(exact=True, spatial_bandwidth=1e6).edges(image).degree().sum() / 2
    true = torch.stack([grid, dense]).double()
    return close(value, true, 1e-3)


@exercise(
    "06.2",
    function("volumes", returns=number),
    hints=(
        "A pair counts if its pixels are in different segments.",
        "All pairs of N pixels, less those within a segment.",
    ),
    why="It is smallest when one segment has all pixels: without colours, dense neighbours prefer a single class.",
)
def _volume_potential(answer):
    volumes = torch.tensor([3.0, 5.0, 4.0], dtype=torch.float64)
    labels = torch.arange(3).repeat_interleave(volumes.long()).view(1, 3, 4)
    edges = Dense(exact=True, spatial_bandwidth=1e6).edges(torch.zeros(1, 3, 3, 4, dtype=torch.float64))
    true = edges.weight_by_agreement(labels)[1][0]
    return close(answer(volumes), true, 1e-6)


@exercise(
    "06.3",
    function("margins, n", returns=numbers(6, 5)),
    hints=(
        "n (N - n) does not depend on which pixels are taken.",
        "Take the n pixels of the largest margins, as a mask like margins.",
    ),
    why="With a volume potential only the unary decides which pixels flip: there are no boundaries in it.",
)
def _threshold(answer):
    margins = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    true = most_certain(torch.stack([-margins / 2, margins / 2])[None], 9)
    return close(answer(margins, 9), true.double(), 1e-9)


@exercise(
    "06.4",
    function("y", returns=number),
    hints=(
        "Expand the square ||y_i - y_j||^2.",
        "N times the sum of all y^2, less ||sum of the y_i||^2, halved.",
    ),
    why="Pairs have become sums over pixels; with weights the sum becomes a filter, all that Dense computes.",
)
def _all_pairs(answer):
    y, _ = random_pairs(4, 12)
    edges = Dense(exact=True, spatial_bandwidth=1e6).edges(torch.zeros(1, 3, 3, 4, dtype=torch.float64))
    true = edges.potts(y.T.view(1, 4, 3, 4), potts.quadratic)[0]
    return close(answer(y), true, 1e-6)
