"""`toykit train`: presets, overrides, the folder, resuming; errors that can be read."""

import runpy
import sys

import pytest
import torch
from click.testing import CliRunner

from toykit.cli import main
from toykit.datasets import toy
from toykit.training import RunResult, presets, read_run


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["train", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_help_lists_the_presets():
    text = run("--help")
    assert all(name in text for name in presets())


def test_the_same_command_as_a_module(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["toykit", "train", "toy", "--print"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("toykit", run_name="__main__", alter_sys=True)
    assert not ended.value.code
    assert "kind: toy" in capsys.readouterr().out


def test_print_shows_the_resolved_configuration(tmp_path):
    text = run("soft_cce_cd", "energy.lam=2", "--print")
    assert "lam: 2.0" in text
    assert "bandwidth: 9" in text
    (tmp_path / "c.yaml").write_text(text)
    assert run(tmp_path / "c.yaml", "--print") == text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tyo"], "tyo: neither a file nor a preset; the presets are"),
        (["toy", "energy.lambda=2"], "unknown key energy.lambda; energy has cross_entropy"),
        (["toy", "schedule.lr=0"], "schedule.lr: expected a number in (0, inf), got 0.0"),
        (["toy", "data.root=nowhere"], "nowhere: no such folder"),
    ],
)
def test_errors(arguments, message, tmp_path):
    output = run(*arguments, "-o", tmp_path / "run", code=1)
    assert message in output
    assert output.startswith("Error: ")
    assert not (tmp_path / "run").exists()


def test_a_devices_error_and_a_workers_error_are_messages(tmp_path, monkeypatch):
    if not torch.cuda.is_available():
        assert run("toy", "run.accelerator=cuda", "-o", tmp_path / "gpu", code=1).startswith("Error: ")
    toy.make(tmp_path / "set", train=2, val=1, size=48)
    broken = tmp_path / "set" / "JPEGImages" / "train_0001.jpg"
    broken.write_bytes(b"no picture")
    command = ["toy", f"data.root={tmp_path / 'set'}", "data.crop=32", "schedule.batch=2", "run.pictures=0"]
    for workers in (0, 1):
        output = run(*command, f"data.workers={workers}", "-o", tmp_path / "run", code=1)
        assert output.startswith(f"Error: {broken}: cannot be read as a picture"), output
        assert "Traceback" not in output


def test_only_the_first_process_prints(tmp_path, monkeypatch):
    result = RunResult(tmp_path, None, ("a",), [{"val_miou": 0.5, "val_iou": [0.5]}], True)
    monkeypatch.setattr("toykit.training.train", lambda *_, **__: result)
    assert "mIoU" in run("toy")
    monkeypatch.setenv("RANK", "1")
    assert run("toy") == ""


def test_a_run_and_its_continuation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    toy.make(tmp_path / "set", train=2, val=1, size=48)
    command = ["toy", f"data.root={tmp_path / 'set'}", "data.crop=32", "schedule.batch=2", "run.pictures=0"]
    command += ["method=seeds_only", "schedule.pretrain_epochs=0"]
    output = run(*command, "schedule.epochs=1")
    assert "mIoU on the validation set: " in output
    assert "background: " in output
    folder = tmp_path / "runs" / "toy"
    assert str(folder.relative_to(tmp_path)) in output
    assert read_run(folder).finished
    assert "schedule.epochs was 1 and is 2" in run(*command, "schedule.epochs=2", code=1)
    run(*command, "schedule.epochs=2", "run.eval_every=0", "--fresh")
    assert [row["epoch"] for row in read_run(folder).history] == [1, 2]
    missing = run(*command, "schedule.epochs=2", "model.weights=nowhere.pt", "-o", "other", code=1)
    assert "No such file or directory: 'nowhere.pt'" in missing
