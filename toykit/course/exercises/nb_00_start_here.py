"""Checks of the exercises in notebook 00_start_here."""

import torch

from toykit.course.answer_kinds import number, share
from toykit.course.exercises.registry import close, exercise
from toykit.datasets import photo
from toykit.neighborhoods import NearestNeighbors
from toykit.plots import certainty


@exercise(
    "00.1",
    share,
    hints=(
        "Which value in rocket.seeds says that nobody has labelled the pixel?",
        "Count pixels of rocket.seeds that are not 255, over all pixels.",
    ),
    why="Strokes cover so few pixels; pseudo-labels are for the rest.",
)
def _seeded_share(answer):
    return close(answer, photo("rocket").seeded_share())


@exercise(
    "00.2",
    number,
    hints=(
        "The third class plays no part.",
        "How far is the most likely class ahead of the second?",
    ),
    why="The lead of the most likely class over the second is the opacity of the picture's tint.",
)
def _certainty(answer):
    y = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    true = torch.from_numpy(certainty(y[:, None, None]))[0, 0]
    return close(answer, true, 1e-3)


@exercise(
    "00.3",
    share,
    hints=(
        "R, G and B each differ by one bandwidth.",
        "exp(-d / (2 s^2)): d sums the squared difference over R, G and B.",
    ),
    why="One bandwidth in each channel leaves 22% of the affinity, exp(-3/2).",
)
def _affinity(answer):
    image = torch.tensor([[100.0, 109.0], [100.0, 109.0]], dtype=torch.float64).expand(1, 3, 2, 2)
    true = NearestNeighbors(9.0).edges(image).weights[0].flatten()[0]
    return close(answer, true)
