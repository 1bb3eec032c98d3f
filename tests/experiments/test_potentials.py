"""The potentials of Fig. 2, by hand and by finite differences."""

import math

import pytest
import torch

from toykit.experiments.potentials import cut, descent_field, logit_gradient, over_logits, over_square


def test_potentials_by_hand():
    x, values = over_square("Q", 5)
    for row in range(5):
        for column in range(5):
            assert values[row, column] == pytest.approx(float(x[row] - x[column]) ** 2)
    logits, values = over_logits("BL", limit=2, n=5)
    a, b = (1 / (1 + math.exp(-2 * float(logits[k]))) for k in (1, 4))
    assert values[4, 1] == pytest.approx(1 - a * b - (1 - a) * (1 - b))
    assert logits.tolist() == [-2, -1, 0, 1, 2]


def test_cut_and_field_by_finite_differences():
    l_i, values, slope = cut("LQ", 0.5, limit=2, n=2001)
    a, b = (1 / (1 + math.exp(-2 * x)) for x in (float(l_i[300]), 0.5))
    assert values[300] == pytest.approx(-math.log(1 - (a - b) ** 2))
    assert torch.allclose(slope[1:-1], (values[2:] - values[:-2]) / (l_i[2:] - l_i[:-2]), atol=1e-5)
    at, along_i, along_j = descent_field("NQ", limit=1, n=5)
    grid, fine = over_logits("NQ", limit=1, n=2001)  # every 500th point is one of the field's
    h = float(grid[1] - grid[0])
    assert at.tolist() == [-1, -0.5, 0, 0.5, 1]
    for row, column in ((1, 3), (3, 2)):
        r, c = 500 * row, 500 * column
        assert along_i[row, column] == pytest.approx(float(fine[r, c - 1] - fine[r, c + 1]) / (2 * h), abs=1e-6)
        assert along_j[row, column] == pytest.approx(float(fine[r - 1, c] - fine[r + 1, c]) / (2 * h), abs=1e-6)


def test_logit_gradient_by_finite_differences():
    l_i, l_j, h = torch.tensor([-0.7, 0.2]).double(), torch.tensor([0.9, -1.1]).double(), 1e-6
    x = [torch.sigmoid(2 * (l_i + s * h)) for s in (-1, 1)]
    z = torch.sigmoid(2 * l_j)
    low, high = (-(a * z + (1 - a) * (1 - z)).log() for a in x)
    assert torch.allclose(logit_gradient("CCE", l_i, l_j), (high - low) / (2 * h), rtol=1e-6)


def test_an_unknown_relaxation_is_refused():
    with pytest.raises(ValueError, match="relaxation: expected one of BL"):
        over_square("TV")
