"""Cityscapes, urban scenes with fine labels: `cityscapes/`, 2,975 / 500 images (paper, section 3.5).

    leftImg8bit/{train,val}/CITY/CITY_SEQUENCE_FRAME_leftImg8bit.png
    gtFine/{train,val}/CITY/CITY_SEQUENCE_FRAME_gtFine_labelIds.png         34 ids, of which 19 are classes
    gtFine/{train,val}/CITY/CITY_SEQUENCE_FRAME_gtFine_labelTrainIds.png    0..18 and 255; preferred where it exists

The id of an image is CITY_SEQUENCE_FRAME.
"""

from pathlib import Path

from toykit.datasets.layout import lookup_table, pictures, plain_table
from toykit.datasets.segmentation_set import Entry, SegmentationSet
from toykit.supervision import Supervision

#: Class names and their values in labelIds files; the other values up to 33 are void.
LABEL_IDS = {
    "road": 7, "sidewalk": 8, "building": 11, "wall": 12, "fence": 13, "pole": 17, "traffic light": 19,
    "traffic sign": 20, "vegetation": 21, "terrain": 22, "sky": 23, "person": 24, "rider": 25, "car": 26, "truck": 27,
    "bus": 28, "train": 31, "motorcycle": 32, "bicycle": 33,
}  # fmt: skip
CLASSES = tuple(LABEL_IDS)
COUNTS = {"train": 2_975, "val": 500}


def find(root: Path, split: str, supervision: Supervision) -> SegmentationSet:
    """List the files of the set.

    Parameters
    ----------
    root : Path
        The folder `cityscapes`.
    split : str
        "train" or "val".
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
    images = pictures(root / "leftImg8bit" / split, "*/*_leftImg8bit.png")
    ids = tuple(path.stem.removesuffix("_leftImg8bit") for path in images)
    stems = [
        root / "gtFine" / split / path.parent.name / f"{name}_gtFine" for path, name in zip(images, ids, strict=True)
    ]
    train_ids = stems[0].with_name(f"{stems[0].name}_labelTrainIds.png").exists()
    suffix = "_labelTrainIds.png" if train_ids else "_labelIds.png"
    entries = tuple(Entry(path, stem.with_name(stem.name + suffix)) for path, stem in zip(images, stems, strict=True))
    label_ids = lookup_table({value: k for k, value in enumerate(LABEL_IDS.values())}, void=(*range(34), 255))
    lookup = plain_table(len(CLASSES)) if train_ids else label_ids
    return SegmentationSet("cityscapes", split, ids, CLASSES, entries, lookup, CLASSES, supervision)
