"""Fig. 3(d)'s networks: training repeats itself, and every setting matters."""

import dataclasses
import math

import pytest
import torch

from toykit.datasets.natural_scenes import Scenes
from toykit.experiments.label_noise import Settings
from toykit.experiments.label_noise_training import train

TINY = Settings("CCE", noise=0.5, seed=0, epochs=1, batch=6, shift=1)


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
    first = train(TINY, *tiny)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(123)
    assert train(TINY, *tiny) == first
    assert len(first.accuracies) == 1
    assert 1 / 3 <= first.confidence <= 1


def test_each_argument_matters(tiny):
    """The mean confidence is a fine-grained trace of the weights."""
    changes = {
        "loss": "CE", "noise": 0.2, "seed": 1, "epochs": 2, "batch": 4, "lr": 1e-2, "shift": 0, "stages": 3, "bfloat16": True,
    }  # fmt: skip
    cells = {"as it is": train(TINY, *tiny), "reverse": train(dataclasses.replace(TINY, loss="RCE"), *tiny)}
    cells |= {key: train(dataclasses.replace(TINY, **{key: value}), *tiny) for key, value in changes.items()}
    confidences = [cell.confidence for cell in cells.values()]
    assert len(set(confidences)) == len(cells), cells
    assert all(math.isfinite(value) for value in confidences)


@pytest.mark.parametrize("loss", ["CE", "RCE", "CCE"])
def test_it_learns(tiny, loss):
    cell = train(Settings(loss, epochs=12, batch=6, shift=1, lr=3e-3), *tiny)
    assert cell.accuracy == 1.0, cell
