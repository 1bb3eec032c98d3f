"""The analyses of Fig. 1-3 and of the solver: numbers of section 2.1, formulas by hand, curves that mean what they say."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from toykit import datasets
from toykit.experiments import hard_labels
from toykit.experiments.moves import MOVES, landscape, landscape_sheet, potentials_along, potentials_of, with_coordinate
from toykit.experiments.optimality import change_left, to_optimum
from toykit.experiments.potentials import cut, descent_field, logit_gradient, over_logits, over_square
from toykit.experiments.uncertainty import (
    best_label,
    best_prediction,
    label_curve,
    label_gradient,
    loss_at,
    loss_curve,
    prediction_gradient,
    verdict,
)
from toykit.neighborhoods import NearestNeighbors
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


def test_unknown_names_are_refused():
    with pytest.raises(ValueError, match="move: expected one of a, b"):
        potentials_along("c")
    with pytest.raises(ValueError, match="steps: expected at least 2"):
        potentials_along("a", 1)
    with pytest.raises(ValueError, match="relaxation: expected one of BL"):
        over_square("TV")
    with pytest.raises(ValueError, match="cross_entropy: expected one of CE"):
        loss_curve("KL", 0.5)
    with pytest.raises(ValueError, match="relaxation: expected one of BL"):
        landscape("TV", torch.tensor([1.0, 0.0, 0.0]))
    for value in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match="value: expected a probability"):
            with_coordinate(torch.tensor([1.0, 0.0, 0.0]), 0, value)
    with pytest.raises(ValueError, match=r"probability in \[0, 1\]"):
        loss_curve("CE", 1.5)
    with pytest.raises(ValueError, match="strictly between"):
        prediction_gradient("CE", 0.5, 1.0)


def test_potentials_by_hand():
    x, values = over_square("Q", 5)
    for row in range(5):
        for column in range(5):
            assert values[row, column] == pytest.approx(float(x[row] - x[column]) ** 2)
    logits, values = over_logits("BL", limit=2, n=5)
    a, b = (1 / (1 + math.exp(-2 * float(logits[k]))) for k in (1, 4))
    assert values[4, 1] == pytest.approx(1 - a * b - (1 - a) * (1 - b))
    assert logits.tolist() == [-2, -1, 0, 1, 2]


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


def test_a_sheet_is_the_landscape_and_goes_on_over_its_edge():
    p = torch.tensor([0.6, 0.3, 0.1])
    x, y, values = landscape_sheet("NQ", p, 8)
    assert (x[-1], y[-1]) == pytest.approx((1, math.sqrt(3) / 2))

    def at(*q):  # by the formula
        q = torch.tensor(q)
        return 1 - float(p @ q / (p.norm() * q.norm()))

    assert values.shape == (9, 9)
    assert float(values[4, 3]) == pytest.approx(at(0.375, 0.125, 0.5), abs=1e-6)  # x = 3/8, half of the height
    assert float(values[4, 0]) == pytest.approx(at(0.6, 0, 0.4), abs=1e-6)  # (3/4, -1/4, 1/2)
    assert float(values[8, 8]) == pytest.approx(
        at(0, 1 / 3, 2 / 3), abs=1e-6
    )  # (-1/2, 1/2, 1) without what is negative
    with pytest.raises(ValueError, match="relaxation: expected one of BL"):
        landscape_sheet("TV", p)


def test_a_coordinate_moves_along_the_line_through_its_corner():
    p = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64)
    assert with_coordinate(p, 0, 0.6).tolist() == pytest.approx([0.6, 0.15, 0.25])
    assert with_coordinate(p, 2, 1.0).tolist() == [0, 0, 1]
    assert with_coordinate(torch.tensor([0.0, 0.0, 1.0]), 2, 0.5).tolist() == [0.25, 0.25, 0.5]  # no ratio to keep
    assert p.tolist() == [0.2, 0.3, 0.5]


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


def test_who_mimics_whom():
    assert best_prediction("CE", 0.7).tolist() == pytest.approx([0.7])
    assert best_prediction("CCE", 0.7).tolist() == [1]
    assert len(best_prediction("CCE", 0.5)) == 1001  # every prediction is as good as any other
    assert best_label("RCE", 0.7).tolist() == pytest.approx([0.7])
    assert best_label("CE", 0.7).tolist() == [1]
    assert best_label("Q", 0.3).tolist() == pytest.approx([0.3])


def test_losses_over_labels_and_in_words():
    x, losses = label_curve("CE", 0.8, 9)
    assert losses.tolist() == pytest.approx([-a * math.log(0.8) - (1 - a) * math.log(0.2) for a in x.tolist()])
    assert loss_at("Q", 0.3, 0.8) == pytest.approx(0.5)
    assert loss_at("RCE", 1.0, 0.8) == pytest.approx(0.2 * 284.36, abs=0.01)  # the logarithm's floor
    assert loss_at("RCE", 0.3, 0.8) == pytest.approx(-0.8 * math.log(0.3) - 0.2 * math.log(0.7))
    assert verdict(best_prediction("CE", 0.3), 0.3) == "mimics it"
    assert verdict(best_prediction("CCE", 0.3), 0.3) == "goes to 0"
    assert verdict(best_prediction("RCE", 0.5), 0.5) == "anything goes"


def test_gradients_in_logits_by_hand():
    assert prediction_gradient("CE", 0.5, 0.9) == pytest.approx(0.9 - 0.5)
    assert prediction_gradient("RCE", 0.8, 0.6) == pytest.approx(-0.6 * 0.4 * math.log(0.8 / 0.2))
    collision = 0.8 * 0.6 + 0.2 * 0.4
    assert label_gradient("CCE", 0.8, 0.6) == pytest.approx(-0.8 * 0.2 * (0.6 - 0.4) / collision)


def test_trajectories_end_at_the_optimum_and_arguments_matter():
    sample = datasets.photo("chelsea", 48)
    gd, adam = to_optimum(sample, steps=150)
    assert (gd.optimizer, adam.optimizer, adam.name) == ("gd", "adam", "chelsea")
    assert len(adam.energies) == len(adam.jaccard) == 151
    assert adam.excess[-1] < 1e-2 < gd.excess[-1] < gd.excess[0]
    assert adam.jaccard[-1] > 0.995 > adam.jaccard[0]
    assert (adam.excess > -1e-9).all()
    for change in ({"eta": 1.0}, {"lam": 1.0}, {"neighborhood": NearestNeighbors(20.0)}):
        (changed,) = to_optimum(sample, ("adam",), steps=2, **change)
        assert changed.optimum != pytest.approx(adam.optimum, rel=1e-3)
    _, seeds = sample.tensors()
    logits = torch.zeros(1, len(sample.classes), *seeds.shape[1:])
    assert to_optimum(sample, ("adam",), steps=2, logits=logits)[0].optimum != pytest.approx(adam.optimum, rel=1e-3)


def test_change_left_is_shares():
    sample = datasets.photo("chelsea", 48)
    left, share = change_left(sample, "gd", steps=40)
    assert share.nansum() == pytest.approx(1)
    assert left[3] > left[1]  # the very sure are late
    assert left[3] > 0.9
    assert (change_left(sample, "adam", steps=150)[0] < left).all()
    nothing_done, _ = change_left(sample, "gd", steps=1, lr=1e-9)
    assert torch.allclose(nothing_done, torch.ones(4).double(), atol=1e-6)


def test_hard_labels_against_rounded_soft_ones():
    pytest.importorskip("maxflow")
    samples = datasets.photos(32, ("chelsea", "coins"))
    samples[1] = dataclasses.replace(samples[1], mask=np.zeros_like(samples[1].seeds))
    rows = hard_labels.compare(samples, "CE", eta=0.3, lam=6.0)
    found = {(row.method, row.relaxation, row.rounding): row for row in rows}
    assert len(found) == 2 + 2 * 7
    assert next(iter(found)) == ("graph_cut", "BL", None)
    assert (rows[0].excess == 0).all()
    for row in rows:
        assert row.energies.shape == row.excess.shape == row.accuracy.shape == (2,)
        assert row.accuracy[0].isnan()  # no ground truth
        assert 0 <= row.accuracy[1] <= 1
        assert row.excess[1] >= -1e-9  # two classes: the cut is the optimum
    assert any(found["fast", name, "greedy"].excess[1] > 0 for name in RELAXATIONS)
    assert not torch.equal(found["fast", "Q", "argmax"].energies, found["fast", "Q", "greedy"].energies)
    text = hard_labels.format_roundings(rows)
    assert len(text.splitlines()) == 1 + len(rows)
    other = hard_labels.compare(samples[:1], "CCE", eta=1.0, lam=1.0)
    assert other[0].energies[0] != rows[0].energies[0]
