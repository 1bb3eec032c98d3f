"""Sweeps: each run once, phase one shared, rows tuned apart, killed workers replaced with the same result, errors in time."""

import contextlib
import csv
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner
from helpers import postgres, sweep_workers
from helpers.training import assert_same_weights, make_toy_set, small_study, weights_of

pytest.importorskip("optuna")

from toykit.cli import main
from toykit.training import RunResult
from toykit.training.sweep import launch, load_table, run_sweep, segmentation, status
from toykit.training.sweep.sweep import Sweep, work

TINY = (
    "variants: {seeds_only: {method: seeds_only}, descent: {method: gradient_descent}}\nseeds: 2\nagainst: seeds_only\n"
)

SMALLEST = ["data.limit=2", "data.val_limit=1"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_toy_set(tmp_path_factory)


class Trainings:
    """Stands for `run_one`: two epochs, the second with the mIoU lam / 100; remembers what it was given."""

    def __init__(self):
        self.done, self.during = [], lambda run_dir: None

    def __call__(self, config, run_dir, devices, common, callback, after_epoch):
        self.done.append((run_dir.name, config, common))
        self.during(run_dir)
        history = []
        for epoch in (1, 2):
            scores = dict.fromkeys(("val_miou", "val_accuracy", "val_accuracy_inside", "val_accuracy_boundary"))
            scores["val_miou"] = config.energy.lam / 100
            row = {
                "epoch": epoch,
                "step": 3 * epoch,
                "phase": "seeds" if epoch == 1 else config.method,
                "label_miou": None,
            }
            history.append(row | scores | {"images_per_second": 1.0, "solver_share": 0.0})
            if common is not None and epoch == 1:
                common.parent.mkdir(exist_ok=True)
                common.touch()
            after_epoch(history[-1])
        return RunResult(run_dir, config, ("sky",), history, True)


@pytest.fixture
def trainings(monkeypatch):
    fake = Trainings()
    monkeypatch.setattr(segmentation, "run_one", fake)
    monkeypatch.setattr(launch, "check_needs", lambda table: None)
    return fake


def lasting(path):
    """The rows of a table without what depends on the machine's speed."""
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if k not in ("solver_share", "seconds_per_step")} for row in rows]


def assert_same_sweep(folder, other):
    assert lasting(folder / "table.csv") == lasting(other / "table.csv")
    for run in ("seeds_only_0", "seeds_only_1", "descent_0", "descent_1"):
        assert_same_weights(weights_of(folder / run), weights_of(other / run))


@pytest.fixture(scope="module")
def unbroken(root, tmp_path_factory):
    """The folder of a sweep in one process, with its table: four runs of two steps, one per phase."""
    folder = tmp_path_factory.mktemp("unbroken")
    (folder / "mine.yaml").write_text(TINY)
    run_sweep(folder / "mine.yaml", folder / "runs", [*small_study(root), *SMALLEST])
    return folder / "runs"


@pytest.fixture(scope="module")
def survived(unbroken, tmp_path_factory):
    """Storage -> how the four workers of a sweep on it ended, its folder and its URL; postgresql only where it is installed."""
    with contextlib.ExitStack() as stack:
        sweeps = {"journal": (tmp_path_factory.mktemp("journal") / "shared", "")}
        with contextlib.suppress(pytest.skip.Exception):
            server = stack.enter_context(postgres.server_or_skip())
            sweeps["postgresql"] = (tmp_path_factory.mktemp("postgresql") / "shared", server.url)
        command = [sys.executable, sweep_workers.__file__, unbroken / "mine.yaml", "3"]
        command += [f"{folder}={url}" for folder, url in sweeps.values()]
        output = subprocess.run(command, capture_output=True, text=True, timeout=900, check=True).stdout
        ended = [line for line in output.splitlines() if line.startswith("ended")]
        yield {name: (line, *sweep) for line, (name, sweep) in zip(ended, sweeps.items(), strict=True)}


@pytest.mark.parametrize("storage", ["journal", "postgresql"])
def test_two_of_four_workers_are_killed_and_the_result_is_that_of_an_unbroken_sweep(storage, unbroken, survived):
    if storage not in survived:
        pytest.skip("needs PostgreSQL and psycopg[binary]")
    ended, folder, url = survived[storage]
    assert ended == f"ended {signal.SIGKILL:d} {signal.SIGKILL:d} 0 0"
    states = [
        trial.state.name for trial in Sweep(load_table(unbroken / "mine.yaml"), folder, url or None).runs.trials()
    ]
    assert (states.count("COMPLETE"), states.count("FAIL")) == (4, 2)
    assert_same_sweep(folder, unbroken)
    assert {p.name for p in folder.glob("phase_one_*")} == {"phase_one_0.pt", "phase_one_1.pt"}


def test_a_sweep_waits_for_a_database_that_is_restarted(unbroken, root, tmp_path):
    """Two workers, twice, while each has a run; the result is that of an unbroken sweep."""
    folder = tmp_path / "shared"
    with postgres.server_or_skip() as server:
        command = [sys.executable, "-m", "toykit", "sweep", unbroken / "mine.yaml", "-o", folder]
        command += ["--storage", server.url, *small_study(root), *SMALLEST]
        piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        workers = [subprocess.Popen(command, **piped) for _ in range(2)]
        try:
            end = time.monotonic() + 300
            while len(list(folder.glob("*_[01]"))) < 2:
                assert time.monotonic() < end
                time.sleep(0.1)
            for _ in range(2):
                assert [worker.poll() for worker in workers] == [None, None]  # both are at work
                server.stop()
                time.sleep(3)
                server.start()
                time.sleep(1)
            said = [worker.communicate(timeout=600)[0] for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
        assert [worker.returncode for worker in workers] == [0, 0], said
    assert_same_sweep(folder, unbroken)


def test_each_run_once_and_finished_ones_are_loaded(trainings, table, tmp_path):
    path = table(TINY)
    rows = run_sweep(path, tmp_path / "runs", ["schedule.pretrain_epochs=1"], say=print)
    assert [name for name, _, _ in trainings.done] == ["seeds_only_0", "seeds_only_1", "descent_0", "descent_1"]
    assert [common.name for _, _, common in trainings.done] == ["phase_one_0.pt", "phase_one_1.pt"] * 2
    assert {(r["variant"], r["seed"]) for r in rows} == {(v, s) for v in ("seeds_only", "descent") for s in (0, 1)}
    assert rows[0]["overrides"] == "method=seeds_only"
    left = (
        tmp_path / "runs" / ".table.csv.toykit-ffffffff-9.00000000"
    )  # by a worker of another machine, which was killed
    left.touch()
    os.utime(left, (1, 1))
    assert run_sweep(path, tmp_path / "runs", ["schedule.pretrain_epochs=1"]) == rows
    assert not left.exists()
    assert len(trainings.done) == 4
    with pytest.raises(ValueError, match="begun with another table or other overrides; choose another folder"):
        run_sweep(path, tmp_path / "runs", ["schedule.pretrain_epochs=2"])
    run_sweep(path, tmp_path / "runs", ["schedule.pretrain_epochs=1", "run.pictures=1"])  # where it runs may differ
    text = status(tmp_path / "runs")
    assert "4 done, 0 running, 0 waiting, 0 failed" in text
    assert "| seeds_only | 2 | 60.0 ± 0.0 |" in text
    shutil.copytree(tmp_path / "runs", tmp_path / "copy")  # as a renamed folder
    assert "4 done, 0 running, 0 waiting, 0 failed" in status(tmp_path / "copy")
    assert [row["miou"] for row in run_sweep(path, tmp_path / "copy", ["schedule.pretrain_epochs=1"])] == [
        row["miou"] for row in rows
    ]
    assert len(trainings.done) == 4


def test_phase_one_is_shared_by_what_it_depends_on(trainings, table, tmp_path):
    path = table(
        "grid: {supervision.ratio: [0.5, 1], energy.relaxation: [Q, CD]}\noverrides: {schedule.pretrain_epochs: 1}"
    )
    run_sweep(path, tmp_path / "runs")
    common = {name: common.name for name, _, common in trainings.done}
    assert common["0.5_Q_0"] == common["0.5_CD_0"] == "phase_one_0.pt"
    assert common["1_Q_0"] == common["1_CD_0"] != "phase_one_0.pt"
    leaders = [name for name, _, _ in trainings.done][:2]
    assert leaders == ["0.5_Q_0", "1_Q_0"]  # the others wait until these have gone through phase one


@pytest.mark.parametrize(("sampler", "trials"), [("grid", 3), ("random", 4), ("tpe", 4)])
def test_each_row_is_tuned_on_held_out_photos_and_its_best_is_run(sampler, trials, trainings, table, tmp_path):
    space = "[6, 60, 30]" if sampler == "grid" else "{low: 1, high: 90, log: true}"
    path = table(
        "variants: {a: , b: {energy.relaxation: Q}, c: {method: seeds_only, space: {}}}\nseeds: 2\n"
        f"tune: {{sampler: {sampler}, trials: 4, holdout: 0.3, space: {{energy.lam: {space}}}}}"
    )
    rows = run_sweep(path, tmp_path / "runs")
    tuned = {r: [c for name, c, _ in trainings.done if name.startswith(f"{r}_") and c.data.holdout] for r in "abc"}
    assert {r: len(configs) for r, configs in tuned.items()} == {"a": trials, "b": trials, "c": 0}
    assert {c.data.holdout for configs in tuned.values() for c in configs} == {0.3}
    assert {c.run.seed for configs in tuned.values() for c in configs} == {0}
    final = [c for _, c, _ in trainings.done if not c.data.holdout]
    assert len(final) == 6
    for config in final:
        if config.method == "soft":
            row = "a" if config.energy.relaxation == "CD" else "b"
            assert config.energy.lam == max(c.energy.lam for c in tuned[row])
    assert all(("energy.lam=" in row["overrides"]) == (row["variant"] != "c") for row in rows)
    assert "best of" in status(tmp_path / "runs")


def test_a_rows_settings_are_chosen_once(trainings, table, tmp_path):
    """A trial of the tuning fails, so another wins; the next command must not tune again between the row's runs."""
    failing = {"tuning/a_1", "a_1"}

    def fail(run_dir):
        if str(run_dir.relative_to(tmp_path / "runs")) in failing:
            raise ValueError("no memory")

    trainings.during = fail
    path = table("variants: {a: }\nseeds: 2\ntune: {sampler: grid, space: {energy.lam: [6, 60]}}")
    with pytest.raises(RuntimeError, match=r"1 runs failed; .* a_1: no memory"):
        run_sweep(path, tmp_path / "runs")
    assert "tuning/a_1: no memory" in status(tmp_path / "runs")
    failing.clear()
    rows = run_sweep(path, tmp_path / "runs")
    assert [row["overrides"] for row in rows] == ["energy.lam=6"] * 2
    assert [c.energy.lam for name, c, _ in trainings.done if not c.data.holdout] == [6, 6, 6]


def test_a_failed_tuning_is_repeated_before_its_rows_runs(trainings, table, tmp_path):
    path = table("variants: {a: }\ntune: {sampler: grid, space: {energy.lam: [6, 60]}}")
    sweep = Sweep(load_table(path, ["schedule.pretrain_epochs=0"]), tmp_path / "runs")
    sweep.add_startable()
    queue = sweep.tuned["a"]
    queue.claim().finish(1.0)
    queue.claim().fail(ValueError("no memory"))
    sweep.add_startable(again=True)
    assert [trial.state.name for trial in queue.trials()] == ["COMPLETE", "FAIL", "WAITING"]
    assert not sweep.runs.trials()
    work(sweep)
    assert [c.energy.lam for _, c, _ in trainings.done] == [60, 60]


def test_random_trials_do_not_depend_on_their_order(trainings, table, tmp_path):
    text = "variants: {a: }\ntune: {sampler: random, trials: 4, space: {energy.lam: {low: 1, high: 90}}}"
    run_sweep(table(text), tmp_path / "runs")
    values = [c.energy.lam for _, c, _ in trainings.done[:4]]
    assert len(set(values)) == 4
    sweep = Sweep(load_table(table(text)), tmp_path / "again")
    sweep.tuned["a"].add("tuning/a_2", {})
    trainings.done.clear()
    work(sweep)
    assert [c.energy.lam for _, c, _ in trainings.done[:4]] == [values[k] for k in (2, 0, 1, 3)]


def test_pruned_trials_end_early(trainings, table, tmp_path):
    tune = "{sampler: grid, prune: true, space: {energy.lam: [50, 60, 70, 80, 5]}}"
    said = []
    short = ["schedule.pretrain_epochs=0", "schedule.epochs=2"]
    run_sweep(table(f"variants: {{a: }}\ntune: {tune}"), tmp_path / "runs", short, say=said.append)
    ended = [line for line in said if "ended early" in line]
    assert ended == ["tuning/a_4: ended early, below the median of the earlier trials"]


def test_a_failed_run_stops_no_other_and_is_tried_again_by_the_next_command(trainings, table, tmp_path):
    def fail(run_dir):
        if run_dir.name == "descent_0":
            raise ValueError("the photo is gone")

    trainings.during = fail
    path = table(TINY)
    with pytest.raises(RuntimeError, match=r"1 runs failed; rerun .* descent_0: the photo is gone"):
        run_sweep(path, tmp_path / "runs")
    assert "3 done, 0 running, 0 waiting, 1 failed" in status(tmp_path / "runs")
    trainings.during = lambda run_dir: None
    assert len(run_sweep(path, tmp_path / "runs")) == 4
    assert len(trainings.done) == 5


def test_an_interrupted_worker_gives_its_trial_back_at_once(trainings, table, tmp_path):
    def interrupt(run_dir):
        raise KeyboardInterrupt

    trainings.during = interrupt
    path = table(TINY)
    with pytest.raises(KeyboardInterrupt):
        run_sweep(path, tmp_path / "runs")
    trainings.during = lambda run_dir: None
    assert len(run_sweep(path, tmp_path / "runs")) == 4  # without waiting for the lease of 60 s


def test_missing_data_weights_and_evaluations_stop_before_any_run(root, table, tmp_path, monkeypatch):
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    for name, match in {"table3": "table3, row BL_0: .*VOC", "table6": "table6, row cityscapes_full: "}.items():
        with pytest.raises((ValueError, FileNotFoundError), match=match):
            run_sweep(name, tmp_path / "runs")
    with pytest.raises((ValueError, FileNotFoundError), match=r"mine, row a: .*weights\.pt"):
        run_sweep(
            table(f"variants: {{a: {{model.weights: {tmp_path / 'weights.pt'}}}}}"),
            tmp_path / "runs",
            small_study(root),
        )
    with pytest.raises(ValueError, match=r"run\.eval_every: a sweep compares evaluations"):
        run_sweep(table("variants: {a: {run.eval_every: 0}}"), tmp_path / "runs")
    with pytest.raises(ValueError, match=r"run\.devices=2: each run of a sweep has one device; .*--workers"):
        run_sweep(table("variants: {a: {run.devices: 2}}"), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
    with pytest.raises(FileNotFoundError, match="no sweep here"):
        status(tmp_path)


def test_the_command_lists_tables_and_names_errors(table, tmp_path):
    for command in (["sweep", "--help"], ["sweep", "run", "--help"]):
        run = CliRunner().invoke(main, command)
        assert "table3_tuned" in run.output
    run = CliRunner().invoke(main, ["sweep", "tabel3"])
    assert (run.exit_code, "neither a file nor a table" in run.output) == (1, True)
    run = CliRunner().invoke(main, ["sweep", "status", str(tmp_path)])
    assert (run.exit_code, "no sweep here" in run.output) == (1, True)
