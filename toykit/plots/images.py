"""Draw photos, seeds and soft labels (Fig. 4) as arrays of colours; `toykit.plots.grid` makes figures of them."""

import numpy as np
import torch
from torch import Tensor

from toykit._shared.palette import voc_palette
from toykit.cross_entropy import entropy
from toykit.plots.tints import class_tints
from toykit.simplex import most_likely

#: Weights of red, green and blue in a colour's luminance (Rec. 709).
LUMINANCE = np.array([0.2125, 0.7154, 0.0721])
#: Strokes lighter than this get a rim of this grey.
LIGHT, DARK_RIM = 0.8, 0.25


def soft_colors(labels: Tensor) -> np.ndarray:
    """Return the paper's picture of soft labels (Fig. 4): each pixel mixes VOC's class colours, weighted by its label.

    `toykit.plots.label_picture` is easier to read.

    Parameters
    ----------
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        Soft labels.

    Returns
    -------
    ndarray of float, shape (H, W, 3)
        Colours in [0, 1].

    Raises
    ------
    ValueError
        If `labels` has another shape.
    """
    labels = single(labels)
    colors = torch.from_numpy(voc_palette(labels.shape[0]))
    return torch.einsum("khw,kc->hwc", labels.detach().double().cpu(), colors).clamp(0, 1).numpy()


def hard_colors(labels: Tensor, colors: np.ndarray | None = None) -> np.ndarray:
    """Return a picture of each pixel's most likely class.

    Parameters
    ----------
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        Soft labels.
    colors : ndarray of any dtype, shape (K, C), optional
        The classes' colours. Default: `class_tints`.

    Returns
    -------
    ndarray of the same dtype, shape (H, W, C)
        The colours.

    Raises
    ------
    ValueError
        If `labels` has another shape.
    """
    labels = single(labels)
    colors = class_tints(labels.shape[0]) if colors is None else colors
    return np.take(colors, most_likely(labels.detach()).cpu().numpy(), axis=0)


def entropy_map(labels: Tensor) -> np.ndarray:
    """Return the Shannon entropy of each pixel's label, divided by its maximum ln K.

    Parameters
    ----------
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        Soft labels.

    Returns
    -------
    ndarray of float, shape (H, W)
        Values in [0, 1]; 0 is certain.

    Raises
    ------
    ValueError
        If `labels` has another shape.
    """
    labels = single(labels).detach().cpu()
    return (entropy(labels[None])[0] / np.log(labels.shape[0])).clamp(0, 1).numpy()


def overlay_seeds(
    image: np.ndarray, seeds: np.ndarray, num_classes: int, fade: float = 0.55, colors: np.ndarray | None = None
) -> np.ndarray:
    """Draw the seeds in their class colours, with a thin rim, on the photo faded towards white.

    The rim is white, around light colours dark.

    Parameters
    ----------
    image : ndarray of uint8, shape (H, W, 3)
        The photo.
    seeds : ndarray of int, shape (H, W)
        Class ids, 254 (padding) or 255 (unlabelled).
    num_classes : int
        The number of classes K.
    fade : float, default 0.55
        The share of white in [0, 1].
    colors : ndarray of float, shape (K, 3), optional
        The classes' colours. Default: `class_tints`.

    Returns
    -------
    ndarray of float, shape (H, W, 3)
        Colours in [0, 1].
    """
    seeded = seeds < num_classes
    picture = (1 - fade) * image / 255 + fade
    colors = class_tints(num_classes) if colors is None else colors
    light = colors @ LUMINANCE > LIGHT
    for axis in (0, 1):
        for shift in (-1, 1):
            beside = np.roll(seeds, shift, axis)
            rim = (beside < num_classes) & ~seeded
            picture[rim] = np.where(light, DARK_RIM, 1.0)[beside[rim], None]
    picture[seeded] = colors[seeds[seeded]]
    return picture


def single(labels: Tensor) -> Tensor:
    """Return labels as (K, H, W), or raise ValueError."""
    if labels.ndim == 4 and labels.shape[0] == 1:
        labels = labels[0]
    if labels.ndim != 3:
        raise ValueError(f"labels: expected (K, H, W) or (1, K, H, W), got shape {tuple(labels.shape)}")
    return labels
