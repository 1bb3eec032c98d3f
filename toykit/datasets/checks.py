"""Is a set on disk what its layout promises? Every file is read once, every problem named."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from toykit.conventions import check_choice
from toykit.datasets import ade20k, camvid, cityscapes, toy, voc
from toykit.datasets.loading import FINDERS, folder, splits
from toykit.datasets.sample import read_image
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.supervision import Supervision

#: How many images the published sets have.
COUNTS = {
    "toy": toy.COUNTS,
    "voc": voc.COUNTS,
    "cityscapes": cityscapes.COUNTS,
    "ade20k": ade20k.COUNTS,
    "camvid": camvid.COUNTS,
}


def check(
    kind: str,
    root: Path | str | None = None,
    split: str | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> list[str]:
    """The problems of a set, each beginning with the file at fault; an empty list if there is none.

    Checked: lists (empty, an id twice), the published number of images, a mask for every image and the reverse,
    readable files, equal sizes, class ids; the scribbles and clicks that the set has. split: default all of the set's.
    progress: called with the images done and their number, for each split.
    Raises: FileNotFoundError without a folder; ValueError for an unknown kind or split.
    """
    check_choice("kind", kind, FINDERS)
    if split is not None:
        check_choice("split", split, splits(kind))
    root, problems = folder(kind, root), []
    parts = splits(kind) if split is None else (split,)
    if kind == "folder" and split is None and not ((root / "masks").is_dir() or (root / "val.txt").exists()):
        parts = ("train",)  # nothing to validate with
    for part in parts:
        try:
            found = FINDERS[kind](root, part, Supervision("full"))
        except (ValueError, OSError) as error:
            problems.append(_text(error))
            continue
        expected = COUNTS.get(kind, {}).get(part, len(found))
        if len(found) != expected:
            problems.append(f"{root}: {part} has {len(found)} images, the published set {expected}")
        marked, reasons = _marked(kind, root, part)
        problems += _without_image(found) + reasons
        for i in range(len(found)):
            problems += _image(found, marked, i)
            progress(i + 1, len(found))
    return problems


def _marked(kind: str, root: Path, split: str) -> tuple[list[SegmentationSet], list[str]]:
    """The split once for each human supervision of which the set has files, and what is wrong as a whole."""
    if split != "train" or kind not in ("voc", "toy", "folder"):
        return [], []
    choices = [Supervision("scribbles")] if any(root.glob("*scribble*")) or kind == "folder" else []
    if kind != "folder":
        ratios = [p.name.removeprefix("pascal_2012_scribble_") for p in root.glob("pascal_2012_scribble_*")]
        choices += [Supervision("scribbles", ratio=float(r)) for r in ratios if r in ("0.8", "0.5", "0.3", "0")]
        choices += [Supervision("clicks")] if (root / "points.json").exists() else []
    found, problems = [], []
    for choice in choices:
        try:
            found.append(FINDERS[kind](root, split, choice))
        except (ValueError, OSError) as error:
            problems.append(_text(error))
    return found, problems


def _image(found: SegmentationSet, marked: list[SegmentationSet], i: int) -> list[str]:
    """What is wrong with one image, its mask and its seeds."""
    try:
        size = read_image(found.entries[i].image).shape[1::-1]
    except (ValueError, OSError) as error:
        return [_text(error)]
    problems = []
    for read in (found.mask, *(partial(seeds.seeds, mask=None) for seeds in marked)):
        try:
            read(i, size)
        except (ValueError, OSError) as error:
            problems.append(_text(error))
    return problems


def _without_image(found: SegmentationSet) -> list[str]:
    """Masks to which no image belongs, in the sets that have no lists."""
    masks = [entry.mask for entry in found.entries if entry.mask]
    if found.kind in ("voc", "toy", "folder") or not masks:
        return []
    suffix = masks[0].stem.removeprefix(found.ids[0])  # Cityscapes keeps other files beside its masks
    there = {path for folder in {mask.parent for mask in masks} for path in folder.glob(f"*{suffix}.png")}
    orphans = sorted(there - set(masks))
    return [f"{path}: a mask without an image" for path in orphans]


def _text(error: Exception) -> str:
    return f"{error.filename}: missing" if isinstance(error, FileNotFoundError) and error.filename else str(error)
