"""Photos from scikit-image's wheel with scribbles drawn for this project (`data/scribbles/`): real, and always there."""

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
    """One photo with its scribbles, scaled down so that its longer side is `long_side` (default: as it is).

    Raises: ValueError for a name that is not in `PHOTOS`; ImportError if scikit-image is missing.
    """
    from skimage import color, data

    check_choice("photo", name, PHOTOS)
    image = data.stereo_motorcycle()[0] if name == "motorcycle" else getattr(data, name)()
    if image.ndim == 2:
        image = color.gray2rgb(image)
    scribbles = read_scribbles(shipped("data", "scribbles", f"{name}.json"))
    size = fit_within(image.shape[1::-1], long_side)
    image = resize_image(np.ascontiguousarray(image), size)
    return Sample(name, image, scribbles.draw(size), scribbles.classes)


def photos(long_side: int | None = None, names: tuple[str, ...] = PHOTOS) -> list[Sample]:
    """Several photos, see `photo`."""
    return [photo(name, long_side) for name in names]
