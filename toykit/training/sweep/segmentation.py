"""The runs of most tables: segmentation networks, as `toykit train` trains them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.error import URLError

from toykit.experiments.results import STUDY
from toykit.supervision import Supervision
from toykit.training import checkpoint
from toykit.training.comparison import PHASE_ONE, has_phase_one, run_one
from toykit.training.config import Config
from toykit.training.load import config_from, load_config, presets
from toykit.training.methods import with_method
from toykit.training.run_folder import RunResult, read_run
from toykit.training.sets import load_sets
from toykit.training.setup import build_network
from toykit.training.sweep.experiment import PHASE_ONE_DONE, PrunedError

if TYPE_CHECKING:
    from toykit.training.sweep.job import Job
    from toykit.training.sweep.queue import Claim
    from toykit.training.sweep.table import Row


def _labels_miou(rows: list[dict]) -> str:
    """Write the mean mIoU of the pseudo-labels over the runs that have them."""
    labels = [float(row["label_miou"]) for row in rows if row["label_miou"] != ""]
    return f"{statistics.mean(labels):.1f}" if labels else "-"


class Segmentation:
    """Train a segmentation network, see `Experiment`."""

    columns: Sequence[str] = tuple(STUDY)
    score, title, tunable = "miou", "mIoU", True
    further: Mapping[str, Callable[[list[dict]], str]] = {
        "labels' mIoU": _labels_miou,
        "supervision": lambda rows: rows[0]["supervision"],
    }

    def load(self, row: Row, common: Sequence[str], more: Sequence[str]) -> Config:
        """Read the preset and apply the common overrides, the method of another preset, and the row's own overrides."""
        own, preset = [*row.items, *more], row.preset or "toy"
        methods = [item.removeprefix("method=") for item in own if item.startswith("method=")]
        if methods and methods[-1] in presets():
            config = with_method(load_config(preset, common), methods[-1])
            own = [item for item in own if not item.startswith("method=")]
            return config_from({preset: config.to_dict()}, own)
        return load_config(preset, [*common, *own])

    def with_seed(self, config: Config, seed: int) -> Config:
        """Replace run.seed."""
        return dataclasses.replace(config, run=dataclasses.replace(config.run, seed=seed))

    def fixed(self, config: Config) -> dict:
        """Leave out the keys that set where a run runs."""
        tree = config.to_dict()
        for key in checkpoint.FREE_KEYS:
            part, name = key.split(".")
            del tree[part][name]
        return tree

    def check(self, config: Config, seen: set) -> None:
        """Load the data and build the network, each combination once.

        Raises
        ------
        ValueError, FileNotFoundError
            Data or weights are missing, or there is no evaluation or are several devices.
        """
        if not config.run.eval_every:
            raise ValueError("run.eval_every: a sweep compares evaluations; expected at least 1")
        if config.run.devices > 1:
            raise ValueError(
                f"run.devices={config.run.devices}: each run of a sweep has one device; expected 1. Use several with --workers"
            )
        supervision = dataclasses.replace(config.supervision, ratio=1.0)  # the same files for each length
        key = repr((config.data, supervision, config.model, config.method == "full"))
        if key in seen:
            return
        seen.add(key)
        try:
            training, _ = load_sets(config)
            build_network(config, len(training.classes))
        except (FileNotFoundError, ValueError):
            raise
        except (URLError, OSError, RuntimeError) as error:  # a download that failed
            raise ValueError(
                f"model.weights={config.model.weights}: cannot be loaded ({error}); give a file, model.weights=FILE, or "
                "model.weights=null for random weights"
            ) from error

    def phase_one(self, config: Config, first: Config) -> str | None:
        """Name the file by the seed and, where it is not the first row's phase one, a digest of what it depends on."""
        if not has_phase_one(config):
            return None
        digest = checkpoint.phase_one_digest(config.to_dict())
        other = "" if digest == checkpoint.phase_one_digest(first.to_dict()) else f"_{digest}"
        return PHASE_ONE.format(seed=f"{config.run.seed}{other}")

    def run(self, job: Job, claim: Claim, config: Config, folder: Path, own: Sequence[str]) -> dict[str, Any]:
        """Train the network, or load the finished run; report evaluations while it is a trial of the tuning."""
        if job.tuning and (folder / "metrics.json").is_file():  # another worker began it: repeat what it reported
            for row in read_run(folder).history:
                if row["val_miou"] is not None:
                    claim.report(row["val_miou"], row["epoch"])

        def after_epoch(row: dict) -> None:
            claim.check()
            if job.phase_one is not None and row["epoch"] == config.schedule.pretrain_epochs:
                claim.note(PHASE_ONE_DONE, True)
            worse = row["val_miou"] is not None and job.tuning and claim.report(row["val_miou"], row["epoch"])
            if worse and row["epoch"] < config.schedule.total_epochs:
                raise PrunedError

        result = run_one(config, folder, 1, job.phase_one, lambda *_: claim.check(), after_epoch)
        return result_row(job.row.name, own, result)


def result_row(name: str, own: Sequence[str], result: RunResult) -> dict[str, Any]:
    """Summarise a finished run as a row of the table.

    Parameters
    ----------
    name : str
        The variant's.
    own : sequence of str
        The variant's overrides.
    result : RunResult

    Returns
    -------
    dict
        The columns `STUDY`. mIoU and accuracies are in percent, after the last epoch, on the evaluated photos; label_miou is
        that of the pseudo-labels on the unlabelled pixels of the training photos in the last epoch. supervision: see
        `seeds_in_words`. solver_share is the share of the time of phase two's steps, in [0, 1]; seconds_per_step is of phase
        two.
    """
    last = result.history[-1]
    seconds, share = result.phase_two_time()
    keys = ("val_miou", "val_accuracy", "val_accuracy_inside", "val_accuracy_boundary", "label_miou")
    percent = ("" if last[key] is None else round(100 * last[key], 2) for key in keys)
    time = (round(share, 4), round(seconds, 3))
    values = (
        seeds_in_words(result.config.supervision),
        name,
        result.config.run.seed,
        *percent,
        *time,
        last["step"],
        " ".join(own),
    )
    return dict(zip(STUDY, values, strict=True))


def seeds_in_words(given: Supervision) -> str:
    """Return the kind of seeds, for scribbles with the share of each stroke's length ("simulated 0": one click per stroke)."""
    return f"{given.kind} {given.ratio:g}" if given.kind in ("scribbles", "simulated") else given.kind
