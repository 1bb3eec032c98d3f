"""Sample pictures: photo, seeds, pseudo-label, prediction side by side (Fig. 4's colours), as PNG by epoch."""

from pathlib import Path

import numpy as np
import torch

from toykit import plots
from toykit._shared.files import write_atomically
from toykit.datasets.sample import Sample, read_image
from toykit.training.evaluation import predict
from toykit.training.objective import Objective

GAP = 4


@torch.no_grad()
def picture(
    network,
    sample: Sample,
    objective: Objective,
    device: torch.device,
    scale: float = 1.0,
    features=None,
    present: str = "all",
) -> np.ndarray:
    """uint8 (H, W', 3): the panels of one photo, without augmentation; three where the method has no pseudo-labels.

    network, scale, features: see `predict`. present: "all" or "seeds", see `Sample.present`.
    """
    image, seeds = (tensor.to(device) for tensor in sample.tensors())
    logits = predict(network, image, scale, features)
    panels = [sample.image / 255, plots.overlay_seeds(sample.image, sample.seeds, len(sample.classes))]
    if objective.has_labels:
        allowed = torch.from_numpy(sample.present(present))[None].to(device)
        panels.append(plots.soft_colors(objective.pseudo_labels(logits, image, seeds, allowed)))
    panels.append(plots.soft_colors(logits.softmax(1)))
    gap = np.ones((len(sample.image), GAP, 3))
    return (255 * np.hstack([part for panel in panels for part in (panel, gap)][:-1])).round().astype(np.uint8)


def write_picture(path: Path, pixels: np.ndarray) -> None:
    """Write a PNG."""
    from PIL import Image

    write_atomically(path, lambda file: Image.fromarray(pixels).save(file, format="png"))


def read_pictures(run_dir: Path) -> dict[str, dict[int, np.ndarray]]:
    """A run's pictures: name of the photo -> epoch -> uint8 (H, W', 3), both in order."""
    found = {}
    for path in sorted((run_dir / "pictures").glob("epoch_*.png")):
        _, epoch, name = path.stem.split("_", 2)
        found.setdefault(name, {})[int(epoch)] = read_image(path)
    return found
