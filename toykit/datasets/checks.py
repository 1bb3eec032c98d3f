"""Check whether a set on disk has its published layout: every file is read once, and every problem is reported."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from toykit._shared.arguments import check_choice
from toykit.conventions import UNLABELLED
from toykit.datasets import ade20k, camvid, cityscapes, custom_folder, voc
from toykit.datasets.layout import name_key, pictures
from toykit.datasets.loading import FINDERS, folder, splits
from toykit.datasets.sample import read_image
from toykit.datasets.segmentation_set import SegmentationSet
from toykit.datasets.set_findings import Occurrence
from toykit.supervision import Supervision

#: Number of images in the published sets; a toy set may have any number.
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
    unlabelled: int = UNLABELLED,
) -> list[str]:
    """Return the problems of a set.

    Parameters
    ----------
    kind : str
        One of `toykit.datasets.KINDS`.
    root : Path or str, optional
        The set's folder. Default: as for `toykit.datasets.load`.
    split : str, optional
        The split to check. Default: all splits of the set.
    progress : callable, optional
        Called with the number of images checked and their total number, for each split.
    unlabelled : int, default 255
        The id that means "no label" in a user's drawn maps, see `toykit.supervision.Supervision`.

    Returns
    -------
    list of str
        Each problem begins with the faulty file; empty if there is none.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        For an unknown kind or split.

    Notes
    -----
    Checked are the lists (empty, an id twice or in two splits), the published number of images, a mask for every image and
    an image for every mask, readable files, equal sizes, class ids, the scribbles and clicks of the set, and what is suspicious
    about them: no unlabelled pixel, soft edges, strokes outside of the photo, classes that do not occur.
    """
    check_choice("kind", kind, FINDERS)
    if split is not None:
        check_choice("split", split, splits(kind))
    root, problems = folder(kind, root), []
    parts = splits(kind) if split is None else (split,)
    if kind == "folder" and split is None and not ((root / "masks").is_dir() or (root / "val.txt").exists()):
        parts = ("train",)  # there is nothing to validate with
    datasets, occurrence = {}, None
    for part in parts:
        sets, reasons = _find(kind, root, part, Supervision("full"))
        problems += reasons
        for dataset in sets:
            datasets[part] = dataset
            occurrence = occurrence or Occurrence(kind, dataset.classes, unlabelled)
            expected = COUNTS.get(kind, {}).get(part, len(dataset))
            if len(dataset) != expected:
                problems.append(f"{root}: {part} has {len(dataset)} images, the published set {expected}")
            marked, reasons = _marked(dataset, root, unlabelled)
            problems += _without_image(dataset, root) + reasons
            for i in range(len(dataset)):
                problems += _check_image(dataset, marked, i, occurrence)
                progress(i + 1, len(dataset))
    if {"train", "val"} <= set(datasets):
        problems += _in_both(datasets["train"], datasets["val"], root)
    if occurrence is not None:
        problems += occurrence.findings(root)
    return problems


def _marked(dataset: SegmentationSet, root: Path, unlabelled: int) -> tuple[list[SegmentationSet], list[str]]:
    """Return the set once for each human supervision that it has files of, and the problems of these as a whole."""
    if dataset.split != "train" or dataset.kind not in ("voc", "toy", "folder"):
        return [], []
    if dataset.kind == "folder":
        return _find(dataset.kind, root, dataset.split, Supervision("scribbles", unlabelled=unlabelled))
    strokes = root / "scribbles"
    suffixes = {path: ".png" for path in sorted(root.glob("pascal_2012_scribble*")) if path.is_dir()}
    if strokes.is_dir():
        suffixes[strokes] = ".json" if any(strokes.glob("*.json")) else ".xml"
    views = []
    for path, suffix in suffixes.items():
        marks = [path / f"{name}{suffix}" for name in dataset.ids]
        entries = tuple(replace(entry, marks=mark) for entry, mark in zip(dataset.entries, marks, strict=True))
        views.append(replace(dataset, entries=entries, supervision=Supervision("scribbles")))
    if not (root / "points.json").exists():
        return views, []
    clicks, problems = _find(dataset.kind, root, dataset.split, Supervision("clicks"))
    return views + clicks, problems


def _find(kind: str, root: Path, split: str, supervision: Supervision) -> tuple[list[SegmentationSet], list[str]]:
    """Return the set in a list of one, or an empty list and the problem of the set as a whole."""
    try:
        return [FINDERS[kind](root, split, supervision)], []
    except (ValueError, OSError) as error:
        return [], [_message(error)]


def _check_image(dataset: SegmentationSet, marked: list[SegmentationSet], i: int, occurrence: Occurrence) -> list[str]:
    """Return the problems of one image, its mask and its seeds; count the ids in these."""
    try:
        height, width, _ = read_image(dataset.entries[i].image).shape
    except (ValueError, OSError) as error:
        return [_message(error)]
    problems = []
    try:
        mask = dataset.mask(i, (width, height))
        if mask is not None:
            occurrence.add("mask", dataset.entries[i].image, mask)
    except (ValueError, OSError) as error:
        problems.append(_message(error))
    for view in marked:
        try:
            seeds, notes = view.inspect(i, (width, height))
            occurrence.add("seed map", dataset.entries[i].image, seeds)
            problems += notes
        except (ValueError, OSError) as error:
            problems.append(_message(error))
    return problems


def _without_image(dataset: SegmentationSet, root: Path) -> list[str]:
    """Report masks, and in a user's folder also scribbles, without an image; not where a list chooses among the files."""
    if dataset.kind in ("voc", "toy"):
        return []
    if dataset.kind == "folder":
        images = {name_key(path.stem) for path in pictures(root / "images")} if dataset.split == "train" else set()
        marks = [path for path in (root / "scribbles").glob("*") if path.suffix.lower() in (".png", ".json")]
        orphans = [p for p in custom_folder.masks_of(root) + marks if images and name_key(p.stem) not in images]
    else:
        masks = {entry.mask for entry in dataset.entries if entry.mask is not None}
        first = dataset.entries[0].mask
        if first is None:
            return []
        suffix = first.stem.removeprefix(
            dataset.ids[0]
        )  # Cityscapes keeps other files beside its masks, in folders of cities
        cities = dataset.kind == "cityscapes"
        parent, pattern = (first.parents[1], f"*/*{suffix}.png") if cities else (first.parent, f"*{suffix}.png")
        orphans = [path for path in parent.glob(pattern) if path not in masks]
    return [f"{path}: no image belongs to it" for path in sorted(orphans) if not path.name.startswith(".")]


def _in_both(train: SegmentationSet, val: SegmentationSet, root: Path) -> list[str]:
    """Report the images that lists put into both splits."""
    if train.kind == "folder":
        lists = [root / "train.txt", root / "val.txt"]
    elif train.kind in ("voc", "toy"):
        lists = [root / "ImageSets" / "SegmentationAug" / f"{voc.LISTS[split]}.txt" for split in ("train", "val")]
    else:
        return []
    shared = sorted(set(train.ids) & set(val.ids)) if all(path.exists() for path in lists) else []
    return [f"{lists[1]}: {', '.join(shared[:8])} also in {lists[0].name}, for training"] if shared else []


def _message(error: Exception) -> str:
    """Write an error as a problem that begins with the file."""
    return f"{error.filename}: missing" if isinstance(error, FileNotFoundError) and error.filename else str(error)
