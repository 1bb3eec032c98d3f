"""Start a sweep: check what it needs, start its workers on this machine, wait for them; report how far one has come."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from toykit._shared.files import remove_unfinished, write_text
from toykit.training.sweep.queue import ERROR
from toykit.training.sweep.results import format_table, write_tables
from toykit.training.sweep.sweep import JOURNAL, LEASE, Sweep, work
from toykit.training.sweep.table import Table, load_table, tables

#: The storage's URL for worker processes, which a list of processes would otherwise show with its password.
STORAGE_VARIABLE = "TOYKIT_SWEEP_STORAGE"


def run_sweep(
    source: str | Path,
    folder: str | Path,
    overrides: Sequence[str] = (),
    storage: str | None = None,
    workers: int = 1,
    lease: float = LEASE,
    say: Callable[[str], object] = lambda line: None,
) -> list[dict]:
    """Run a table's sweep to its end, or take part in one that others run.

    Parameters
    ----------
    source, overrides
        See `toykit.training.sweep.load_table`.
    folder : str or Path
        Of the runs and the tables. Machines that share it share phase one and checkpoints, too.
    storage : str, optional
        A database's URL, e.g. postgresql+psycopg://USER@HOST/DATABASE. Default: a journal file in the folder.
    workers : int, default 1
        Processes on this machine; 1: this process.
    lease : float, default 60.0
        Seconds without a sign of life after which a worker's trial is taken up by another.
    say : callable, optional
        say(line) for each event.

    Returns
    -------
    list of dict
        The finished runs' rows, with the columns of the table's experiment.

    Raises
    ------
    FileNotFoundError, ValueError
        Before any run: data or weights are missing, the table is wrong, or the folder has another sweep.
    RuntimeError
        All workers ended before the sweep did, or jobs failed; the message names them with their errors.
    """
    table, folder = load_table(source, overrides), Path(folder)
    check_needs(table)
    sweep = Sweep(table, folder, storage, lease)
    remove_unfinished(folder)  # of workers that were killed
    path = _keep_table(source, overrides, folder, table)
    sweep.add_startable(again=True)
    if workers == 1:
        work(sweep, say)
    else:
        _run_workers(path, folder, storage, workers, lease, say)
        if sweep.add_startable():
            raise RuntimeError(f"{folder}: all workers ended before the sweep did; rerun the command to resume")
    rows = sweep.rows()
    write_tables(folder, table, rows)
    failed = [
        f"{job.key}: {trial.user_attrs[ERROR]}"
        for job, trial in sweep.jobs()
        if trial is not None and ERROR in trial.user_attrs and job.ready  # not of a tuning whose choice is made
    ]
    if failed:
        raise RuntimeError(f"{len(failed)} runs failed; rerun the command to try them again. " + "; ".join(failed[:3]))
    return rows


def check_needs(table: Table) -> None:
    """Check that the run of every row can start.

    Raises
    ------
    ValueError, FileNotFoundError
        What `Experiment.check` raises; the message begins with the row's name.
    """
    seen: set = set()
    for name, row in table.rows.items():
        try:
            table.experiment.check(table.config(row, table.seeds[0]), seen)
        except (FileNotFoundError, ValueError) as error:
            raise type(error)(f"{table.name}, row {name}: {error}") from error


def status(target: str | Path, storage: str | None = None) -> str:
    """Report how far a sweep has come.

    Parameters
    ----------
    target : str or Path
        Its folder, or its table, whose folder is `runs/NAME`.
    storage : str, optional
        The database's URL that the sweep was started with.

    Returns
    -------
    str
        The number of jobs by state, the best trial of each tuned row, the failures, the time left, and the table so far.
    """
    folder = Path(target) if Path(target).is_dir() else default_folder(target)
    kept = sorted(folder.glob("*.yaml"))
    if not kept or not (storage or (folder / JOURNAL).exists()):
        raise FileNotFoundError(f"{folder}: no sweep here; expected the folder of a sweep, or a table with runs/NAME")
    sweep = Sweep(load_table(kept[0]), folder, storage)
    jobs = sweep.jobs()
    states: dict[str, int] = dict.fromkeys(("done", "running", "waiting", "failed"), 0)
    failed, seconds = [], []
    for job, trial in jobs:
        state = {"COMPLETE": "done", "PRUNED": "done", "RUNNING": "running"}.get(
            "" if trial is None else trial.state.name
        )
        if trial is not None and ERROR in trial.user_attrs:
            state = "failed"
            failed.append(f"{job.key}: {trial.user_attrs[ERROR]}")
        elif trial is not None and trial.state.name == "COMPLETE" and trial.duration is not None:
            seconds.append(trial.duration.total_seconds())
        states[state or "waiting"] += 1
    lines = [f"{folder}: " + ", ".join(f"{count} {state}" for state, count in states.items())]
    left = states["running"] + states["waiting"]
    if left and seconds:
        hours = left * statistics.mean(seconds) / max(1, states["running"]) / 3600
        lines.append(f"about {hours:.1f} hours left with {max(1, states['running'])} running")
    for name, queue in sweep.tuned.items():
        finished = [trial for trial in queue.by_key().values() if trial.state.name == "COMPLETE"]
        if finished:
            best = max(finished, key=lambda trial: trial.values[0])
            chosen = ", ".join(f"{key}={value}" for key, value in best.params.items())
            lines.append(f"{name}: best of {len(finished)} trials {best.values[0]:.2f} with {chosen}")
    return "\n".join([*lines, *failed, "", format_table(sweep.table, sweep.rows())])


def default_folder(source: str | Path) -> Path:
    """Return the folder of a table's sweep where none is given."""
    return Path("runs") / Path(source).stem


def _keep_table(source: str | Path, overrides: Sequence[str], folder: Path, table: Table) -> Path:
    """Keep the table with the command's overrides in the folder, for workers and for `status`."""
    import yaml

    text = tables().get(str(source), Path(source)).read_text(encoding="utf-8")
    tree = yaml.safe_load(text)
    tree["overrides"] = (tree.get("overrides") or {}) | dict(item.split("=", 1) for item in overrides)
    path = folder / f"{table.name}.yaml"
    write_text(path, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
    return path


def _run_workers(
    path: Path, folder: Path, storage: str | None, workers: int, lease: float, say: Callable[[str], object]
) -> None:
    """Start worker processes and wait for them; what they say goes to this process's output."""
    command = [sys.executable, "-m", "toykit", "sweep", "run", str(path), "-o", str(folder), "--worker"]
    command += ["--lease", str(lease)]
    processes = []
    try:
        for number in range(workers):
            processes.append(subprocess.Popen(command, env=_environment(number, workers, storage)))
        for process in processes:
            status = process.wait()
            if status:
                say(f"a worker (process {process.pid}) ended with status {status}; others take up its trial")
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            process.wait()


def _environment(number: int, workers: int, storage: str | None) -> dict[str, str]:
    """Return a worker's environment: its share of the threads and, with several GPUs, one of them."""
    import torch

    given = dict(os.environ)
    given.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
    if storage is not None:
        given[STORAGE_VARIABLE] = storage
    visible = given.get("CUDA_VISIBLE_DEVICES") or ",".join(map(str, range(torch.cuda.device_count())))
    if "," in visible:
        devices = visible.split(",")
        given["CUDA_VISIBLE_DEVICES"] = devices[number % len(devices)]
    return given
