"""PASCAL VOC 2012, augmented by SBD: `VOC2012/` (paper, section 3: 10,582 training and 1,449 validation images).

    JPEGImages/ID.jpg
    SegmentationClassAug/ID.png                              class ids 0..20, 255 = void
    ImageSets/SegmentationAug/train_aug.txt, val.txt
    scribbles/ID.xml                                         ScribbleSup's polylines, or the JSON of this project
    pascal_2012_scribble/ID.png, ..._0.8/ID.png, ..._0/      the same drawn, at the whole or a share of each stroke's length
    points.json                                              the clicks of "What's the Point"

Each of the last three is needed only for the supervision that it holds. The generated toy set has this layout too.
"""

from pathlib import Path

from toykit.datasets.layout import files_by_name, plain_table, read_list
from toykit.datasets.segmentation_set import Entry, SegmentationSet
from toykit.supervision import Stroke, Supervision, read_clicks

CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip
LISTS = {"train": "train_aug", "val": "val"}
COUNTS = {"train": 10_582, "val": 1_449}


def find(
    root: Path, split: str, supervision: Supervision, kind: str = "voc", classes: tuple[str, ...] = CLASSES
) -> SegmentationSet:
    """List the files of the set, or of another set in VOC's layout.

    Parameters
    ----------
    root : Path
        The folder `VOC2012`.
    split : str
        "train" (the list train_aug.txt) or "val".
    supervision : Supervision
        Where the seeds come from.
    kind : str, default "voc"
        Name of the set.
    classes : tuple of str, default `CLASSES`
        Class names by id.

    Returns
    -------
    SegmentationSet

    Raises
    ------
    FileNotFoundError
        If the list of ids, or the files of this supervision, are missing.
    ValueError
        If a file is faulty; names it.
    """
    ids = read_list(root / "ImageSets" / "SegmentationAug" / f"{LISTS[split]}.txt")
    marks = _marks(root, ids, supervision, classes)
    photos, masks = root / "JPEGImages", root / "SegmentationClassAug"
    images, labels = files_by_name(photos, (".jpg", ".jpeg")), files_by_name(masks, (".png",))
    entries = tuple(
        Entry(images.get(name, photos / f"{name}.jpg"), labels.get(name, masks / f"{name}.png"), marks.get(name))
        for name in ids
    )
    return SegmentationSet(kind, split, ids, classes, entries, plain_table(len(classes)), classes, supervision)


def _marks(
    root: Path, ids: tuple[str, ...], supervision: Supervision, classes: tuple[str, ...]
) -> dict[str, Path] | dict[str, tuple[Stroke, ...]]:
    """Return each id's clicks or file of scribbles; nothing for supervision that is made from the masks."""
    if supervision.kind == "clicks":
        clicks = read_clicks(root / "points.json", classes, supervision.width)
        missing = [name for name in ids if name not in clicks]
        if missing:
            raise ValueError(f"{root / 'points.json'}: has no clicks for {', '.join(missing[:8])}")
        return clicks
    if supervision.kind != "scribbles":
        return {}
    ratio = supervision.ratio
    drawn = root / ("pascal_2012_scribble" + ("" if ratio == 1 else f"_{ratio:g}"))
    if drawn.is_dir() and supervision.width == 3:  # prefer the published maps to our own drawing
        return {name: drawn / f"{name}.png" for name in ids}
    strokes = root / "scribbles"
    suffix = ".json" if strokes.is_dir() and next(strokes.glob("*.json"), None) else ".xml"
    if not strokes.is_dir() or (suffix == ".json" and supervision.width != 3):
        raise FileNotFoundError(
            f"{root}: no scribbles of width {supervision.width} and ratio {ratio:g}: neither {drawn.name}/ID.png (width "
            "3) nor scribbles/ID.xml; put ScribbleSup's files there, or choose simulated ones"
        )
    return {name: strokes / f"{name}{suffix}" for name in ids}
