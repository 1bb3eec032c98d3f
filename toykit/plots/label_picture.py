"""Draw soft labels on their photo: the photo in grey under a tint of each class's colour, the stronger the surer.

Mixtures of VOC's colours (`toykit.plots.soft_colors`, the paper's way) are dark, hide the photo, and many look alike to
colour-blind readers. Here an undecided pixel shows the bare photo, a decided one its class, in the colours of
`toykit.plots.class_tints`.
"""

import numpy as np
import torch
from torch import Tensor

from toykit.plots.images import LUMINANCE, single
from toykit.plots.tints import class_tints
from toykit.simplex import most_likely

#: Opacity of the tint where a label is certain; the photo remains visible below it.
OPACITY = 0.7


def certainty(labels: Tensor) -> np.ndarray:
    """Return how decided each pixel is: the probability of its most likely class minus that of the second.

    Parameters
    ----------
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        Soft labels.

    Returns
    -------
    ndarray of float, shape (H, W)
        1 at a vertex of the simplex; 0 where two classes are equally likely, however many others there are. (Entropy divided by
        ln K would call a choice between two of 21 classes nearly certain.)

    Raises
    ------
    ValueError
        If `labels` has another shape.
    """
    first, *others = single(labels).detach().cpu()
    first = first.double()
    second = torch.zeros_like(first)
    for label in others:  # class by class: several times as fast as topk
        second = torch.maximum(second, torch.minimum(first, label.double()))
        first = torch.maximum(first, label.double())
    return (first - second).clamp(0, 1).numpy()


def label_picture(
    image: np.ndarray, labels: Tensor, tints: np.ndarray | None = None, opacity: float = OPACITY
) -> np.ndarray:
    """Draw soft labels as tints on the photo in grey.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        The photo.
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        Its soft labels.
    tints : ndarray of float, shape (K, 3), optional
        The classes' colours. Default: `class_tints` for the labels' most likely classes.
    opacity : float, default `OPACITY`
        Opacity of the tint at a certain pixel, in [0, 1]; elsewhere it is multiplied by `certainty`.

    Returns
    -------
    ndarray of float, shape (H, W, 3)
        Colours in [0, 1]: grey + opacity * certainty * (tint - grey).

    Raises
    ------
    ValueError
        If image and labels, or labels and tints, do not fit, or opacity is not in [0, 1].
    """
    labels = single(labels)
    if image.shape != (*labels.shape[1:], 3):
        raise ValueError(f"image: expected {(*labels.shape[1:], 3)} like the labels, got {image.shape}")
    if not 0 <= opacity <= 1:
        raise ValueError(f"opacity: expected a number from 0 to 1, got {opacity}")
    hard = most_likely(labels.detach()).cpu().numpy()
    tints = class_tints(len(labels), mask=hard) if tints is None else tints
    if tints.shape != (len(labels), 3):
        raise ValueError(f"tints: expected {(len(labels), 3)}, one colour per class, got {tints.shape}")
    grey = (image @ LUMINANCE / 255)[..., None]
    return grey + opacity * certainty(labels)[..., None] * (tints[hard] - grey)
