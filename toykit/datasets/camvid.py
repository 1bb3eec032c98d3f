"""CamVid, driving scenes (not in the paper): `camvid/` in SegNet's layout, 367 / 101 / 233 images, 11 classes.

train/ val/ test/                       ID.png or ID.jpg
trainannot/ valannot/ testannot/        ID.png: class ids 0..10, 11 = void
"""

from pathlib import Path

from toykit.datasets.layout import pictures, plain_table
from toykit.datasets.segmentation_set import Entry, SegmentationSet
from toykit.supervision import Supervision

CLASSES = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian", "bicyclist",
)  # fmt: skip
COUNTS = {"train": 367, "val": 101, "test": 233}


def find(root: Path, split: str, supervision: Supervision) -> SegmentationSet:
    """List the files of the set.

    Parameters
    ----------
    root : Path
        The folder `camvid`.
    split : str
        "train", "val" or "test".
    supervision : Supervision
        Where the seeds come from.

    Returns
    -------
    SegmentationSet

    Raises
    ------
    FileNotFoundError
        If there are no images.
    """
    images = pictures(root / split)
    entries = tuple(Entry(path, root / f"{split}annot" / f"{path.stem}.png") for path in images)
    ids = tuple(path.stem for path in images)
    return SegmentationSet(
        "camvid", split, ids, CLASSES, entries, plain_table(11, void=(11, 255)), CLASSES, supervision
    )
