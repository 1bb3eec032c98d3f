"""Checks of the exercises in notebook 07_label_noise."""

import torch

from toykit import cross_entropy
from toykit.course.answer_kinds import distribution, function, numbers, share
from toykit.course.exercises.registry import close, exercise, random_pairs
from toykit.experiments.label_noise import targets


@exercise(
    "07.1",
    distribution(4),
    hints=(
        "Some of the probability goes to all classes alike.",
        "Mix: 0.4 times the uniform distribution, 0.6 times the vertex.",
    ),
    why="The observed class gets a part of the uniform share too, hence 0.7.",
)
def _soft_target(answer):
    true = targets(torch.tensor([2]), 0.4, 4)[0].double()
    return close(answer, true, 1e-6)


@exercise(
    "07.2",
    share,
    hints=(
        "Which prediction makes CE smallest, for this target?",
        "CE is smallest where the prediction equals the target.",
    ),
    why="CE teaches the network to be as unsure as its target; CCE does not.",
)
def _ceiling(answer):
    return close(answer, float(targets(torch.tensor([0]), 0.6, 6).max()))


@exercise(
    "07.3",
    function("s, eta, num_classes", returns=numbers(50)),
    hints=(
        "Write the target as a mixture and multiply by sigma.",
        "sigma^T u = 1 / K whatever sigma is; the rest is (1 - eta) times the observed class's probability.",
    ),
    why="The loss is at most ln(K / eta): a wrong label cannot cost more.",
)
def _collision_of_soft_target(answer):
    _, sigma = random_pairs(6)
    true = cross_entropy.collision_cross_entropy(targets(torch.zeros(50, dtype=torch.long), 0.6, 6).double(), sigma)
    return close(answer(sigma[:, 0], 0.6, 6), true, 1e-6)
