"""Two processes (gloo, on processors) under torchrun against one process with the same global batch."""

import pytest
import torch
from lightning_fabric import Fabric

from toykit.datasets import toy
from toykit.models import build
from toykit.training import checkpoint, class_ious, compare, comparison, load_config, mean_iou, read_run, train
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


def test_a_run_goes_on_with_another_number_of_processes(tmp_path, monkeypatch):
    """It is stopped in the second epoch of one process; three end it, with the result of one."""
    toy.make(tmp_path / "set", train=12, val=4, size=48)
    overrides = [f"data.root={tmp_path / 'set'}", *OVERRIDES, "schedule.batch=6", "run.checkpoint_steps=1"]
    config = load_config("toy", [*overrides, "method=soft", "run.seed=0"])
    whole = train(config, tmp_path / "one")
    assert whole.history[-1]["step"] == 4

    class StopError(Exception):
        pass

    def stop(step, loss):
        if step == 3:
            raise StopError

    with pytest.raises(StopError):
        train(config, tmp_path / "three" / "soft_0", callback=stop)
    first = read_run(tmp_path / "three" / "soft_0").history
    assert len(first) == 1
    with monkeypatch.context() as patched:
        patched.setenv("OMP_NUM_THREADS", "1")
        patched.setattr(comparison, "train", None)  # not in this process
        ((result,),) = compare("toy", ("soft",), (0,), tmp_path / "three", overrides, devices=3).values()
    assert result.history[0] == first[0]  # with its speed: it was not trained again
    for a, b in zip(whole.history, result.history, strict=True):
        assert a["loss"] == pytest.approx(b["loss"], rel=1e-5)
        assert a["val_miou"] == pytest.approx(b["val_miou"], abs=0.01)


def test_processes_share_the_statistics_of_batch_normalisation(tmp_path, monkeypatch):
    given = "model.name=light_mobilenetv2", "model.freeze_batch_norm=false"
    assert_evaluated_as_saved(*train_in_two(monkeypatch, tmp_path, "seeds_only", *given))
