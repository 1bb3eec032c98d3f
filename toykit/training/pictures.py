"""Sample pictures: photo, seeds, pseudo-label and prediction side by side, as tints on the photo; one PNG file per epoch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from toykit import plots
from toykit._shared.files import write_atomically
from toykit.datasets.sample import Sample, read_image
from toykit.training.features import FeatureCache
from toykit.training.objective import WITH_LABELS, Objective
from toykit.training.predict import predict

GAP = 4


def panel_names(method: str) -> tuple[str, ...]:
    """Return what the panels of a picture show, from left to right.

    Parameters
    ----------
    method : str
        That of the run's configuration.

    Returns
    -------
    tuple of str
    """
    given = "full mask" if method == "full" else "seeds"
    return ("photo", given, *(("pseudo-label",) if method in WITH_LABELS else ()), "prediction")


@torch.no_grad()
def picture(
    network,
    sample: Sample,
    objective: Objective,
    device: torch.device,
    scale: float = 1.0,
    features: FeatureCache | None = None,
    present: str = "all",
) -> np.ndarray:
    """Draw the panels of one photo, without augmentation.

    Parameters
    ----------
    network, scale, features
        See `predict`.
    sample : Sample
    objective : Objective
        Computes the pseudo-label; for the panels see `panel_names`.
    device : torch.device
        The network's.
    present : {"all", "seeds"}, default "all"
        See `Sample.present`.

    Returns
    -------
    ndarray, uint8, shape (H, W', 3)
    """
    image, seeds = (tensor.to(device) for tensor in sample.tensors())
    logits = predict(network, image, scale, features)
    background = plots.background_class(sample.classes)
    tints = plots.class_tints(len(sample.classes), background)  # the same in all panels, and in each epoch
    panels = [sample.image / 255, plots.overlay_seeds(sample.image, sample.seeds, len(sample.classes), colors=tints)]
    if objective.has_labels:
        allowed = torch.from_numpy(sample.present(present))[None].to(device)
        labels = objective.pseudo_labels(logits, image, seeds, allowed)
        panels.append(plots.label_picture(sample.image, labels, tints))
    panels.append(plots.label_picture(sample.image, logits.softmax(1), tints))
    gap = np.ones((len(sample.image), GAP, 3))
    return (255 * np.hstack([part for panel in panels for part in (panel, gap)][:-1])).round().astype(np.uint8)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG."""
    from PIL import Image

    write_atomically(path, lambda file: Image.fromarray(pixels).save(file, format="png"))


def read_pictures(run_dir: Path) -> dict[str, dict[int, np.ndarray]]:
    """Read a run's pictures.

    Parameters
    ----------
    run_dir : Path

    Returns
    -------
    dict
        Name of the photo -> epoch -> uint8 (H, W', 3), both in order.
    """
    by_photo: dict[str, dict[int, np.ndarray]] = {}
    for path in sorted((run_dir / "pictures").glob("epoch_*.png")):
        _, epoch, name = path.stem.split("_", 2)
        by_photo.setdefault(name, {})[int(epoch)] = read_image(path)
    return by_photo
