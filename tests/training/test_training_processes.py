"""Two processes (gloo, on processors) under torchrun against one process with the same global batch."""

import os
import subprocess
import sys

import pytest
import torch
from lightning_fabric import Fabric

from toykit.datasets import toy
from toykit.models import build
from toykit.training import checkpoint, class_ious, load_config, mean_iou, read_run, train
from toykit.training.evaluation import evaluate
from toykit.training.sets import load_sets

OVERRIDES = [
    "data.crop=32", "data.scale=[0.7,1]", "model.dropout=0", "model.freeze_batch_norm=true", "schedule.batch=4",
    "schedule.pretrain_epochs=1", "schedule.epochs=1", "run.pictures=0", "run.accelerator=cpu",
    "run.eval_every=1", "run.checkpoint_steps=2", "schedule.lr=0.002",
]  # fmt: skip


def train_in_two(folder, *more):
    """The configuration and the result of two processes; only the first prints it."""
    toy.make(folder / "set", train=12, val=3, size=48)
    overrides = [f"data.root={folder / 'set'}", *OVERRIDES, *more]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "toykit", "train", "toy", *overrides, "-o", str(folder / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("mIoU on the validation set") == 1
    return load_config("toy", overrides), read_run(folder / "two")


def assert_evaluated_as_saved(config, run):
    """3 photos over 2 processes: the very counts of one process with the checkpoint's weights and statistics."""
    state = torch.load(run.folder / checkpoint.NAME, weights_only=True)["network"]
    network = build(config.model.name, len(run.classes), image_size=32, weights=None)
    network.load_state_dict(state)
    confusion = evaluate(Fabric(accelerator="cpu", devices=1), network, load_sets(config)[1], len(run.classes)).sum(0)
    assert run.miou == mean_iou(confusion)
    assert run.history[-1]["val_iou"] == pytest.approx(class_ious(confusion).tolist(), abs=0)


def test_two_processes_are_one(tmp_path):
    config, two = train_in_two(tmp_path)
    one = train(config, tmp_path / "one")
    assert two.finished
    for a, b in zip(one.history, two.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["label_miou"] == (
            b["label_miou"] if a["label_miou"] is None else pytest.approx(b["label_miou"], abs=0.01)
        )
    assert_evaluated_as_saved(config, two)


def test_processes_share_the_statistics_of_batch_normalisation(tmp_path):
    assert_evaluated_as_saved(*train_in_two(tmp_path, "model.freeze_batch_norm=false", "method=seeds_only"))
