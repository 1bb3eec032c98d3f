"""Draw soft labels on their photo: the photo in grey under a tint of each class's colour, the stronger the surer.

Mixtures of VOC's colours (`toykit.plots.soft_colors`, the paper's way) are dark, hide the photo, and many look alike to
colour-blind readers. Here an undecided pixel shows the bare photo, a decided one its class. The colours are those of Okabe and
Ito ("Color Universal Design", 2008) on a light grey background.
"""

import numpy as np
from torch import Tensor

from toykit.plots.images import LUMINANCE, single

#: Light grey, for the background.
BACKGROUND = (0.86, 0.86, 0.86)
#: Okabe and Ito's hues: orange, blue, green, purple, yellow, vermilion, sky blue. The first three differ in grey, too.
HUES = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#F0E442", "#D55E00", "#56B4E9")
#: Shares of white and of black in the shades that follow the hues themselves.
WHITE, BLACK = 0.55, 0.45
#: Distance in CIE Lab that the colours of two classes should have where they meet.
APART = 18.0
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
    labels = single(labels).detach().double().cpu()
    if len(labels) == 1:
        return labels[0].numpy()
    first, second = labels.topk(2, dim=0).values
    return (first - second).clamp(0, 1).numpy()


def class_tints(num_classes: int, background: int | None = 0, mask: np.ndarray | None = None) -> np.ndarray:
    """Return a colour for each class.

    Parameters
    ----------
    num_classes : int
        K, at least 1.
    background : int, optional
        The class that is drawn in light grey; None if there is none. Default: class 0.
    mask : ndarray of int, shape (H, W), optional
        Class ids of a picture (others, such as 254, are ignored). With more classes than hues, colours repeat; classes that
        meet in the mask, also across a corner, get colours that are far apart. With few classes the mask changes nothing.

    Returns
    -------
    ndarray of float, shape (K, 3)
        RGB in [0, 1].

    Raises
    ------
    ValueError
        For fewer than one class, or a background that is not a class.
    """
    if num_classes < 1 or (background is not None and not 0 <= background < num_classes):
        raise ValueError(
            "expected at least one class, and a background among them or None; got "
            f"{num_classes} classes and background {background}"
        )
    shades = _shades()
    objects = [k for k in range(num_classes) if k != background]
    tints = np.empty((num_classes, 3))
    tints[objects] = shades[np.arange(len(objects)) % len(shades)]
    if background is not None:
        tints[background] = BACKGROUND
    if mask is not None and len(objects) > len(HUES):
        sizes = np.bincount(mask[mask < num_classes].ravel(), minlength=num_classes)
        _keep_apart(tints, shades, objects, _meetings(mask, num_classes), sizes)
    return tints


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
    hard = labels.argmax(0).cpu().numpy()
    tints = class_tints(len(labels), mask=hard) if tints is None else tints
    if tints.shape != (len(labels), 3):
        raise ValueError(f"tints: expected {(len(labels), 3)}, one colour per class, got {tints.shape}")
    grey = (image @ LUMINANCE / 255)[..., None]
    return grey + opacity * certainty(labels)[..., None] * (tints[hard] - grey)


def _shades() -> np.ndarray:
    """Return the hues, the hues lightened, and the hues darkened, (21, 3)."""
    from matplotlib.colors import to_rgb

    hues = np.array([to_rgb(hue) for hue in HUES])
    return np.concatenate([hues, hues + WHITE * (1 - hues), (1 - BLACK) * hues])


def _meetings(mask: np.ndarray, num_classes: int) -> np.ndarray:
    """Return which classes have pixels side by side or corner to corner, bool (K, K)."""
    meet = np.zeros((num_classes, num_classes), bool)
    for a, b in (
        (mask[1:], mask[:-1]),
        (mask[:, 1:], mask[:, :-1]),
        (mask[1:, 1:], mask[:-1, :-1]),
        (mask[1:, :-1], mask[:-1, 1:]),
    ):
        both = (a < num_classes) & (b < num_classes)
        meet[a[both], b[both]] = True
    return (meet | meet.T) & ~np.eye(num_classes, dtype=bool)


def _keep_apart(tints: np.ndarray, shades: np.ndarray, objects: list[int], meet: np.ndarray, sizes: np.ndarray) -> None:
    """Change tints in place, largest class first: the first shade, from its own on, that is `APART` from all that it meets."""
    from skimage.color import rgb2lab

    own = {k: i % len(shades) for i, k in enumerate(objects)}
    colored = [k for k in range(len(tints)) if k not in own]
    for k in sorted(objects, key=lambda k: -sizes[k]):
        neighbors = [other for other in colored if meet[k, other]]
        if neighbors:
            choices = np.roll(shades, -own[k], axis=0)
            lab, others = rgb2lab(choices[None])[0], rgb2lab(tints[neighbors][None])[0]
            nearest = np.linalg.norm(lab[:, None] - others, axis=2).min(1)
            tints[k] = choices[np.argmax(nearest >= APART) if nearest.max() >= APART else nearest.argmax()]
        colored.append(k)
