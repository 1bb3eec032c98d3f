"""Colours of classes in pictures: those of Okabe and Ito ("Color Universal Design", 2008), and light grey for the background.

VOC's own palette (`toykit._shared.palette.voc_palette`) begins with black, maroon and green: dark, and alike for colour-blind
readers.
"""

from collections.abc import Mapping, Sequence

import numpy as np

#: Light grey, for the background.
BACKGROUND = (0.86, 0.86, 0.86)
#: Okabe and Ito's hues: orange, blue, green, purple, yellow, vermilion, sky blue. In grey, yellow looked like the background,
#: sky blue like orange, and vermilion like green and purple; so yellow and sky blue are lighter (50% and 40% white), and
#: vermilion is darker (45% black).
HUES = ("#E69F00", "#0072B2", "#009E73", "#CC79A7", "#F8F2A0", "#753400", "#9AD2F2")
#: Shares of black and of white in the shades that follow the hues themselves. Of all in steps of 0.05, these keep 22 classes
#: farthest apart: at least 12 in CIE Lab, and the first 15 at least 22.
BLACK, WHITE = 0.40, 0.45
#: Distance in CIE Lab that the colours of two classes should have where they meet.
APART = 18.0


def background_class(names: Mapping[int, str] | Sequence[str]) -> int | None:
    """Return the id of the class called "background", which is drawn in light grey.

    Parameters
    ----------
    names : sequence of str, or mapping from int to str
        Class names by id.

    Returns
    -------
    int or None
        None if no class has this name.
    """
    items = names.items() if isinstance(names, Mapping) else enumerate(names)
    return next((k for k, name in items if name == "background"), None)


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


def _shades() -> np.ndarray:
    """Return the hues, the hues darkened, and the hues lightened, (21, 3)."""
    from matplotlib.colors import to_rgb

    hues = np.array([to_rgb(hue) for hue in HUES])
    return with_shades(hues, BLACK, WHITE)


def with_shades(colors: np.ndarray, black: float, white: float) -> np.ndarray:
    """Return colours (N, 3) in [0, 1], then these with a share of black, then these with a share of white: (3 N, 3)."""
    return np.concatenate([colors, (1 - black) * colors, colors + white * (1 - colors)])


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
