"""The runs of Fig. 3 (d): ResNet-18 under label noise. They take minutes and have no checkpoints; killed ones begin anew."""

from __future__ import annotations

import dataclasses
import functools
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.natural_scenes import Scenes, scenes
from toykit.experiments.label_noise import Cell, Settings
from toykit.experiments.label_noise_training import train
from toykit.training.load import build

if TYPE_CHECKING:
    from toykit.training.sweep.job import Job
    from toykit.training.sweep.queue import Claim
    from toykit.training.sweep.table import Row

#: Of `table.csv`: accuracy and confidence after the last epoch, and the accuracies after each epoch, in percent.
COLUMNS = ("variant", "loss", "noise", "seed", "accuracy", "confidence", "accuracies", "seconds", "overrides")


def _mean_confidence(rows: list[dict]) -> str:
    """Write the mean confidence of a row's networks."""
    return f"{statistics.mean(float(row['confidence']) for row in rows):.1f}"


class LabelNoise:
    """Train a classifier under label noise, see `Experiment`."""

    columns: Sequence[str] = COLUMNS
    score, title, tunable = "accuracy", "accuracy", False
    further: Mapping[str, Callable[[list[dict]], str]] = {"confidence": _mean_confidence}

    def load(self, row: Row, common: Sequence[str], more: Sequence[str]) -> Settings:
        """Build the settings."""
        if row.preset is not None:
            raise ValueError(f"preset: the experiment label_noise has none, got {row.preset}; leave it out")
        return build(Settings, {"label_noise": {}}, [*common, *row.items, *more])

    def with_seed(self, config: Settings, seed: int) -> Settings:
        """Replace the seed."""
        return dataclasses.replace(config, seed=seed)

    def fixed(self, config: Settings) -> dict:
        """Return all settings."""
        return dataclasses.asdict(config)

    def check(self, config: Settings, seen: set) -> None:
        """Load the images, each choice once."""
        key = (config.side, config.train_per_class, config.test_per_class, config.source)
        if key not in seen:
            load_scenes(config)
            seen.add(key)

    def phase_one(self, config: Settings, first: Settings) -> None:
        """There is no phase one."""

    def run(self, job: Job, claim: Claim, config: Settings, folder: Path, own: Sequence[str]) -> dict[str, Any]:
        """Train the network."""
        begin = time.perf_counter()
        cell = train(config, *load_scenes(config), claim.check)
        percent = [round(100 * value, 2) for value in (cell.accuracy, cell.confidence)]
        accuracies = " ".join(f"{100 * value:.2f}" for value in cell.accuracies)
        seconds = round(time.perf_counter() - begin, 1)
        values = (job.row.name, cell.loss, cell.noise, cell.seed, *percent, accuracies, seconds, " ".join(own))
        return dict(zip(COLUMNS, values, strict=True))


def load_scenes(settings: Settings) -> tuple[Scenes, Scenes]:
    """Load the images to train on and those to test on.

    Raises
    ------
    FileNotFoundError, ValueError
        See `toykit.datasets.scenes`.
    """
    return _scenes(settings.side, settings.train_per_class, settings.test_per_class, settings.source)


def cells(rows: Sequence[Mapping[str, Any]]) -> list[Cell]:
    """Return the rows of a sweep as cells, those of the first seed first, then by noise.

    Parameters
    ----------
    rows : sequence of mapping
        What `run_sweep` returns for a table of this experiment.

    Returns
    -------
    list of Cell
    """
    found = [
        Cell(
            row["loss"],
            float(row["noise"]),
            int(row["seed"]),
            tuple(float(value) / 100 for value in row["accuracies"].split()),
            float(row["confidence"]) / 100,
        )
        for row in rows
    ]
    losses = list(CROSS_ENTROPIES)
    return sorted(found, key=lambda cell: (cell.seed, cell.noise, losses.index(cell.loss)))


@functools.lru_cache(maxsize=4)
def _scenes(side: int, train_per_class: int, test_per_class: int, source: str) -> tuple[Scenes, Scenes]:
    """Load the images once for all runs of a process."""
    return scenes("train", side, train_per_class, source=source), scenes("test", side, test_per_class, source=source)
