"""Short training runs for tests: a generated set and settings for seconds."""

import torch

from toykit.datasets import toy
from toykit.training import checkpoint

#: One epoch of phase one and one of phase two, three steps each, on whole photos of 32 x 32 pixels; the network that trains
#: fastest, from nothing. The presets' own networks train in notebook 08 and in tests/training/test_training_processes.py.
SMALL_STUDY = (
    "model.name=light_mobilenetv2", "data.crop=32", "data.limit=6", "data.val_limit=3", "data.scale=[1,1]",
    "schedule.pretrain_epochs=1", "schedule.epochs=1", "schedule.batch=2", "run.pictures=0", "model.dropout=0",
)  # fmt: skip


def make_toy_set(tmp_path_factory, train=8, val=3, size=32):
    """Generate a small toy set in a temporary folder and return its root."""
    root = tmp_path_factory.mktemp("toy") / "set"
    toy.make(root, train=train, val=val, size=size)
    return root


def small_study(root):
    """Return the overrides of `SMALL_STUDY` on the set at `root`."""
    return [f"data.root={root}", *SMALL_STUDY]


def weights_of(folder):
    """Return the network's weights in a run's checkpoint."""
    return torch.load(folder / checkpoint.NAME, weights_only=True)["network"]


def assert_same_weights(one, other):
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
