"""Runs side by side: every method from every seed, each in a folder of its own, and the table of what they came to.

A run of one process trains here. One of several is a command of its own, `torchrun -m toykit train`: processes that share
GPUs must be started as such, not forked from a notebook's kernel; what it brought is read from its folder.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from toykit.training.config import load_config
from toykit.training.folder import RunResult, read_run
from toykit.training.loop import train

LOG = "torchrun.log"


def compare(
    source: str | Path,
    methods: Sequence[str],
    seeds: Sequence[int],
    folder: str | Path,
    overrides: Sequence[str] = (),
    devices: int = 1,
    callback: Callable[[str, int, RunResult], object] = lambda *_: None,
) -> dict[str, list[RunResult]]:
    """Train every method from every seed, in folder/METHOD_SEED; returns the results of each method, by seed.

    What is finished there is read, what was interrupted goes on. source, overrides: as of `load_config`. devices:
    processes of each run. callback: callback(method, seed, result) after each.
    Raises: ValueError if an override sets what is compared; what `launch` raises.
    """
    for override in overrides:
        if override.split("=")[0] in ("method", "run.seed"):
            raise ValueError(f"{override}: methods and seeds are what is compared; leave it out of the overrides")
    results = {method: [] for method in methods}
    for seed in seeds:  # a first seed of everything comes first
        for method in methods:
            chosen = [*overrides, f"method={method}", f"run.seed={seed}"]
            result = launch(source, chosen, Path(folder) / f"{method}_{seed}", devices)
            results[method].append(result)
            callback(method, seed, result)
    return results


def launch(source: str | Path, overrides: Sequence[str], run_dir: Path, devices: int = 1) -> RunResult:
    """One run, in this process or, for several devices, under torchrun; a finished one is only read.

    Raises: what `load_config` and `train` raise; RuntimeError, with the end of the run's log, where torchrun fails.
    """
    config = load_config(source, overrides)
    if (run_dir / "metrics.json").is_file():
        before = read_run(run_dir)
        if before.finished and before.config == config:
            return before
    if devices == 1:
        return train(config, run_dir)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices)]
    command = [*torchrun, "-m", "toykit", "train", str(source), *overrides, "-o", str(run_dir)]
    run_dir.mkdir(parents=True, exist_ok=True)
    with (run_dir / LOG).open("wb") as log:
        status = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode
    if status:
        said = (run_dir / LOG).read_text(errors="replace").splitlines()
        why = [line for line in said if line.startswith("Error: ")][:1] or said[-5:]
        raise RuntimeError(f"{run_dir / LOG}: torchrun ended with status {status}: {' '.join(why)}")
    return read_run(run_dir)


@dataclass(frozen=True)
class Summary:
    """A method over its seeds, after the last epoch: mIoU in [0, 1], mean, lowest and highest; mean IoU of each class.

    None where there is no such number: nothing was evaluated, or a class never occurs.
    """

    method: str
    mean: float | None
    low: float | None
    high: float | None
    classes: dict[str, float | None]

    @classmethod
    def of(cls, method: str, results: Sequence[RunResult]) -> "Summary":
        """Of one method's results."""
        mious = [r.miou for r in results]
        last = [r.history[-1]["val_iou"] or [None] * len(r.classes) for r in results]
        classes = {name: _mean([ious[k] for ious in last]) for k, name in enumerate(results[0].classes)}
        known = [m for m in mious if m is not None]
        return cls(method, _mean(mious), min(known, default=None), max(known, default=None), classes)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def table(summaries: Sequence[Summary]) -> str:
    """The summaries as plain text, in percent: a line a method, with mean and range, then a line a class."""
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
    return "-" if value is None else f"{value:.1%}"
