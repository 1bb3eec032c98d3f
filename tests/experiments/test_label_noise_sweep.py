"""Fig. 3(d)'s networks: training repeats itself, every setting matters, an interrupted sweep resumes with the same cells."""

import json
import math

import pytest
import torch

from toykit.datasets.natural_scenes import Scenes
from toykit.experiments import label_noise_sweep
from toykit.experiments.label_noise import Settings
from toykit.experiments.label_noise_sweep import sweep, train

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
    cells = {
        "as it is": train("CCE", 0.5, 0, *tiny, TINY),
        "loss": train("CE", 0.5, 0, *tiny, TINY),
        "reverse": train("RCE", 0.5, 0, *tiny, TINY),
        "noise": train("CCE", 0.2, 0, *tiny, TINY),
        "seed": train("CCE", 0.5, 1, *tiny, TINY),
        "epochs": train("CCE", 0.5, 0, *tiny, Settings(epochs=2, batch=6, shift=1)),
        "batch": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=4, shift=1)),
        "lr": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=1, lr=1e-2)),
        "shift": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=0)),
        "stages": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=1, stages=3)),
        "bfloat16": train("CCE", 0.5, 0, *tiny, Settings(epochs=1, batch=6, shift=1, bfloat16=True)),
    }
    confidences = [cell.confidence for cell in cells.values()]
    assert len(set(confidences)) == len(cells), cells
    assert all(math.isfinite(value) for value in confidences)


@pytest.mark.parametrize("loss", ["CE", "RCE", "CCE"])
def test_it_learns(tiny, loss):
    cell = train(loss, 0.0, 0, *tiny, Settings(epochs=12, batch=6, shift=1, lr=3e-3))
    assert cell.accuracy == 1.0, cell


def test_a_stopped_sweep_resumes_to_the_same_cells(tiny, tmp_path, monkeypatch):
    whole = sweep(*tiny, TINY, tmp_path / "whole")
    assert [(c.seed, c.noise, c.loss) for c in whole] == [(s, 0.5, loss) for s in (0, 1) for loss in ("CE", "CCE")]

    trained = []

    def stops_at_the_third(*arguments):
        trained.append(arguments[:3])
        if len(trained) == 3:
            raise KeyboardInterrupt
        return train(*arguments)

    monkeypatch.setattr(label_noise_sweep, "train", stops_at_the_third)
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
