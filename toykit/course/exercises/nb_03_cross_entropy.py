"""Checks of the exercises in notebook 03_cross_entropy."""

import torch

from toykit import cross_entropy
from toykit.course.answer_kinds import distribution, function, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs


@exercise(
    "03.1",
    distribution(3),
    hints=(
        "sigma^T y must not depend on sigma.",
        "sigma sums to 1: what if all y^k are equal?",
    ),
    why="CCE of a label that says nothing is ln K for any prediction: it gives the network no gradient.",
)
def _says_nothing(answer):
    y = answer[None]
    _, sigma = random_pairs(3)
    losses = cross_entropy.collision_cross_entropy(y, sigma)
    return bool(losses.max() - losses.min() < 1e-6)


@exercise(
    "03.2",
    function("y, sigma", returns=numbers(50)),
    hints=(
        "RCE and CE differ in which argument stands in the logarithm.",
        "Swap the two arguments of cross_entropy.",
    ),
    why="What stands in the logarithm may not be 0: for RCE this is the label, for CE the prediction.",
)
def _reverse(answer):
    y, sigma = random_pairs()
    return close(answer(y, sigma), cross_entropy.reverse_cross_entropy(y, sigma), 1e-9)


@exercise(
    "03.3",
    distribution(3),
    hints=(
        "sigma^T y is an average of sigma's entries.",
        "Which y gives all weight to the largest entry of sigma?",
    ),
    why="For a fixed prediction CCE prefers a vertex, as CE does; it is the Potts term that softens labels.",
)
def _best_label(answer):
    y = answer[None]
    sigma = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    best = cross_entropy.collision_cross_entropy(torch.eye(3, dtype=torch.float64), sigma).min()
    value = cross_entropy.collision_cross_entropy(y, sigma)[0]
    return True if value < best + 1e-6 else f"your label costs {float(value):.3f}; {float(best):.3f} is possible"
