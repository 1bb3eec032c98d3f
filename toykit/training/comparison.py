"""Runs side by side: every method from every seed, each in a folder of its own, and the table of what they came to.

Methods that share phase one go through it once a seed: `PHASE_ONE` in the folder, from which the others go on. A run of one
process trains here. One of several is a command of its own, `torchrun -m toykit train`: processes that share GPUs must be
started as such, not forked from a notebook's kernel; what it brought is read from its folder.
"""

import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from toykit._shared.files import write_atomically
from toykit.training import checkpoint
from toykit.training.config import Config
from toykit.training.load import load_config
from toykit.training.loop import train
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
    """Train every method from every seed: `run_all` of `with_method`, so that a method may be a preset's name too.

    source, overrides: as of `load_config`: what all have in common.
    Raises: ValueError if an override sets what is compared; what `load_config`, `with_method` and `run_one` raise.
    """
    for override in overrides:
        if override.split("=")[0] in ("method", "run.seed"):
            raise ValueError(f"{override}: methods and seeds are what is compared; leave it out of the overrides")
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
    """Train every configuration from every seed, in folder/NAME_SEED; returns the results of each name, by seed.

    What is finished there is read, what was interrupted goes on. devices: processes of each run.
    callback: callback(name, seed, result) after each. Raises: what `run_one` raises.
    """
    results = {name: [] for name in configs}
    for seed in seeds:  # a first seed of everything comes first
        for name, config in configs.items():
            chosen = dataclasses.replace(config, run=dataclasses.replace(config.run, seed=seed))
            common = Path(folder) / PHASE_ONE.format(seed=seed)
            result = run_one(chosen, Path(folder) / f"{name}_{seed}", devices, common)
            results[name].append(result)
            callback(name, seed, result)
    return results


def run_one(config: Config, run_dir: Path, devices: int = 1, common: Path | None = None) -> RunResult:
    """One run, in this process or, for several devices, under torchrun; a finished one is only read.

    common: a file for the end of phase one. A run in this process begins there if the file is of the same phase one, to
    the same result, and otherwise leaves its own there.
    Raises: what `train` raises; RuntimeError, with the end of the run's log, where torchrun fails.
    """
    if (run_dir / "metrics.json").is_file():
        before = read_run(run_dir)
        if before.finished and before.config == config:
            return before
    if devices == 1:
        if (
            common is None or config.schedule.pretrain_epochs == 0 or config.method == "full"
        ):  # it sees masks from the start
            return train(config, run_dir)
        begun = checkpoint.adopt(common, run_dir, config.to_dict())

        def keep(step: int, loss: float) -> None:
            nonlocal begun
            if not begun and len(read_run(run_dir).history) == config.schedule.pretrain_epochs:
                with (run_dir / checkpoint.NAME).open("rb") as own:
                    write_atomically(common, partial(shutil.copyfileobj, own))
                begun = True

        return train(config, run_dir, callback=keep)
    write_config(run_dir / WANTED, config)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices)]
    command = [*torchrun, "-m", "toykit", "train", str(run_dir / WANTED), "-o", str(run_dir)]
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


def format_summaries(summaries: Sequence[Summary]) -> str:
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
