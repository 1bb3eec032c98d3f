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
from toykit.training.loop import load_sets

OVERRIDES = [
    "data.crop=32", "data.scale=[0.7,1]", "model.dropout=0", "model.freeze_batch_norm=true", "schedule.batch=4",
    "schedule.pretrain_epochs=1", "schedule.epochs=1", "run.pictures=0", "run.accelerator=cpu",
    "run.eval_every=1", "run.checkpoint_steps=2", "schedule.lr=0.002",
]  # fmt: skip


def test_two_processes_are_one(tmp_path):
    toy.make(tmp_path / "set", train=12, val=3, size=48)
    overrides = [f"data.root={tmp_path / 'set'}", *OVERRIDES]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "toykit", "train", "toy", *overrides, "-o", str(tmp_path / "two")]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

    config = load_config("toy", overrides)
    one, two = train(config, tmp_path / "one"), read_run(tmp_path / "two")
    assert two.finished
    for a, b in zip(one.history, two.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["label_miou"] == (
            b["label_miou"] if a["label_miou"] is None else pytest.approx(b["label_miou"], abs=0.01)
        )

    # 3 photos over 2 processes: the very counts of one process with the same weights
    state = torch.load(tmp_path / "two" / checkpoint.NAME, weights_only=True)["network"]
    network = build(config.model.name, len(two.classes), image_size=32, weights=None)
    network.load_state_dict(state)
    confusion = evaluate(Fabric(accelerator="cpu", devices=1), network, load_sets(config)[1], len(two.classes))
    assert two.miou == mean_iou(confusion)
    assert two.history[-1]["val_iou"] == pytest.approx(class_ious(confusion).tolist(), abs=0)
