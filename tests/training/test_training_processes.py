"""Two processes (gloo, on processors) under torchrun against one process with the same global batch."""

import pytest
import torch
from lightning_fabric import Fabric

from toykit.datasets import toy
from toykit.models import build
from toykit.training import checkpoint, class_ious, compare, comparison, load_config, mean_iou, train
from toykit.training.evaluation import evaluate
from toykit.training.sets import load_sets

OVERRIDES = [
    "data.crop=32", "data.scale=[0.7,1]", "model.dropout=0", "model.freeze_batch_norm=true", "schedule.batch=4",
    "schedule.pretrain_epochs=1", "schedule.epochs=1", "run.pictures=0", "run.accelerator=cpu",
    "run.eval_every=1", "run.checkpoint_steps=2", "schedule.lr=0.002",
]  # fmt: skip


def train_in_two(monkeypatch, folder, method, *more):
    """The configuration and the result of two processes, which `compare` starts under torchrun; only the first prints it."""
    toy.make(folder / "set", train=12, val=3, size=48)
    overrides = [f"data.root={folder / 'set'}", *OVERRIDES, *more]
    with monkeypatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        patched.setattr(comparison, "train", None)  # not in this process
        ((result,),) = compare("toy", (method,), (0,), folder / "two", overrides, devices=2).values()
    assert (result.folder / comparison.LOG).read_text().count("mIoU on the validation set") == 1
    config = load_config("toy", [*overrides, f"method={method}", "run.seed=0"])
    assert result.finished
    assert result.config == config
    return config, result


def assert_evaluated_as_saved(config, run):
    """3 photos over 2 processes: the very counts of one process with the checkpoint's weights and statistics."""
    state = torch.load(run.folder / checkpoint.NAME, weights_only=True)["network"]
    network = build(config.model.name, len(run.classes), image_size=32, weights=None)
    network.load_state_dict(state)
    confusion = evaluate(Fabric(accelerator="cpu", devices=1), network, load_sets(config)[1], len(run.classes)).sum(0)
    assert run.miou == mean_iou(confusion)
    assert run.history[-1]["val_iou"] == pytest.approx(class_ious(confusion).tolist(), abs=0)


def test_two_processes_are_one(tmp_path, monkeypatch):
    config, two = train_in_two(monkeypatch, tmp_path, "soft")
    one = train(config, tmp_path / "one")
    for a, b in zip(one.history, two.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["label_miou"] == (
            b["label_miou"] if a["label_miou"] is None else pytest.approx(b["label_miou"], abs=0.01)
        )
    assert_evaluated_as_saved(config, two)


def test_processes_share_the_statistics_of_batch_normalisation(tmp_path, monkeypatch):
    given = "model.name=light_mobilenetv2", "model.freeze_batch_norm=false"
    assert_evaluated_as_saved(*train_in_two(monkeypatch, tmp_path, "seeds_only", *given))
