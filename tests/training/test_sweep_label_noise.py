"""Fig. 3(d)'s grid on the engine of all sweeps: it resumes with the same cells, its table is the figure's."""

import pytest
import torch

pytest.importorskip("optuna")

from toykit.datasets import scenes
from toykit.experiments.label_noise import Settings
from toykit.experiments.label_noise_training import train
from toykit.training.sweep import label_noise, load_table, run_sweep, status

SMALL = {
    "source": "generated", "side": 8, "train_per_class": 2, "test_per_class": 1, "epochs": 2, "batch": 6, "shift": 1,
    "stages": 1,
}  # fmt: skip
TINY = f"experiment: label_noise\ngrid: {{loss: [CE, RCE, CCE], noise: [0.5]}}\nseeds: [1]\nagainst: CE\noverrides: {SMALL}"


def lasting(rows):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def test_an_interrupted_grid_resumes_to_the_same_cells(table, tmp_path, monkeypatch):
    path = table(TINY)
    whole = run_sweep(path, tmp_path / "whole")
    settings = Settings("CCE", 0.5, 1, **SMALL)
    alone = train(settings, *(scenes(split, 8, n, source="generated") for split, n in (("train", 2), ("test", 1))))
    last = label_noise.cells(whole)[-1]
    assert (last.loss, last.noise, last.seed, len(last.accuracies)) == ("CCE", 0.5, 1, 2)
    assert last.accuracies == pytest.approx(alone.accuracies, abs=5e-5)  # percent with two decimals
    assert last.confidence == pytest.approx(alone.confidence, abs=5e-5)

    begun = []

    def stops_at_the_third(settings, *rest):
        begun.append(settings.loss)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return train(settings, *rest)

    monkeypatch.setattr(label_noise, "train", stops_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(path, tmp_path / "stopped")
    assert "2 done, 0 running, 1 waiting, 0 failed" in status(tmp_path / "stopped")
    torch.manual_seed(123)
    assert lasting(run_sweep(path, tmp_path / "stopped")) == lasting(whole)
    assert begun == ["CE", "RCE", "CCE", "CCE"]  # finished runs are not trained again
    assert "| CE_0.5 | 1 |" in status(tmp_path / "stopped")
    assert (tmp_path / "stopped" / "table.csv").read_text().startswith("variant,loss,noise,seed,accuracy,confidence")
    with pytest.raises(ValueError, match="begun with another table or other overrides"):
        run_sweep(path, tmp_path / "stopped", ["lr=0.002"])


def test_photos_that_are_missing_stop_it_before_any_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    label_noise._scenes.cache_clear()
    with pytest.raises(
        FileNotFoundError, match=r"fig3d, row CE_0: .*natural_scenes.* Set TOYKIT_DATA .* source generated"
    ):
        run_sweep("fig3d", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_shipped_grid_is_the_figures():
    table = load_table("fig3d")
    configs = [table.config(row, seed) for seed in table.seeds for row in table.rows.values()]
    grid = {(config.loss, config.noise, config.seed) for config in configs}
    assert grid == {(loss, eta, s) for loss in ("CE", "RCE", "CCE") for eta in (0, 0.3, 0.5, 0.7) for s in range(3)}
    assert configs[0] == Settings("CE", 0.0, 0)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("variants: {a: {loss: NLL}}", "row a: loss: expected one of CE, RCE, CCE, Q; got 'NLL'"),
        ("variants: {a: {noise: 1.5}}", "noise"),
        ("variants: {a: {rate: 3}}", "overrides: unknown key rate; the configuration has loss, noise, seed"),
        ("variants: {a: {seed: 3}}", "seed is set by the sweep"),
        ("preset: toy\nvariants: {a: }", "preset: the experiment label_noise has none, got toy"),
        (
            "variants: {a: }\ntune: {space: {lr: [1, 2]}}",
            "tune: the settings of the experiment label_noise cannot be tuned",
        ),
        (
            "variants: {a: }\npaper: {table: table3, columns: {relaxation: loss}}",
            "paper: the paper's tables hold mIoU, which the experiment label_noise does not measure",
        ),
    ],
)
def test_errors_name_the_place(text, match, table):
    with pytest.raises(ValueError, match=r"mine\.yaml: ") as caught:
        load_table(table(f"experiment: label_noise\n{text}"))
    assert match in str(caught.value)


def test_an_unknown_experiment(table):
    with pytest.raises(ValueError, match="experiment: expected one of segmentation, label_noise; got 'noise'"):
        load_table(table("experiment: noise\nvariants: {a: }"))
