"""The moves of Fig. 1: the numbers of section 2.1, and landscapes by hand."""

import math

import pytest
import torch

from toykit.experiments.moves import MOVES, landscape, potentials_along, potentials_of
from toykit.potts import RELAXATIONS
from toykit.simplex import mix_with_uniform


def test_numbers_of_section_2_1():
    t, on_a = potentials_along("a", 11)
    assert t[0] == 0
    assert t[-1] == 1
    assert on_a["BL"][[0, 5, 10]].tolist() == pytest.approx([0, 0.5, 0], abs=1e-15)
    assert on_a["Q"].abs().max() == 0
    _, on_b = potentials_along("b", 11)
    assert on_b["Q"][[0, 5, 10]].tolist() == pytest.approx([1, 0.75, 1])
    assert on_b["BL"].tolist() == pytest.approx([1] * 11)
    assert on_b["CD"].isinf().all()
    assert on_b["CCE"].isinf().all()
    assert on_b["LQ"].isinf().tolist() == [True] + [False] * 9 + [True]
    assert on_b["LQ"][5] == pytest.approx(-math.log(0.25))


@pytest.mark.parametrize("move", MOVES)
def test_moves_stay_in_the_simplex_and_end_at_vertices(move):
    for y in MOVES[move](torch.linspace(0, 1, 7)):
        assert (y >= 0).all()
        assert torch.allclose(y.sum(1), torch.ones(7))
        assert set(y[[0, -1]].flatten().tolist()) == {0.0, 1.0}


def test_inside_the_triangle_cd_dips_on_move_b_and_bl_and_cce_are_flat():
    t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
    for epsilon in (0.1, 1e-3, 1e-6):
        start, middle, end = zip(
            *potentials_of(*(mix_with_uniform(y, epsilon) for y in MOVES["b"](t))).values(), strict=True
        )
        dips = dict(zip(RELAXATIONS, (float(m - s) for m, s in zip(middle, start, strict=True)), strict=True))
        assert list(map(float, start)) == pytest.approx(list(map(float, end)))
        assert dips["BL"] == pytest.approx(0, abs=1e-9)
        assert dips["CCE"] == pytest.approx(0, abs=1e-9)
        p = 1 - epsilon
        ends, half = (own + (1 - p * p) / 3 for own in (p * p, p * p / 2))  # |q|^2 at the ends and halfway
        assert dips["CD"] == pytest.approx(-math.log(ends / half) / 2, abs=1e-9)
        assert -math.log(2) / 2 < dips["CD"] < -0.3
    assert dips["CD"] == pytest.approx(-math.log(2) / 2, abs=1e-5)


def test_potentials_of_pairs_are_infinite_where_the_formulas_are():
    eye = torch.eye(3, dtype=torch.float64)
    values = potentials_of(eye[[0, 0, 0]], torch.stack([eye[0], eye[1], (eye[1] + eye[2]) / 2]))
    assert values["CCE"].tolist() == values["CD"].tolist() == [0, math.inf, math.inf]
    assert values["LQ"].isinf().tolist() == [False, True, False]
    assert values["Q"].tolist() == pytest.approx([0, 1, 0.75])


def test_a_landscape_is_cheapest_where_its_relaxation_says():
    p = torch.tensor([0.6, 0.3, 0.1])
    for name, best in (("Q", [0.6, 0.3, 0.1]), ("NQ", [0.6, 0.3, 0.1]), ("BL", [1, 0, 0]), ("CCE", [1, 0, 0])):
        q, values = landscape(name, p, 10)
        assert q.shape == (66, 3)
        assert q[values.argmin()].tolist() == pytest.approx(best)
    assert landscape("BL", p, 5)[1].tolist() == pytest.approx((1 - landscape("Q", p, 5)[0] @ p.double()).tolist())


def test_invalid_arguments_are_refused():
    vertex = torch.tensor([1.0, 0.0, 0.0])
    with pytest.raises(ValueError, match="move: expected one of a, b"):
        potentials_along("c")
    with pytest.raises(ValueError, match="steps: expected a whole number, at least 2; got 1"):
        potentials_along("a", 1)
    with pytest.raises(ValueError, match="relaxation: expected one of BL"):
        landscape("TV", vertex)
