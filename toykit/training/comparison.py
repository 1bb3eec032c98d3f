"""Runs side by side: every method from every seed, each in a folder of its own, and a table of the results.

Methods that share phase one train it once per seed: the first leaves its checkpoint in `PHASE_ONE` in the folder, and the
others continue from it. A run of one process trains in this process. A run of several is a command of its own, `torchrun -m
toykit train`, because processes that share GPUs must be started as such and not forked from a notebook's kernel; its result
is read from its folder.
"""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from toykit.experiments import results as tables
from toykit.training import checkpoint
from toykit.training.config import Config
from toykit.training.load import load_config
from toykit.training.loop import Callback, train
from toykit.training.methods import with_method
from toykit.training.run_folder import RunResult, read_run, write_config

LOG, WANTED, PHASE_ONE = "torchrun.log", "torchrun.yaml", "phase_one_{seed}.pt"


def compare(
    source: str | Path,
    methods: Sequence[str],
    seeds: Sequence[int],
    folder: str | Path,
    overrides: Sequence[str] = (),
    devices: int = 1,
    callback: Callable[[str, int, RunResult], object] = lambda *_: None,
) -> dict[str, list[RunResult]]:
    """Train every method from every seed.

    Parameters
    ----------
    source, overrides
        What all runs have in common, see `load_config`.
    methods : sequence of str
        Methods, or names of presets; see `with_method`.
    seeds, folder, devices, callback
        See `run_all`.

    Returns
    -------
    dict
        Method -> list of RunResult, by seed.

    Raises
    ------
    ValueError
        An override sets the method or the seed.
    Exception
        What `load_config`, `with_method` and `run_one` raise.
    """
    for override in overrides:
        if override.split("=")[0] in ("method", "run.seed"):
            raise ValueError(f"{override}: methods and seeds are compared here; leave it out of the overrides")
    base = load_config(source, overrides)
    configs = {method: with_method(base, method) for method in methods}
    return run_all(configs, seeds, folder, devices, callback)


def run_all(
    configs: Mapping[str, Config],
    seeds: Sequence[int],
    folder: str | Path,
    devices: int = 1,
    callback: Callable[[str, int, RunResult], object] = lambda *_: None,
) -> dict[str, list[RunResult]]:
    """Train every configuration from every seed.

    Parameters
    ----------
    configs : mapping of str to Config
        The configurations by name.
    seeds : sequence of int
        The value of run.seed in each run of a configuration.
    folder : str or Path
        Each run has the folder NAME_SEED in it. Finished runs are loaded; interrupted runs resume.
    devices : int, default 1
        Processes of each run.
    callback : callable, optional
        callback(name, seed, result) after each run.

    Returns
    -------
    dict
        Name -> list of RunResult, by seed.

    Raises
    ------
    Exception
        What `run_one` raises.
    """
    results: dict[str, list[RunResult]] = {name: [] for name in configs}
    for seed in seeds:  # the first seed of all configurations comes first
        for name, config in configs.items():
            chosen = dataclasses.replace(config, run=dataclasses.replace(config.run, seed=seed))
            common = Path(folder) / PHASE_ONE.format(seed=seed)
            result = run_one(chosen, Path(folder) / f"{name}_{seed}", devices, common)
            results[name].append(result)
            callback(name, seed, result)
    return results


def run_one(
    config: Config,
    run_dir: Path,
    devices: int = 1,
    common: Path | None = None,
    callback: Callback | None = None,
    after_epoch: Callable[[dict], object] = lambda row: None,
) -> RunResult:
    """Train one configuration, in this process or, on several devices, under torchrun; a finished run is only loaded.

    Parameters
    ----------
    config : Config
    run_dir : Path
        The run's folder.
    devices : int, default 1
        Number of processes.
    common : Path, optional
        A file for the end of phase one. A run in this process starts from it if the file belongs to the same phase one, with
        the same result, and writes its own there if there is no such file.
    callback, after_epoch : callable, optional
        See `toykit.training.train`. A run under torchrun calls neither.

    Returns
    -------
    RunResult

    Raises
    ------
    RuntimeError
        torchrun failed; the message contains the end of its log.
    Exception
        What `train` raises.
    """
    if (run_dir / "metrics.json").is_file():
        before = read_run(run_dir)
        if before.finished and before.config == config:
            return before
    if devices > 1:
        return _run_under_torchrun(config, run_dir, devices)
    if common is None or not has_phase_one(config):
        return train(config, run_dir, callback=callback, after_epoch=after_epoch)
    tree = config.to_dict()
    checkpoint.adopt(common, run_dir, tree)
    checkpoint.share_phase_one(run_dir, common, tree)  # a run may have been killed between its checkpoint and the copy

    def keep(row: dict) -> None:
        if row["epoch"] == config.schedule.pretrain_epochs:
            checkpoint.share_phase_one(run_dir, common, tree)
        after_epoch(row)

    return train(config, run_dir, callback=callback, after_epoch=keep)


def has_phase_one(config: Config) -> bool:
    """Return whether a run has a phase one; the method full uses the masks from the start."""
    return config.schedule.pretrain_epochs > 0 and config.method != "full"


def _run_under_torchrun(config: Config, run_dir: Path, devices: int) -> RunResult:
    """Start the run's processes, wait for them and read the result."""
    write_config(run_dir / WANTED, config)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices)]
    command = [*torchrun, "-m", "toykit", "train", str(run_dir / WANTED), "-o", str(run_dir)]
    with (run_dir / LOG).open("wb") as log:
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    if status:
        lines = (run_dir / LOG).read_text(errors="replace").splitlines()
        reason = [line for line in lines if line.startswith("Error: ")][:1] or lines[-5:]
        raise RuntimeError(f"{run_dir / LOG}: torchrun ended with status {status}: {' '.join(reason)}")
    return read_run(run_dir)


def write_results(results: Mapping[str, Sequence[RunResult]], folder: str | Path) -> Path:
    """Write the last mIoU of each run as the table `presets_toy`, which notebook 09 reads.

    Parameters
    ----------
    results : mapping of str to sequence of RunResult
        What `compare` returns. A run's row has the seed of its configuration; runs that were not evaluated are left out.
    folder : str or Path

    Returns
    -------
    Path
        The file, `presets_toy.csv`, with the columns method, seed and miou (in percent).
    """
    rows = [
        {"method": method, "seed": run.config.run.seed, "miou": round(100 * run.miou, 2)}
        for method, runs in results.items()
        for run in runs
        if run.miou is not None
    ]
    return tables.write("presets_toy", rows, folder)


@dataclass(frozen=True)
class Summary:
    """A method over its seeds, after the last epoch; None where nothing was evaluated or a class never occurs.

    Attributes
    ----------
    method : str
    mean, low, high : float, in [0, 1]
        Mean, lowest and highest mIoU.
    classes : dict
        Class -> mean IoU in [0, 1].
    """

    method: str
    mean: float | None
    low: float | None
    high: float | None
    classes: dict[str, float | None]

    @classmethod
    def of(cls, method: str, results: Sequence[RunResult]) -> Summary:
        """Summarise the results of one method."""
        mious = [r.miou for r in results]
        last = [r.history[-1]["val_iou"] or [None] * len(r.classes) for r in results]
        classes = {name: _mean([ious[k] for ious in last]) for k, name in enumerate(results[0].classes)}
        known = [m for m in mious if m is not None]
        return cls(method, _mean(mious), min(known, default=None), max(known, default=None), classes)


def _mean(values: Sequence[float | None]) -> float | None:
    """Average the numbers that exist; None if there are none."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def format_summaries(summaries: Sequence[Summary]) -> str:
    """Write summaries as plain text, in percent: one column per method with mean, range, and one line per class."""
    methods = [s.method for s in summaries]
    wide = max(len(name) for name in (*summaries[0].classes, "lowest to highest"))
    lines = [" " * wide + "".join(f"{m:>18}" for m in methods)]
    lines.append(f"{'mIoU':{wide}}" + "".join(f"{_percent(s.mean):>18}" for s in summaries))
    ranges = [f"{_percent(s.low)} to {_percent(s.high)}" for s in summaries]
    lines.append(f"{'lowest to highest':{wide}}" + "".join(f"{r:>18}" for r in ranges))
    for name in summaries[0].classes:
        lines.append(f"{name:{wide}}" + "".join(f"{_percent(s.classes[name]):>18}" for s in summaries))
    return "\n".join(lines)


def _percent(value: float | None) -> str:
    """Write a share in percent."""
    return "-" if value is None else f"{value:.1%}"
