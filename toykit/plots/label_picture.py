"""Draw soft labels on their photo: the photo in grey under a tint of each class's colour, the stronger the surer.

Mixtures of VOC's colours (`toykit.plots.soft_colors`, the paper's way) are dark, hide the photo, and many look alike to
colour-blind readers. Here an undecided pixel shows the bare photo, a decided one its class, in the colours of
`toykit.plots.class_tints`. Where two decided classes meet, a line in a dark and a light shade separates them, since two tints
may look alike in a grey print.
"""

import numpy as np
import torch
from torch import Tensor

from toykit.plots.images import LUMINANCE, single
from toykit.plots.tints import class_tints, with_shades
from toykit.simplex import most_likely

#: Opacity of the tint where a label is certain; the photo remains visible below it.
OPACITY = 0.7
#: A line separates two classes where both pixels are at least this certain.
CERTAIN = 0.5
#: Share of black, or white, in the shades of that line.
LINE = 0.6


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


def shaded_classes(labels: Tensor, lead: np.ndarray) -> np.ndarray:
    """Return the colour of each pixel as a row of `class_shades`.

    Parameters
    ----------
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        Soft labels.
    lead : ndarray of float, shape (H, W)
        Their `certainty`.

    Returns
    -------
    ndarray of int64, shape (H, W)
        The most likely class k. Where it is beside another one, above, below, to the left or right, and both pixels have a
        certainty of `CERTAIN` or more: K + k on the side of the lower id (dark), 2 K + k on that of the higher (light). A pixel
        between both kinds is dark.

    Raises
    ------
    ValueError
        If `labels` has another shape.
    """
    labels = single(labels)
    classes, count = most_likely(labels.detach()).cpu().numpy(), len(labels)
    flat, lead, width = classes.ravel(), lead.ravel(), classes.shape[1]
    beside, below = np.flatnonzero(flat[1:] != flat[:-1]), np.flatnonzero(flat[width:] != flat[:-width])
    beside = beside[(beside + 1) % width > 0]  # not from the end of a row to the start of the next
    first, second = np.concatenate([beside, below]), np.concatenate([beside + 1, below + width])
    sure = np.minimum(lead[first], lead[second]) >= CERTAIN
    first, second = first[sure], second[sure]
    rising = flat[first] < flat[second]
    shaded = flat.copy()
    for places, shade in ((np.where(rising, second, first), 2), (np.where(rising, first, second), 1)):
        shaded[places] = shade * count + flat[places]
    return shaded.reshape(classes.shape)


def class_shades(tints: np.ndarray) -> np.ndarray:
    """Return the classes' colours, then these darkened and these lightened, for the line between classes.

    Parameters
    ----------
    tints : ndarray of float, shape (K, 3)
        Colours in [0, 1].

    Returns
    -------
    ndarray of float, shape (3 K, 3)
        tints, (1 - `LINE`) * tints, tints + `LINE` * (1 - tints).
    """
    return with_shades(tints, LINE, LINE)


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
        Colours in [0, 1]: grey + opacity * certainty * (shade - grey). The shade is the class's tint or, beside another class,
        that of the line between them (`shaded_classes`).

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
    if tints is None:
        tints = class_tints(len(labels), mask=most_likely(labels.detach()).cpu().numpy())
    if tints.shape != (len(labels), 3):
        raise ValueError(f"tints: expected {(len(labels), 3)}, one colour per class, got {tints.shape}")
    grey = (image @ LUMINANCE / 255)[..., None]
    lead = certainty(labels)
    return grey + opacity * lead[..., None] * (class_shades(tints)[shaded_classes(labels, lead)] - grey)
