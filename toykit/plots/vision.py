"""Pictures as they look in grey and to colour-blind readers.

The simulation is that of Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision
deficiency" (2009), at severity 1: a matrix for linear RGB.
"""

from itertools import combinations

import numpy as np
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.datasets import photo
from toykit.energy import Energy
from toykit.plots.grid import panels
from toykit.plots.images import LUMINANCE, single, soft_colors
from toykit.plots.label_picture import CERTAIN, certainty, label_picture
from toykit.seed_model import seed_logits
from toykit.simplex import most_likely
from toykit.solvers import solve

MACHADO = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
#: Usual colour vision, a grey print, and dichromats who lack red, green or blue cones.
VIEWS = ("usual", "grey", *MACHADO)


def seen(colors: np.ndarray, view: str) -> np.ndarray:
    """Return colours as a reader sees them.

    Parameters
    ----------
    colors : ndarray of float, shape (..., 3)
        sRGB in [0, 1], such as a picture (H, W, 3).
    view : str
        One of `VIEWS`. "grey" keeps the luminance of Rec. 709, as `toykit.plots.label_picture` does with the photo.

    Returns
    -------
    ndarray of float, shape (..., 3)
        sRGB in [0, 1].

    Raises
    ------
    ValueError
        For another view.
    """
    check_choice("view", view, VIEWS)
    if view == "usual":
        return colors
    if view == "grey":
        return np.repeat((colors @ LUMINANCE)[..., None], 3, axis=-1)
    linear = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.array(MACHADO[view]).T, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def class_difference(picture: np.ndarray, labels: Tensor, view: str) -> float:
    """Return how far apart the two most similar classes of a picture are, to a reader.

    Parameters
    ----------
    picture : ndarray of float, shape (H, W, 3)
        A picture of soft labels, sRGB in [0, 1].
    labels : Tensor, shape (K, H, W) or (1, K, H, W)
        The labels.
    view : str
        One of `VIEWS`.

    Returns
    -------
    float
        Distance in CIE Lab (CIE76) of the two classes' mean colours, the smallest over all pairs; about 2 is just seen. Means
        are taken over pixels with a `certainty` of `CERTAIN` or more, also those of the lines between classes; classes without
        one are left out. NaN if fewer than two classes remain.

    Raises
    ------
    ValueError
        For another view or another shape.
    """
    from skimage.color import rgb2lab

    labels = single(labels)
    classes, decided = most_likely(labels.detach()).cpu().numpy(), certainty(labels) >= CERTAIN
    lab = rgb2lab(seen(picture, view))
    means = [lab[decided & (classes == k)].mean(0) for k in np.unique(classes[decided])]
    return float(min((np.linalg.norm(a - b) for a, b in combinations(means, 2)), default=np.nan))


def before_after(
    names: tuple[str, ...] = ("chelsea", "coffee", "rocket", "astronaut", "motorcycle"),
    long_side: int = 200,
    views: tuple[str, ...] = ("usual", "grey", "deuteranopia"),
):
    """Draw soft labels as the paper does and as tints on the photo, each as several readers see them.

    The labels are those of CCE and CD with the paper's weights and the predictions of `toykit.seed_model.seed_logits`.

    Parameters
    ----------
    names : tuple of str
        Keys of `toykit.datasets.PHOTOS`, a row each.
    long_side : int, default 200
        The photos' longer sides in pixels.
    views : tuple of str
        Some of `VIEWS`: the columns, first for `soft_colors`, then for `label_picture`. Each title has the `class_difference`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = {}
    for name in names:
        sample = photo(name, long_side)
        image, seeds = sample.tensors()
        logits = seed_logits(image, seeds, len(sample.classes))
        labels = solve(logits, image, seeds, Energy(), on_failure="ignore").labels
        for way, picture in (("mixtures", soft_colors(labels)), ("tints", label_picture(sample.image, labels))):
            for view in views:
                title = f"{name}, {way}\n{view}: {class_difference(picture, labels, view):.0f}"
                shown[title] = seen(picture, view)
    return panels(shown, columns=2 * len(views))
