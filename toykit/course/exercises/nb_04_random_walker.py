"""Checks of the exercises in notebook 04_random_walker."""

import torch

from toykit.course.answer_kinds import distribution, function, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs


@exercise(
    "04.1",
    distribution(2),
    hints=(
        "A walk from the middle steps left or right in proportion to the weights.",
        "The middle averages its neighbours by weight.",
    ),
    why="The random walker's label is a probability: that the walk ends at a seed of this class.",
)
def _three_pixels(y):
    return close(y, torch.tensor([0.25, 0.75], dtype=torch.float64), 1e-3)


@exercise(
    "04.2",
    distribution(2),
    hints=(
        "Set the derivative of eta H_Q + lam w P_Q by y to zero.",
        "(2 eta + lam w) y = 2 eta sigma + lam w neighbour.",
    ),
    why="The optimum is a weighted mean of prediction and neighbour: a random walker with a prior.",
)
def _one_pixel_with_prior(answer):
    sigma, neighbour = (torch.tensor(t, dtype=torch.float64) for t in ([0.8, 0.2], [0.0, 1.0]))
    eta, lam, weight = 0.3, 6.0, 0.1
    true = (2 * eta * sigma + lam * weight * neighbour) / (2 * eta + lam * weight)
    return close(answer, true, 1e-3)


@exercise(
    "04.3",
    function("y, sigma, weights, eta, lam", returns=numbers(5, 3)),
    hints=(
        "Solve each pixel's equation, all others held fixed.",
        "Multiply weights by y for the neighbours' sum, and divide by 2 eta + lam times each pixel's degree.",
    ),
    why="Each result is a weighted mean of distributions, so labels stay in the simplex without a projection.",
)
def _jacobi_sweep(answer):
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(5, 5, dtype=torch.float64, generator=generator).triu(1)
    weights = weights + weights.T
    y, sigma = random_pairs(3, 5)
    true = (2 * 0.3 * sigma + 6 * weights @ y) / (2 * 0.3 + 6 * weights.sum(1, keepdim=True))
    return close(answer(y, sigma, weights, 0.3, 6.0), true, 1e-9)
