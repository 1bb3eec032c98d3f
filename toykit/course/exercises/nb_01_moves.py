"""Checks of the exercises in notebook 01_moves."""

import torch

from toykit import potts
from toykit.course.answer_kinds import distribution, function, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs


@exercise(
    "01.1",
    function("s, a, b", returns=numbers(50)),
    hints=(
        "Write ||p - q||^2 as a product of p - q with itself.",
        "Expand ||p - q||^2 into p.p, q.q and p.q.",
    ),
    why="All six relaxations are functions of these three numbers; the fast solver relies on this.",
)
def _quadratic_from_products(answer):
    p, q = random_pairs()
    value = answer((p * q).sum(1), (p * p).sum(1), (q * q).sum(1))
    return close(value, potts.quadratic(p, q), 1e-9)


@exercise(
    "01.2",
    distribution(4),
    hints=(
        "P_BL(y, y) is 1 - ||y||^2: what makes it largest?",
        "Which label has the smallest sum of squares?",
    ),
    why="Two equal labels of full doubt cost BL most: it wants certainty even where nothing says which class.",
)
def _worst_for_bilinear(answer):
    y = answer[None]
    worst = torch.full((1, 4), 0.25, dtype=torch.float64)
    return close(potts.bilinear(y, y), potts.bilinear(worst, worst), 1e-6)


@exercise(
    "01.3",
    distribution(4),
    hints=(
        "With no class in common, P_Q = (1 + ||q||^2) / 2.",
        "Spread what is left evenly.",
    ),
    why="For Q a different neighbour costs less if it is uncertain, so its boundaries are soft.",
)
def _soft_boundary(y):
    if y[0] > 1e-6:
        return "the pixel must not take the neighbour's class, 0, at all"
    best = torch.tensor([0, 1, 1, 1], dtype=torch.float64) / 3
    vertex = torch.eye(4, dtype=torch.float64)[:1]
    return close(potts.quadratic(vertex, y[None]), potts.quadratic(vertex, best[None]), 1e-6)
