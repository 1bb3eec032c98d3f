"""ADE20K, scene parsing with 150 classes: `ADEChallengeData2016/`, 20,210 / 2,000 images (paper, section 3.5).

images/{training,validation}/ID.jpg
annotations/{training,validation}/ID.png     0 = other (void), 1..150 = the classes
objectInfo150.txt                            a table separated by tabs, class names in the column "Name"
"""

import csv
from pathlib import Path

from toykit.datasets.layout import decode_text, lookup_table, pictures
from toykit.datasets.segmentation_set import Entry, SegmentationSet
from toykit.supervision import Supervision

NUM_CLASSES = 150
FOLDERS = {"train": "training", "val": "validation"}
COUNTS = {"train": 20_210, "val": 2_000}


def find(root: Path, split: str, supervision: Supervision) -> SegmentationSet:
    """List the files of the set.

    Parameters
    ----------
    root : Path
        The folder `ADEChallengeData2016`.
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
    ValueError
        If the list of class names is faulty; names the file.
    """
    images = pictures(root / "images" / FOLDERS[split])
    entries = tuple(Entry(path, root / "annotations" / FOLDERS[split] / f"{path.stem}.png") for path in images)
    ids = tuple(path.stem for path in images)
    classes = _names(root / "objectInfo150.txt")
    lookup = lookup_table({k + 1: k for k in range(NUM_CLASSES)}, void=(0,))
    return SegmentationSet("ade20k", split, ids, classes, entries, lookup, classes, supervision)


def _names(path: Path) -> tuple[str, ...]:
    """Read the first name of each class; without the file, number them. Classes that share a name are numbered too."""
    if not path.exists():
        return tuple(f"class {k}" for k in range(NUM_CLASSES))
    try:
        rows = csv.DictReader(decode_text(path.read_bytes()).splitlines(), delimiter="\t")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: cannot be read as a table of names ({error})") from error
    names = [(row.get("Name") or "").split(",")[0].strip() for row in rows]
    if len(names) != NUM_CLASSES or not all(names):
        raise ValueError(f'{path}: expected {NUM_CLASSES} rows with a "Name", got {len(names)}')
    return tuple(f"{name} ({k})" if names.count(name) > 1 else name for k, name in enumerate(names))
