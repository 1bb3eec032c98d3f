"""A run's folder: configuration and results, readable without this package.

config.yaml     the resolved configuration        versions.json   versions of the libraries
metrics.json    classes and the history by epoch  checkpoint.pt   what a run resumes from
events/         for TensorBoard                   pictures/       epoch_NNN_NAME.png
best.pt         weights with the highest mIoU     last.pt         weights of the last epoch; see `toykit.training.weights`

checkpoint_previous.pt is the checkpoint before, for the case that the last one is damaged, which is then kept as
checkpoint.pt.damaged; failed_batch.pt is written after numbers that are not finite, see `toykit.training.stops`.
"""

from __future__ import annotations

import json
import platform
import shutil
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from toykit._shared.files import remove_unfinished, write_text
from toykit.training import checkpoint
from toykit.training.config import Config
from toykit.training.load import load_config
from toykit.training.stops import FAILED_BATCH
from toykit.training.weights import FILES as WEIGHTS

LIBRARIES = ("toykit", "torch", "torchvision", "numpy", "numba", "lightning-fabric", "segmentation-models-pytorch",
             "timm", "omegaconf", "tensorboard")  # fmt: skip


@dataclass(frozen=True)
class RunResult:
    """The contents of a run's folder.

    Attributes
    ----------
    folder : Path
    config : Config
    classes : tuple of str
    history : list of dict
        One row per epoch; ratios are in [0, 1], and None stands for a number that does not exist:

        - epoch, step (from the run's start), phase ("seeds" or the method), lr, loss;
        - images_per_second, solver_share (share of the time of the steps);
        - label_miou: mIoU of the pseudo-labels on unlabelled pixels of the training crops, where there are masks;
        - val_miou, val_iou (by class), val_accuracy, val_accuracy_boundary (pixels within 5 pixels of a boundary) and
          val_accuracy_inside (the other pixels), after an evaluation.
    finished : bool
        Whether all epochs are there.
    """

    folder: Path
    config: Config
    classes: tuple[str, ...]
    history: list[dict]
    finished: bool

    @property
    def miou(self) -> float | None:
        """Mean IoU on the validation set in the last evaluation, in [0, 1]; None before the first evaluation."""
        return next((row["val_miou"] for row in reversed(self.history) if row["val_miou"] is not None), None)

    def phase_two_time(self) -> tuple[float, float]:
        """Return the seconds per step of phase two and the solver's share of them, in [0, 1].

        Without a phase two both are those of all epochs. Each epoch counts by its time.
        """
        rows = [row for row in self.history if row["phase"] != "seeds"] or self.history
        seconds = [self.config.schedule.batch / row["images_per_second"] for row in rows]
        share = sum(row["solver_share"] * s for row, s in zip(rows, seconds, strict=True)) / sum(seconds)
        return statistics.mean(seconds), share


def read_run(folder: str | Path) -> RunResult:
    """Read a run's folder, also while it runs.

    Parameters
    ----------
    folder : str or Path

    Returns
    -------
    RunResult

    Raises
    ------
    FileNotFoundError
        It is not a run's folder, or no epoch is finished.
    ValueError
        A file cannot be read; the message names it.
    """
    folder = Path(folder)
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        classes, history, finished = tuple(metrics["classes"]), metrics["history"], metrics["finished"]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file; is {folder} a run's folder, with an epoch finished?") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as a run's metrics ({error!r})") from error
    return RunResult(folder, load_config(folder / "config.yaml"), classes, history, finished)


def prepare(folder: Path, fresh: bool) -> None:
    """Make the folder and remove what a killed run left half-written; with `fresh`, all files of an old run (and no others)."""
    folder.mkdir(parents=True, exist_ok=True)
    remove_unfinished(folder, folder / "pictures")
    if fresh:
        own = (checkpoint.NAME, checkpoint.PREVIOUS, *WEIGHTS.values(), "config.yaml", "versions.json", "metrics.json")
        for name in (*own, checkpoint.NAME + checkpoint.DAMAGED):
            (folder / name).unlink(missing_ok=True)
        for path in folder.glob(FAILED_BATCH.format(process="*")):
            path.unlink()
        for name in ("events", "pictures"):
            shutil.rmtree(folder / name, ignore_errors=True)


def describe(folder: Path, config: Config) -> None:
    """Write config.yaml and versions.json."""
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    write_config(folder / "config.yaml", config)
    write_text(folder / "versions.json", json.dumps(versions, indent=1) + "\n")


def write_config(path: Path, config: Config) -> None:
    """Write a configuration that `load_config` reads."""
    from omegaconf import OmegaConf

    write_text(path, OmegaConf.to_yaml(OmegaConf.create(config.to_dict())))


def write_metrics(folder: Path, classes: Iterable[str], history: list[dict], finished: bool) -> None:
    """Write metrics.json."""
    metrics = {"finished": finished, "classes": list(classes), "history": history}
    write_text(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")
