"""Checks of the exercises in notebook 07_label_noise."""

import torch

from toykit import cross_entropy
from toykit.course.answer_kinds import distribution, function, number, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs
from toykit.experiments.label_noise import targets


@exercise("07.1", distribution(4))
def _soft_target(answer):
    true = targets(torch.tensor([2]), 0.4, 4)[0].double()
    return close(answer, true, "Mix: 0.4 times the uniform distribution, 0.6 times the vertex.", 1e-6)


@exercise("07.2", number)
def _ceiling(answer):
    true = float(targets(torch.tensor([0]), 0.6, 6).max())
    return None if abs(answer - true) < 1e-3 else "CE is smallest where the prediction equals the target."


@exercise("07.3", function("s, eta, num_classes", returns=numbers(50)))
def _collision_of_soft_target(answer):
    _, sigma = random_pairs(6)
    true = cross_entropy.collision_cross_entropy(targets(torch.zeros(50, dtype=torch.long), 0.6, 6).double(), sigma)
    hint = "sigma^T u = 1 / K whatever sigma is; the rest is (1 - eta) times the observed class's probability."
    return close(answer(sigma[:, 0], 0.6, 6), true, hint, 1e-6)
