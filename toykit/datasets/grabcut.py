"""Human scribbles on BSDS photos, the classic interactive-segmentation benchmark: `grabcut_seeds/` under TOYKIT_DATA.

images/ID.jpg
scribbles-set-1/ID-anno.png, scribbles-set-2/ID-anno.png     0 = none, 1 = object, 2 = background
ground-truth/ID.png                                          0 = background, 255 = object, others = mixed pixels
"""

import numpy as np

from toykit._shared.resources import data_root
from toykit.conventions import UNLABELLED
from toykit.datasets.sample import Sample, fit_within, read_image, resize_image
from toykit.supervision import read_indexed_png
from toykit.supervision.seed_maps import scale_ids

CLASSES = ("background", "object")


def grabcut_seeds(long_side: int | None = None) -> list[Sample]:
    """Load all photos with their scribble maps, two samples per photo.

    Parameters
    ----------
    long_side : int, optional
        Scale down to this longer side in pixels; seeds and masks by nearest neighbour. Default: keep each size.

    Returns
    -------
    list of Sample
        Empty if the set is missing.

    Raises
    ------
    ValueError
        If a picture is corrupt, has another size or holds other values; names the file.
    """
    root = data_root() / "grabcut_seeds"
    samples = []
    for path in sorted(root.glob("images/*.jpg")):
        image = read_image(path)
        truth = read_image(root / "ground-truth" / f"{path.stem}.png")[..., 0]
        mask = np.select([truth == 0, truth == 255], [0, 1], UNLABELLED).astype(np.uint8)
        for number in (1, 2):
            anno = root / f"scribbles-set-{number}" / f"{path.stem}-anno.png"
            strokes = read_indexed_png(anno)
            if not strokes.shape == mask.shape == image.shape[:2] or strokes.max() > 2:
                raise ValueError(
                    f"{anno}: expected values 0, 1, 2 on {image.shape[1]} x {image.shape[0]} pixels, got up to "
                    f"{strokes.max()} on {strokes.shape[1]} x {strokes.shape[0]}"
                )
            seeds = np.array([UNLABELLED, 1, 0], np.uint8)[strokes]
            samples.append(_scaled(f"{path.stem}/{number}", image, seeds, mask, long_side))
    return samples


def _scaled(name: str, image: np.ndarray, seeds: np.ndarray, mask: np.ndarray, long_side: int | None) -> Sample:
    """Build a sample, scaled down to the longer side."""
    height, width = seeds.shape
    size = fit_within((width, height), long_side)
    if size == (width, height):
        return Sample(name, image, seeds, CLASSES, mask)
    return Sample(name, resize_image(image, size), scale_ids(seeds, size), CLASSES, scale_ids(mask, size))
