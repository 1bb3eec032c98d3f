"""Checks of the exercises in notebook 00_start_here."""

import torch

from toykit.course.answer_kinds import number
from toykit.course.exercises.registry import close, exercise
from toykit.datasets import photo
from toykit.neighborhoods import NearestNeighbors
from toykit.plots import certainty


@exercise("00.1", number)
def _seeded_share(answer):
    true = photo("rocket").seeded_share()
    return None if abs(answer - true) < 1e-3 else "Count pixels of rocket.seeds that are not 255, over all pixels."


@exercise("00.2", number)
def _certainty(answer):
    y = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    true = torch.from_numpy(certainty(y[:, None, None]))[0, 0]
    return close(answer, true, "How far is the most likely class ahead of the second?", 1e-3)


@exercise("00.3", number)
def _affinity(answer):
    image = torch.tensor([[100.0, 109.0], [100.0, 109.0]], dtype=torch.float64).expand(1, 3, 2, 2)
    true = NearestNeighbors(9.0).edges(image).weights[0].flatten()[0]
    return close(answer, true, "exp(-d / (2 s^2)): d sums the squared difference over R, G and B.", 1e-3)
