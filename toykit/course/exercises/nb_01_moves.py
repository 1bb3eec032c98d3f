"""Checks of the exercises in notebook 01_moves."""

import torch

from toykit import potts
from toykit.course.answer_kinds import distribution, function, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs


@exercise("01.1", function("s, a, b", returns=numbers(50)))
def _quadratic_from_products(answer):
    p, q = random_pairs()
    value = answer((p * q).sum(1), (p * p).sum(1), (q * q).sum(1))
    return close(value, potts.quadratic(p, q), "Expand ||p - q||^2 into p.p, q.q and p.q.")


@exercise("01.2", distribution(4))
def _worst_for_bilinear(answer):
    y = answer[None]
    worst = torch.full((1, 4), 0.25, dtype=torch.float64)
    return close(
        potts.bilinear(y, y), potts.bilinear(worst, worst), "Which label has the smallest sum of squares?", 1e-6
    )


@exercise("01.3", distribution(4))
def _soft_boundary(y):
    if y[0] > 1e-6:
        return "The pixel must not take the neighbour's class, 0, at all."
    best = torch.tensor([0, 1, 1, 1], dtype=torch.float64) / 3
    vertex = torch.eye(4, dtype=torch.float64)[:1]
    return close(
        potts.quadratic(vertex, y[None]), potts.quadratic(vertex, best[None]), "Spread what is left evenly.", 1e-6
    )
