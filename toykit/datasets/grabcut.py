"""Human scribbles on BSDS photos, the classic interactive-segmentation benchmark: `grabcut_seeds/` under TOYKIT_DATA.

Layout: images/ID.jpg, scribbles-set-1/ID-anno.png and scribbles-set-2/ID-anno.png (0 = none, 1 = object,
2 = background), ground-truth/ID.png (0 = background, 255 = object, others = mixed pixels).
"""

import numpy as np

from toykit._shared.resources import data_root
from toykit.conventions import UNLABELLED
from toykit.datasets.sample import Sample, fit_within, read_image, resize_image
from toykit.supervision import read_indexed_png

CLASSES = ("background", "object")


def grabcut_seeds(long_side: int | None = None) -> list[Sample]:
    """All photos and scribble maps of the set, two samples a photo; an empty list where the set is missing.

    long_side: scale down to this longer side. Seeds and masks take every n-th pixel (nearest neighbour).
    Raises: ValueError, naming the file, where a picture is corrupt, of another size or holds other values.
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
            samples.append(_scaled(Sample(f"{path.stem}/{number}", image, seeds, CLASSES, mask), long_side))
    return samples


def _scaled(sample: Sample, long_side: int | None) -> Sample:
    height, width = sample.seeds.shape
    size = fit_within((width, height), long_side)
    if size == (width, height):
        return sample
    rows = ((np.arange(size[1]) + 0.5) * height / size[1]).astype(int)
    columns = ((np.arange(size[0]) + 0.5) * width / size[0]).astype(int)
    pick = np.ix_(rows, columns)
    return Sample(sample.name, resize_image(sample.image, size), sample.seeds[pick], sample.classes, sample.mask[pick])
