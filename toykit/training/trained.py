"""Use a trained run: its network on new photos, and its mIoU on any set.

trained = load_network("runs/toy")
mask = trained.mask(photo)              # photo uint8 (H, W, 3); mask uint8 (H, W), ids of trained.classes
labels = trained.soft_labels(photo)     # float32 (K, H, W)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from toykit._shared.tensors import all_finite, reason
from toykit.models import Network
from toykit.simplex import most_likely
from toykit.training import weights as weights_files
from toykit.training.config import Config
from toykit.training.evaluation import evaluate, evaluation_row
from toykit.training.features import rounded_maps
from toykit.training.load import config_from
from toykit.training.predict import Features, Views, predict_rows
from toykit.training.sets import check_files, load_masked
from toykit.training.setup import build_network, launch

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Settings that an evaluation may change: which photos it reads, and how. The others have no effect on it.
VARIED = ("kind", "root", "merge", "only", "others", "holdout", "limit", "val_limit", "eval_scale", "workers")


@dataclasses.dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """A run's network, ready to predict; `load_network` makes it.

    Attributes
    ----------
    network : Network
        In evaluation mode, on the device of `fabric`.
    classes : tuple of str
        Class names by id.
    config : Config
        The run's.
    path : Path
        The file of the weights.
    epoch : int
        The epoch at whose end they were written.
    val_miou : float or None
        Their mIoU on the run's validation set, in [0, 1].
    fabric : Fabric
        Device and precision.
    """

    network: Network
    classes: tuple[str, ...]
    config: Config
    path: Path
    epoch: int
    val_miou: float | None
    fabric: Fabric

    @property
    def features(self) -> Features | None:
        """The maps of a frozen body, rounded as in training; None where the body was trained."""
        return partial(rounded_maps, self.network) if self.network.freeze_body else None

    def views(self, **more) -> Views:
        """Return `Views` at the run's scale of evaluation (data.eval_scale); `more`: its other arguments."""
        return Views(self.config.data.eval_scale, **more)

    def rows(self, photo: np.ndarray, views: Views | None = None) -> Iterator[tuple[int, Tensor]]:
        """Predict a photo some rows at a time, see `predict_rows`.

        Parameters
        ----------
        photo : ndarray, uint8, shape (H, W, 3)
            RGB.
        views : Views, optional
            Default: `self.views()`, as in evaluation.

        Yields
        ------
        first, scores : int and Tensor, shape (K, rows, W)
            Logits; with several views, mean probabilities.

        Raises
        ------
        TypeError, ValueError
            The photo is no array, or has another shape or type.
        """
        if not isinstance(photo, np.ndarray):
            raise TypeError(
                f"photo: expected uint8 (H, W, 3), see toykit.datasets.read_image; got {type(photo).__name__}"
            )
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
            raise ValueError(f"photo: expected uint8 (H, W, 3), RGB, got {photo.dtype} {photo.shape}")
        image = torch.from_numpy(np.ascontiguousarray(photo)).to(self.fabric.device).permute(2, 0, 1)[None].float()
        rows = predict_rows(self.network, image, views or self.views(), self.features)
        while True:
            with self.fabric.autocast():  # for the network alone, not for the caller's code between two steps
                part = next(rows, None)
            if part is None:
                return
            yield part

    def mask(self, photo: np.ndarray, views: Views | None = None) -> np.ndarray:
        """Return the most likely class at each pixel, uint8 (H, W); see `rows` for the arguments."""
        parts = [most_likely(scores).byte().cpu().numpy() for _, scores in self.rows(photo, views)]
        return np.concatenate(parts)

    def soft_labels(self, photo: np.ndarray, views: Views | None = None) -> np.ndarray:
        """Return the probabilities at each pixel, float32 (K, H, W); see `rows` for the arguments."""
        views = views or self.views()
        return np.concatenate([probabilities(scores, views).numpy() for _, scores in self.rows(photo, views)], axis=1)


def probabilities(scores: Tensor, views: Views) -> Tensor:
    """Return the probabilities of what `predict_rows` yields, on the CPU in float32."""
    return (scores.float().softmax(0) if views.count == 1 else scores.float()).cpu()


def load_network(run: str | Path, weights: str = "best", accelerator: str = "auto") -> TrainedNetwork:
    """Load the network of a trained run.

    Parameters
    ----------
    run : str or Path
        The run's folder.
    weights : {"best", "last"}, default "best"
        Those of the epoch with the highest validation mIoU, or of the last epoch. A run that was never evaluated
        (run.eval_every=0) has only the last.
    accelerator : {"auto", "cpu", "cuda"}, default "auto"
        Where it runs, whatever it was trained on.

    Returns
    -------
    TrainedNetwork

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file cannot be read, or its weights do not fit the network, or are not finite.
    ImportError
        Without the train extra.
    """
    path, state = weights_files.read(Path(run), weights)
    config = config_from({str(path): state["config"]})
    untrained = dataclasses.replace(config, model=dataclasses.replace(config.model, weights=None))
    network = build_network(untrained, len(state["classes"])).eval()
    try:
        network.load_state_dict(state["network"])
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit its network ({reason(error)})") from error
    if not all_finite(network.state_dict().values()):
        raise ValueError(
            f"{path}: its weights are NaN or infinite: the training diverged; train again with a lower schedule.lr"
        )
    fabric = launch(dataclasses.replace(config.run, accelerator=accelerator, devices=1))
    network.to(fabric.device)
    return TrainedNetwork(network, tuple(state["classes"]), config, path, state["epoch"], state["val_miou"], fabric)


def evaluate_run(trained: TrainedNetwork, split: str = "val", overrides: Sequence[str] = ()) -> dict:
    """Evaluate a trained network on a set with masks.

    Parameters
    ----------
    trained : TrainedNetwork
    split : str, default "val"
        "train", "val" or, for CamVid, "test".
    overrides : sequence of str, default ()
        Changes of the run's settings data.KEY=VALUE with a key in `VARIED`, e.g. ["data.root=elsewhere"]; data.limit is for
        the split "train", data.val_limit for the others.

    Returns
    -------
    dict
        split, photos, weights (the file's name), epoch, overrides, classes; and miou, iou (by class, None for a class that is
        in neither masks nor predictions), accuracy, accuracy_inside, accuracy_boundary, all in [0, 1]; see `RunResult`.

    Raises
    ------
    ValueError
        An override has no effect on an evaluation, or the set has other classes.
    FileNotFoundError
        The set is not there.
    """
    idle = "data.val_limit" if split == "train" else "data.limit"
    varied = [f"data.{name}" for name in VARIED if f"data.{name}" != idle]
    refused = [item for item in overrides if ".".join(item.split("=")[0].split(".")[:2]) not in varied]
    if refused:
        raise ValueError(
            f"{', '.join(refused)}: no effect on an evaluation of {split}; leave it out. Its settings are {', '.join(varied)} "
            "(where it runs: accelerator of load_network, --device)"
        )
    config = config_from({str(trained.path): trained.config.to_dict()}, overrides)
    samples = load_masked(config, split)
    if tuple(samples.classes) != trained.classes:
        raise ValueError(
            f"the set's classes are {', '.join(samples.classes)}; the network's are {', '.join(trained.classes)}"
        )
    check_files(samples)
    data = config.data
    inside, near = evaluate(
        trained.fabric, trained.network, samples, len(trained.classes), data.workers, data.eval_scale, trained.features
    )
    row = {name.removeprefix("val_"): value for name, value in evaluation_row(inside, near).items()}
    about = {"split": split, "photos": len(samples), "weights": trained.path.name, "epoch": trained.epoch}
    return about | {"overrides": list(overrides), "classes": list(trained.classes)} | row
