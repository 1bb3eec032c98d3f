"""Is a set on disk what its layout promises? Every file is read once, every problem named."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from toykit._shared.arguments import check_choice
from toykit.datasets import ade20k, camvid, cityscapes, custom_folder, voc
from toykit.datasets.layout import pictures
from toykit.datasets.loading import FINDERS, folder, splits
from toykit.datasets.sample import read_image
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.supervision import Supervision

#: How many images the published sets have; a toy set is made with any number.
COUNTS = {
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

    Checked: lists (empty, an id twice or in two splits), the published number of images, a mask for every image and the
    reverse, readable files, equal sizes, class ids; the scribbles and clicks that the set has.
    split: default all of the set's. progress: called with the images done and their number, for each split.
    Raises: FileNotFoundError without a folder; ValueError for an unknown kind or split.
    """
    check_choice("kind", kind, FINDERS)
    if split is not None:
        check_choice("split", split, splits(kind))
    root, problems = folder(kind, root), []
    parts = splits(kind) if split is None else (split,)
    if kind == "folder" and split is None and not ((root / "masks").is_dir() or (root / "val.txt").exists()):
        parts = ("train",)  # nothing to validate with
    whole = {}
    for part in parts:
        sets, reasons = _found(kind, root, part, Supervision("full"))
        problems += reasons
        for found in sets:
            whole[part] = found
            expected = COUNTS.get(kind, {}).get(part, len(found))
            if len(found) != expected:
                problems.append(f"{root}: {part} has {len(found)} images, the published set {expected}")
            marked, reasons = _marked(found, root)
            problems += _without_image(found, root) + reasons
            for i in range(len(found)):
                problems += _image(found, marked, i)
                progress(i + 1, len(found))
    if {"train", "val"} <= set(whole):
        problems += _in_both(whole["train"], whole["val"], root)
    return problems


def _marked(found: SegmentationSet, root: Path) -> tuple[list[SegmentationSet], list[str]]:
    """The set once for each human supervision of which it has files, and what is wrong as a whole."""
    if found.split != "train" or found.kind not in ("voc", "toy", "folder"):
        return [], []
    if found.kind == "folder":
        return _found(found.kind, root, found.split, Supervision("scribbles"))
    strokes = root / "scribbles"
    suffixes = {path: ".png" for path in sorted(root.glob("pascal_2012_scribble*")) if path.is_dir()}
    if strokes.is_dir():
        suffixes[strokes] = ".json" if any(strokes.glob("*.json")) else ".xml"
    views = []
    for path, suffix in suffixes.items():
        marks = [path / f"{name}{suffix}" for name in found.ids]
        entries = tuple(replace(entry, marks=mark) for entry, mark in zip(found.entries, marks, strict=True))
        views.append(replace(found, entries=entries, supervision=Supervision("scribbles")))
    if not (root / "points.json").exists():
        return views, []
    clicks, problems = _found(found.kind, root, found.split, Supervision("clicks"))
    return views + clicks, problems


def _found(kind: str, root: Path, split: str, choice: Supervision) -> tuple[list[SegmentationSet], list[str]]:
    """The set, or what is wrong with it as a whole."""
    try:
        return [FINDERS[kind](root, split, choice)], []
    except (ValueError, OSError) as error:
        return [], [_text(error)]


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


def _without_image(found: SegmentationSet, root: Path) -> list[str]:
    """Masks, and in a folder of one's own scribbles, to which no image belongs; not where a list chooses among them."""
    if found.kind in ("voc", "toy"):
        return []
    if found.kind == "folder":
        images = {path.stem for path in pictures(root / "images")} if found.split == "train" else set()
        marks = [path for path in (root / "scribbles").glob("*") if path.suffix.lower() in (".png", ".json")]
        orphans = [path for path in custom_folder.masks_of(root) + marks if images and path.stem not in images]
    else:
        masks = {entry.mask for entry in found.entries}
        first = found.entries[0].mask
        suffix = first.stem.removeprefix(found.ids[0])  # Cityscapes keeps other files beside its masks, in cities
        cities = found.kind == "cityscapes"
        folder, pattern = (first.parents[1], f"*/*{suffix}.png") if cities else (first.parent, f"*{suffix}.png")
        orphans = [path for path in folder.glob(pattern) if path not in masks]
    return [f"{path}: no image belongs to it" for path in sorted(orphans) if not path.name.startswith(".")]


def _in_both(train: SegmentationSet, val: SegmentationSet, root: Path) -> list[str]:
    """Whether lists put an image into both splits."""
    if train.kind == "folder":
        lists = [root / "train.txt", root / "val.txt"]
    elif train.kind in ("voc", "toy"):
        lists = [root / "ImageSets" / "SegmentationAug" / f"{voc.LISTS[split]}.txt" for split in ("train", "val")]
    else:
        return []
    shared = sorted(set(train.ids) & set(val.ids)) if all(path.exists() for path in lists) else []
    return [f"{lists[1]}: {', '.join(shared[:8])} also in {lists[0].name}, for training"] if shared else []


def _text(error: Exception) -> str:
    return f"{error.filename}: missing" if isinstance(error, FileNotFoundError) and error.filename else str(error)
