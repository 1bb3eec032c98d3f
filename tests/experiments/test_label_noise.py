"""Fig. 3(d): targets and corruption are the caption's, intervals are Student's, invalid settings are rejected."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toykit.experiments.label_noise import Cell, Settings, corrupt, interval, pull, targets


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.floats(0, 1))
def test_targets_are_the_captions(observed, eta):
    soft_targets = targets(torch.tensor(observed), eta, 6)
    for row, label in zip(soft_targets.tolist(), observed, strict=True):
        for k, value in enumerate(row):
            assert value == pytest.approx(eta * (1 / 6) + (1 - eta) * (k == label), abs=1e-6)


@given(st.floats(0.05, 0.95), st.floats(0.01, 0.99), st.integers(2, 9))
def test_pull_is_the_derivative_by_hand(eta, sure, classes):
    u = 1 / classes
    high, low = eta * u + 1 - eta, eta * u
    assert pull("CE", eta, sure, classes) == pytest.approx(high - sure, abs=1e-5)
    assert pull("RCE", eta, sure, classes) == pytest.approx(sure * (1 - sure) * math.log(high / low), abs=1e-5)
    right = (1 - eta) * sure / (low + (1 - eta) * sure)  # by Bayes: the label is not a uniform draw
    assert pull("CCE", eta, sure, classes) == pytest.approx(right * (1 - sure), abs=1e-5)
    with pytest.raises(ValueError, match=r"sure: expected a number in \(0, 1\), got 1.0"):
        pull("CE", eta, 1.0)


@given(st.integers(1, 300), st.integers(2, 9), st.floats(0, 1), st.integers(0, 99))
def test_corruption_has_the_rate_and_never_the_same_class(n, classes, share, seed):
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))
    kept = labels.clone()
    corrupted = corrupt(labels, share, classes, torch.Generator().manual_seed(seed))
    assert torch.equal(labels, kept)
    assert int((corrupted != labels).sum()) == round(share * n)
    assert 0 <= corrupted.min() <= corrupted.max() < classes


def test_wrong_classes_are_uniform_and_nested():
    labels = torch.full((60_000,), 2)
    few, all_ = (corrupt(labels, share, 6, torch.Generator().manual_seed(1)) for share in (0.3, 1.0))
    wrong = few != labels
    assert torch.equal(few[wrong], all_[wrong])
    counts = np.bincount(all_.numpy(), minlength=6)
    assert counts[2] == 0
    assert stats.chisquare(np.delete(counts, 2)).pvalue > 0.01
    other = corrupt(labels, 0.3, 6, torch.Generator().manual_seed(2))
    assert not torch.equal(few, other)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.sampled_from([0.8, 0.95]))
def test_interval_is_scipys(values, confidence):
    mean, half = interval(values, confidence)
    assert mean == pytest.approx(np.mean(values), abs=1e-12)
    if stats.sem(values) > 1e-9:
        low, high = stats.t.interval(confidence, len(values) - 1, loc=np.mean(values), scale=stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-9)
    else:
        assert half == pytest.approx(0, abs=1e-7)


def test_interval_of_one_or_none():
    mean, half = interval([0.5])
    assert mean == 0.5
    assert math.isnan(half)
    for arguments in ([], 0.95), ([0.5, 0.6], 1.0):
        with pytest.raises(ValueError, match="expected values and a confidence"):
            interval(*arguments)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"loss": "XE"}, "loss: expected one of CE, RCE, CCE, Q; got 'XE'"),
        ({"seed": -1}, "seed: expected a whole number, at least 0"),
        ({"side": 7}, "side: expected a whole number, at least 8"),
        ({"test_per_class": 0}, "test_per_class: expected a whole number, at least 1"),
        ({"source": "web"}, "source: expected one of photos, generated; got 'web'"),
        ({"noise": 1.1}, r"noise: expected a number in \[0, 1\], got 1.1"),
        ({"noise": math.nan}, r"noise: expected a number in \[0, 1\], got nan"),
        ({"epochs": 0}, "epochs: expected a whole number, at least 1; got 0"),
        ({"batch": 1}, "batch: expected a whole number, at least 2"),
        ({"batch": 4.0}, "batch: expected a whole number"),
        ({"shift": -1}, "shift: expected a whole number, at least 0"),
        ({"lr": 0.0}, r"lr: expected a number in \(0, inf\)"),
        ({"lr": math.inf}, r"lr: expected a number in \(0, inf\)"),
        ({"stages": 0}, "stages: expected a whole number, at least 1"),
        ({"stages": 5}, "stages: expected one of 1, 2, 3, 4; got 5"),
    ],
)
def test_invalid_settings_are_rejected(wrong, message):
    with pytest.raises(ValueError, match=message):
        Settings(**wrong)


def test_figures_show_every_loss_and_seed():
    import matplotlib

    matplotlib.use("agg")
    from toykit import plots

    cells = [
        Cell(loss, noise, seed, (0.2, accuracy + 0.02 * seed), 0.5)
        for loss, accuracy in (("CE", 0.4), ("CCE", 0.6))
        for noise in (0.0, 0.5)
        for seed in (0, 1)
    ]
    axis = plots.noise_curves(cells).axes[0]
    lines = {c.get_label(): c.lines[0] for c in axis.containers}
    assert set(lines) == {"CE", "CCE"}
    assert lines["CCE"].get_ydata() == pytest.approx([0.61, 0.61])  # the mean of the last epoch's
    assert lines["CE"].get_marker() != lines["CCE"].get_marker()
    assert plots.noise_curves(cells[:1]).axes  # one seed, one level: a point without a bar
    lengths = []
    for confidence in (0.5, 0.95):
        bars = plots.noise_curves(cells, confidence).axes[0].containers[0].lines[2][0]
        lengths.append(np.ptp(bars.get_segments()[0][:, 1]))
    assert lengths[0] < lengths[1]
