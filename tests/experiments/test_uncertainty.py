"""The cross-entropies of Fig. 3 (a-c): curves, gradients and best responses by hand."""

import math

import pytest

from toykit.experiments.uncertainty import (
    best_label,
    best_prediction,
    label_curve,
    label_gradient,
    loss_curve,
    prediction_gradient,
)


def test_who_mimics_whom():
    assert best_prediction("CE", 0.7).tolist() == pytest.approx([0.7])
    assert best_prediction("CCE", 0.7).tolist() == [1]
    assert len(best_prediction("CCE", 0.5)) == 1001  # every prediction is as good as any other
    assert best_label("RCE", 0.7).tolist() == pytest.approx([0.7])
    assert best_label("CE", 0.7).tolist() == [1]
    assert best_label("Q", 0.3).tolist() == pytest.approx([0.3])


def test_losses_over_labels_and_predictions():
    x, losses = label_curve("CE", 0.8, 9)
    assert losses.tolist() == pytest.approx([-a * math.log(0.8) - (1 - a) * math.log(0.2) for a in x.tolist()])
    x, losses = loss_curve("Q", 0.3, 9)
    assert losses.tolist() == pytest.approx([2 * (a - 0.3) ** 2 for a in x.tolist()])
    x, losses = loss_curve("RCE", 0.3, 9)
    assert losses.tolist() == pytest.approx([-a * math.log(0.3) - (1 - a) * math.log(0.7) for a in x.tolist()])
    x, losses = loss_curve("RCE", 1.0, 9)
    assert losses.tolist() == pytest.approx([(1 - a) * 284.36 for a in x.tolist()], rel=1e-4)  # the logarithm's floor


def test_gradients_in_logits_by_hand():
    assert prediction_gradient("CE", 0.5, 0.9) == pytest.approx(0.9 - 0.5)
    assert prediction_gradient("RCE", 0.8, 0.6) == pytest.approx(-0.6 * 0.4 * math.log(0.8 / 0.2))
    collision = 0.8 * 0.6 + 0.2 * 0.4
    assert label_gradient("CCE", 0.8, 0.6) == pytest.approx(-0.8 * 0.2 * (0.6 - 0.4) / collision)


def test_invalid_arguments_are_refused():
    with pytest.raises(ValueError, match="cross_entropy: expected one of CE"):
        loss_curve("KL", 0.5)
    with pytest.raises(ValueError, match=r"probability: expected a number in \[0, 1\], got 1\.5"):
        loss_curve("CE", 1.5)
    with pytest.raises(ValueError, match=r"probability: expected a number in \(0, 1\), got 1\.0"):
        prediction_gradient("CE", 0.5, 1.0)
