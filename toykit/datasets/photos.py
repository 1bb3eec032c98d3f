"""Photos from scikit-image's wheel with scribbles drawn for this project (`data/scribbles/`): real and always available."""

import numpy as np

from toykit._shared.arguments import check_choice
from toykit._shared.resources import shipped
from toykit.datasets.sample import Sample, fit_within, resize_image
from toykit.supervision import read_scribbles

#: The photos, simplest first. Each is a function of `skimage.data` and a file in `data/scribbles/`.
PHOTOS = (
    "chelsea",
    "coffee",
    "rocket",
    "astronaut",
    "motorcycle",
    "camera",
    "coins",
    "retina",
    "immunohistochemistry",
)


def photo(name: str, long_side: int | None = None) -> Sample:
    """Load one photo with its scribbles.

    Parameters
    ----------
    name : str
        One of `PHOTOS`.
    long_side : int, optional
        Scale the photo down so that its longer side has this many pixels. Default: keep its size. Never enlarged.

    Returns
    -------
    Sample

    Raises
    ------
    ValueError
        For another name.
    ImportError
        If scikit-image is missing.
    """
    from skimage import color, data

    check_choice("photo", name, PHOTOS)
    image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    if image.ndim == 2:
        image = color.gray2rgb(image)
    scribbles = read_scribbles(shipped("data", "scribbles", f"{name}.json"))
    size = fit_within((image.shape[1], image.shape[0]), long_side)
    image = resize_image(np.ascontiguousarray(image), size)
    return Sample(name, image, scribbles.draw(size), scribbles.classes)


def photos(long_side: int | None = None, names: tuple[str, ...] = PHOTOS) -> list[Sample]:
    """Load several photos with their scribbles, see `photo`.

    Parameters
    ----------
    long_side : int, optional
        Longer side in pixels. Default: keep each photo's size.
    names : tuple of str, default `PHOTOS`

    Returns
    -------
    list of Sample
    """
    return [photo(name, long_side) for name in names]
