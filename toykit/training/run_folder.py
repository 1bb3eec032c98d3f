"""A run's folder: what it was, what it brought, readable without this package.

config.yaml     the resolved configuration        versions.json   of the libraries
metrics.json    classes and the history by epoch  checkpoint.pt   to go on from
events/         for TensorBoard                   pictures/       epoch_NNN_NAME.png
"""

import json
import platform
import shutil
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from toykit._shared.files import write_atomically
from toykit.training.checkpoint import NAME as CHECKPOINT
from toykit.training.config import Config
from toykit.training.load import load_config

LIBRARIES = ("toykit", "torch", "torchvision", "numpy", "numba", "lightning-fabric", "segmentation-models-pytorch",
             "timm", "omegaconf", "tensorboard")  # fmt: skip


@dataclass(frozen=True)
class RunResult:
    """A run as its folder tells it.

    history: one dict an epoch: epoch, step (from the run's start), phase ("seeds" or the method), lr, loss,
    images_per_second, solver_share (of the steps' time, in [0, 1]), label_miou (of the pseudo-labels on unlabelled pixels of
    the training crops, where there are masks), and after an evaluation val_miou, val_iou (by class), val_accuracy,
    val_accuracy_boundary (of the pixels within 5 pixels of a boundary) and val_accuracy_inside (the others). Ratios in [0, 1];
    None where there is no such number. finished: whether all epochs are there.
    """

    folder: Path
    config: Config
    classes: tuple[str, ...]
    history: list[dict]
    finished: bool

    @property
    def miou(self) -> float | None:
        """The last evaluation's mean IoU on the validation set, in [0, 1]; None before the first."""
        return next((row["val_miou"] for row in reversed(self.history) if row["val_miou"] is not None), None)


def read_run(folder: str | Path) -> RunResult:
    """Read a run's folder, also while it runs. Raises: FileNotFoundError, or ValueError that names the file."""
    folder = Path(folder)
    path = folder / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        told = (tuple(metrics["classes"]), metrics["history"], metrics["finished"])
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file; is {folder} a run's folder, with an epoch finished?") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: cannot be read as a run's metrics ({error!r})") from error
    return RunResult(folder, load_config(folder / "config.yaml"), *told)


def prepare(folder: Path, fresh: bool) -> None:
    """Make the folder; where it is to begin afresh, remove an old run's files (and no others)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CHECKPOINT, "config.yaml", "versions.json", "metrics.json"):
        for unfinished in folder.glob(f".{name}.*"):  # a run killed while it wrote
            unfinished.unlink()
        if fresh:
            (folder / name).unlink(missing_ok=True)
    if fresh:
        for name in ("events", "pictures"):
            shutil.rmtree(folder / name, ignore_errors=True)


def describe(folder: Path, config: Config) -> None:
    """Write config.yaml and versions.json."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = None
    write_config(folder / "config.yaml", config)
    _write_text(folder / "versions.json", json.dumps(versions, indent=1) + "\n")


def write_config(path: Path, config: Config) -> None:
    """Write a configuration that `load_config` reads."""
    from omegaconf import OmegaConf

    _write_text(path, OmegaConf.to_yaml(OmegaConf.create(config.to_dict())))


def write_metrics(folder: Path, classes, history: list[dict], finished: bool) -> None:
    """Write metrics.json."""
    metrics = {"finished": finished, "classes": list(classes), "history": history}
    _write_text(folder / "metrics.json", json.dumps(metrics, indent=1, allow_nan=False) + "\n")


def _write_text(path: Path, text: str) -> None:
    write_atomically(path, lambda file: file.write(text.encode()))
