"""Fig. 3(d): targets and corruption are the caption's, training repeats itself, a stopped sweep goes on, intervals are t."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from toykit.datasets.natural_scenes import Scenes
from toykit.experiments import label_noise
from toykit.experiments.label_noise import Cell, Settings, corrupt, interval, pull, sweep, targets, train

TINY = Settings(losses=("CE", "CCE"), noise=(0.5,), seeds=(0, 1), epochs=1, batch=6, shift=1)


@pytest.fixture(scope="module")
def tiny():
    """12 training and 6 test images of 3 classes, each class a brightness."""
    generator = torch.Generator().manual_seed(0)

    def make(n):
        labels = torch.arange(n) % 3
        images = 80 * labels[:, None, None, None] + torch.randint(0, 60, (n, 3, 16, 16), generator=generator)
        return Scenes(images.to(torch.uint8), labels, ("dark", "grey", "bright"), "generated")

    return make(12), make(6)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=20), st.floats(0, 1))
def test_targets_are_the_captions(observed, eta):
    found = targets(torch.tensor(observed), eta, 6)
    for row, label in zip(found.tolist(), observed, strict=True):
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
    with pytest.raises(ValueError, match="sure: expected a probability strictly"):
        pull("CE", eta, 1.0)


@given(st.integers(1, 300), st.integers(2, 9), st.floats(0, 1), st.integers(0, 99))
def test_corruption_has_the_rate_and_never_the_same_class(n, classes, share, seed):
    labels = torch.randint(classes, (n,), generator=torch.Generator().manual_seed(seed))
    kept = labels.clone()
    found = corrupt(labels, share, classes, torch.Generator().manual_seed(seed))
    assert torch.equal(labels, kept)
    assert int((found != labels).sum()) == round(share * n)
    assert 0 <= found.min() <= found.max() < classes


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


def test_training_repeats_itself_and_leaves_the_global_generator_alone(tiny):
    state = torch.random.get_rng_state()
    first = train("CCE", 0.5, 0, *tiny, TINY)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(123)
    assert train("CCE", 0.5, 0, *tiny, TINY) == first
    assert len(first.accuracies) == 1
    assert 1 / 3 <= first.confidence <= 1


def test_each_argument_matters(tiny):
    """The mean confidence is a fine-grained trace of the weights."""
    found = {
        "as it is": train("CCE", 0.5, 0, *tiny, TINY),
        "loss": train("CE", 0.5, 0, *tiny, TINY),
        "reverse": train("RCE", 0.5, 0, *tiny, TINY),
        "noise": train("CCE", 0.2, 0, *tiny, TINY),
        "seed": train("CCE", 0.5, 1, *tiny, TINY),
        "epochs": train("CCE", 0.5, 0, *tiny, Settings(epochs=2, batch=6, shift=1)),
        "batch": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=4, shift=1)),
        "lr": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=1, lr=1e-2)),
        "shift": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=0)),
        "bfloat16": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=1, bfloat16=True)),
    }
    confidences = [cell.confidence for cell in found.values()]
    assert len(set(confidences)) == len(found), found
    assert all(math.isfinite(value) for value in confidences)


@pytest.mark.parametrize("loss", ["CE", "RCE", "CCE"])
def test_it_learns(tiny, loss):
    cell = train(loss, 0.0, 0, *tiny, Settings(epochs=12, batch=6, shift=1, lr=3e-3))
    assert cell.accuracy == 1.0, cell


def test_a_stopped_sweep_goes_on_to_the_same_cells(tiny, tmp_path, monkeypatch):
    whole = sweep(*tiny, TINY, tmp_path / "whole")
    assert [(c.seed, c.noise, c.loss) for c in whole] == [(s, 0.5, loss) for s in (0, 1) for loss in ("CE", "CCE")]

    trained = []

    def stops_at_the_third(*arguments):
        trained.append(arguments[:3])
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(label_noise, "train", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        sweep(*tiny, TINY, tmp_path / "stopped")
    assert len(list((tmp_path / "stopped").iterdir())) == 2
    trained += [None] * 7
    assert sweep(*tiny, TINY, tmp_path / "stopped") == whole
    assert len(trained) == 10 + 2  # the two finished cells were read


def test_progress_is_shown_on_request(tiny, tmp_path, capsys):
    one = Settings(losses=("CE",), noise=(0.0,), seeds=(0,), epochs=1, batch=6, shift=1)
    sweep(*tiny, one, tmp_path)
    assert capsys.readouterr().err == ""
    sweep(*tiny, one, tmp_path, progress=True)
    assert "label noise" in capsys.readouterr().err


def test_other_settings_or_data_do_not_reuse_a_cell(tiny, tmp_path):
    one = Settings(losses=("CE",), noise=(0.0,), seeds=(0,), epochs=1, batch=6, shift=1)
    sweep(*tiny, one, tmp_path)
    sweep(*tiny, Settings(("CE",), (0.0,), (0,), epochs=1, batch=6, shift=1, lr=2e-3), tmp_path)
    train_set, test_set = tiny
    darker = Scenes(train_set.images // 2, train_set.labels, train_set.classes, train_set.source)
    sweep(darker, test_set, one, tmp_path)
    paths = sorted(tmp_path.iterdir())
    assert len(paths) == 3
    content = json.loads(paths[0].read_text())
    assert content["images"] == [12, 3, 16, 16]
    assert content["settings"]["batch"] == 6
    for path in paths:
        path.write_text('{"loss": "CE"')
    with pytest.raises(ValueError, match=r"CE-0-0-\w+\.json: not a finished cell"):
        sweep(*tiny, one, tmp_path)


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
        ({"losses": ("CE", "XE")}, "losses: expected some of CE, RCE, CCE, Q; got XE"),
        ({"losses": ()}, "losses: expected at least one"),
        ({"seeds": (1, 1)}, "seeds: expected at least one value, each once"),
        ({"noise": (0.0, 1.1)}, r"noise: expected shares in \[0, 1\]"),
        ({"noise": (math.nan,)}, r"noise: expected shares in \[0, 1\]"),
        ({"epochs": 0}, "epochs: expected an integer of at least 1, got 0"),
        ({"batch": 1}, "batch: expected an integer of at least 2"),
        ({"batch": 4.0}, "batch: expected an integer"),
        ({"shift": -1}, "shift: expected an integer of at least 0"),
        ({"lr": 0.0}, "lr: expected a positive number"),
        ({"lr": math.inf}, "lr: expected a positive number"),
    ],
)
def test_bad_settings_are_refused(wrong, message):
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
