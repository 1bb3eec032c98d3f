"""Checks of the exercises in notebook 03_cross_entropy."""

import torch

from toykit import cross_entropy
from toykit.course.answer_kinds import distribution, function, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs


@exercise("03.1", distribution(3))
def _says_nothing(answer):
    y = answer[None]
    _, sigma = random_pairs(3)
    losses = cross_entropy.collision_cross_entropy(y, sigma)
    return None if losses.max() - losses.min() < 1e-6 else "sigma^T y must not depend on sigma: all y^k are equal."


@exercise("03.2", function("y, sigma", returns=numbers(50)))
def _reverse(answer):
    y, sigma = random_pairs()
    return close(
        answer(y, sigma),
        cross_entropy.reverse_cross_entropy(y, sigma),
        "Swap the two arguments of cross_entropy.",
    )


@exercise("03.3", distribution(3))
def _best_label(answer):
    y = answer[None]
    sigma = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    best = cross_entropy.collision_cross_entropy(torch.eye(3, dtype=torch.float64), sigma).min()
    value = cross_entropy.collision_cross_entropy(y, sigma)[0]
    return None if value < best + 1e-6 else f"Your label costs {float(value):.3f}; {float(best):.3f} is possible."
