"""Runs side by side: each trained once, several processes through torchrun, the table of what they came to."""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.training import make_toy_set

from toykit.datasets.sample import read_image
from toykit.experiments.results import measured
from toykit.training import (
    RunResult,
    Summary,
    checkpoint,
    compare,
    comparison,
    format_summaries,
    load_config,
    read_pictures,
    train,
    write_results,
)

SMALL = [
    "model.name=light_mobilenetv2", "data.crop=32", "data.scale=[0.7,1]", "schedule.pretrain_epochs=0",
    "schedule.epochs=1", "schedule.batch=4", "schedule.lr=0.01", "run.pictures=2", "run.accelerator=cpu",
]  # fmt: skip


@pytest.fixture(scope="module")
def overrides(tmp_path_factory):
    return [f"data.root={make_toy_set(tmp_path_factory, size=48)}", *SMALL]


def test_every_method_from_every_seed_once(overrides, tmp_path, monkeypatch):
    told = []
    arguments = ("toy", ("seeds_only", "full"), (0, 1), tmp_path, overrides)
    results = compare(*arguments, callback=lambda *run: told.append(run))
    assert [(method, seed) for method, seed, _ in told] == [(m, s) for s in (0, 1) for m in ("seeds_only", "full")]
    assert {path.name for path in tmp_path.iterdir()} == {"seeds_only_0", "seeds_only_1", "full_0", "full_1"}
    for method, runs in results.items():
        assert [(r.config.method, r.config.run.seed, r.finished) for r in runs] == [(method, s, True) for s in (0, 1)]
    assert results["full"][0].history[0]["loss"] != results["full"][1].history[0]["loss"]

    monkeypatch.setattr(comparison, "train", None)  # nothing is trained again
    assert compare(*arguments) == results
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"schedule\.lr was 0\.01 and is 0\.02"):
        compare("toy", ("full",), (0,), tmp_path, [*overrides, "schedule.lr=0.02"])

    pictures = read_pictures(results["full"][0].folder)
    assert {name: list(by_epoch) for name, by_epoch in pictures.items()} == {"train_0000": [1], "train_0001": [1]}
    written = read_image(results["full"][0].folder / "pictures" / "epoch_001_train_0001.png")
    assert np.array_equal(pictures["train_0001"][1], written)


@pytest.mark.filterwarnings("ignore::toykit.solvers.ConvergenceWarning")
def test_the_papers_eight_train_on_the_toy_set(overrides, tmp_path):
    names = ("full", "seeds_only", "dense_crf", "nonlocal_crf", "grid_crf", "scribblesup", "soft_cce_q", "soft_cce_cd")
    results = compare("toy", names, (0,), tmp_path, [*overrides, "schedule.pretrain_epochs=1"])
    text = format_summaries([Summary.of(name, runs) for name, runs in results.items()])
    assert text.split()[: len(names)] == list(names)
    assert all(0 <= runs[0].miou <= 1 for runs in results.values())
    losses = [runs[0].history[-1]["loss"] for runs in results.values()]
    assert len(set(losses)) == len(losses)


def test_phase_one_is_gone_through_once_to_the_same_end(overrides, tmp_path, monkeypatch):
    chosen = [*overrides, "schedule.pretrain_epochs=1", "schedule.epochs=1"]
    methods = ("full", "soft", "dense_crf", "seeds_only")
    steps = []

    def count(config, run_dir, callback=None, after_epoch=lambda row: None):
        mine = []
        steps.append(mine)
        both = lambda *told: ((callback or (lambda *_: None))(*told), mine.append(told))  # noqa: E731
        return train(config, run_dir, callback=both, after_epoch=after_epoch)

    monkeypatch.setattr(comparison, "train", count)
    shared = compare("toy", methods, (0,), tmp_path / "shared", chosen)
    assert [len(mine) for mine in steps] == [4, 4, 2, 2]
    monkeypatch.undo()
    for name in methods:
        alone = train(shared[name][0].config, tmp_path / name)
        last, other = (run.history[-1] for run in (alone, shared[name][0]))
        assert (last["loss"], last["val_iou"]) == (other["loss"], other["val_iou"])

    common = tmp_path / "shared" / "phase_one_0.pt"
    config = shared["soft"][0].config.to_dict()
    assert checkpoint.adopt(common, tmp_path / "new", config)
    assert not checkpoint.adopt(common, tmp_path / "new", config)  # it has begun
    assert not checkpoint.adopt(tmp_path / "nowhere.pt", tmp_path / "newer", config)
    for changed in ({"run": config["run"] | {"seed": 1}}, {"schedule": config["schedule"] | {"pretrain_epochs": 2}}):
        assert not checkpoint.adopt(common, tmp_path / "newer", config | changed)
    free = config | {"run": config["run"] | {"checkpoint_steps": 7}}  # a key that a resumed run may change as well
    assert checkpoint.adopt(common, tmp_path / "free", free)
    torch.save(torch.load(common, weights_only=True) | {"progress": {"epoch": 1, "step": 1, "history": []}}, common)
    assert not checkpoint.adopt(common, tmp_path / "newer", config)
    common.write_bytes(b"nothing")
    with pytest.warns(checkpoint.CheckpointWarning, match=r"phase_one_0\.pt: cannot be read as a checkpoint"):
        assert not checkpoint.adopt(common, tmp_path / "newer", config)
    torch.save({"network": {}}, common)
    with pytest.warns(
        checkpoint.CheckpointWarning,
        match=r"cannot be read as a checkpoint \(it has no config, optimizer, progress, tally\)",
    ):
        assert not checkpoint.adopt(common, tmp_path / "newer", config)


@pytest.mark.parametrize("override", ["method=full", "run.seed=3"])
def test_what_is_compared_is_not_overridden(override, tmp_path):
    with pytest.raises(ValueError, match=f"{override}: methods and seeds are compared here"):
        compare("toy", ("soft",), (0,), tmp_path, [override])


def test_where_torchrun_fails_its_log_says_why(overrides, tmp_path, monkeypatch):
    def fail(command, stdout, stderr):
        stdout.write(b"W one process says\nError: data.root: gone\nError: data.root: gone\n")
        return SimpleNamespace(returncode=1)

    monkeypatch.setattr(comparison.subprocess, "run", fail)
    with pytest.raises(RuntimeError, match=r"torchrun\.log: torchrun ended with status 1: Error: data\.root: gone$"):
        compare("toy", ("full",), (0,), tmp_path, overrides, devices=2)


def result(miou, ious, seed=0):
    row = {"val_miou": miou, "val_iou": ious}
    return RunResult(None, load_config("toy", [f"run.seed={seed}"]), ("sky", "road"), [row], True)


def test_summaries_and_their_table():
    first = Summary.of("soft", [result(0.5, [0.4, 0.6]), result(0.6, [0.4, None])])
    assert (first.mean, first.low, first.high) == (pytest.approx(0.55), 0.5, 0.6)
    assert first.classes == {"sky": pytest.approx(0.4), "road": pytest.approx(0.6)}
    nothing = Summary.of("full", [result(None, None)])
    assert (nothing.mean, nothing.low, nothing.classes) == (None, None, {"sky": None, "road": None})
    cells = [re.split(r"  +", line.strip()) for line in format_summaries([first, nothing]).splitlines()]
    assert cells == [
        ["soft", "full"],
        ["mIoU", "55.0%", "-"],
        ["lowest to highest", "50.0% to 60.0%", "- to -"],
        ["sky", "40.0%", "-"],
        ["road", "60.0%", "-"],
    ]


def test_results_are_written_as_notebook_09_reads_them(tmp_path):
    results = {
        "full": [result(0.51234, []), result(None, None, seed=1), result(0.6, [], seed=2)],
        "soft": [result(0.4, [])],
    }
    assert write_results(results, tmp_path) == tmp_path / "presets_toy.csv"
    assert measured("presets_toy", tmp_path) == [
        {"method": "full", "seed": 0, "miou": 51.23},
        {"method": "full", "seed": 2, "miou": 60.0},
        {"method": "soft", "seed": 0, "miou": 40.0},
    ]


def test_the_time_of_phase_two_counts_each_epoch_by_its_duration():
    config = load_config("toy", ["schedule.batch=6"])
    rows = [
        {"phase": "seeds", "images_per_second": 100, "solver_share": 0},
        {"phase": "soft", "images_per_second": 2, "solver_share": 0.5},
        {"phase": "soft", "images_per_second": 6, "solver_share": 0.1},
    ]
    run = RunResult(None, config, ("sky",), rows, True)
    assert run.phase_two_time() == pytest.approx((2, (3 * 0.5 + 1 * 0.1) / 4))
    alone = RunResult(None, config, ("sky",), rows[:1], True)
    assert alone.phase_two_time() == pytest.approx((0.06, 0))
