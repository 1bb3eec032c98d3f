"""Load any set of photos with masks: `load("voc", "train", supervision=Supervision("simulated"))`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from toykit._shared.arguments import check_choice, check_whole
from toykit._shared.resources import data_root
from toykit.conventions import UNLABELLED
from toykit.datasets import ade20k, camvid, cityscapes, custom_folder, toy, voc
from toykit.datasets.classes import DROP, keep_classes, merge_classes
from toykit.datasets.segmentation_set import SegmentationSet, limited
from toykit.supervision import Supervision

FINDERS = {
    "toy": toy.find,
    "voc": voc.find,
    "cityscapes": cityscapes.find,
    "ade20k": ade20k.find,
    "camvid": camvid.find,
    "folder": custom_folder.find,
}
KINDS = tuple(FINDERS)
#: The published name of each set's folder under TOYKIT_DATA; "toy" is generated, "folder" is the user's own.
FOLDERS = {"voc": "VOC2012", "cityscapes": "cityscapes", "ade20k": "ADEChallengeData2016", "camvid": "camvid"}
SPLITS = ("train", "val")


def load(
    kind: str,
    split: str,
    root: Path | str | None = None,
    supervision: Supervision | None = None,
    *,
    merge: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] | None = None,
    others: str = DROP,
    limit: int | None = None,
) -> SegmentationSet:
    """Load a set of photos with seeds and masks.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    split : str
        "train" or "val"; CamVid also has "test".
    root : Path or str, optional
        The set's folder. Default: its published name under TOYKIT_DATA; the toy set is generated once into a cache.
    supervision : Supervision, optional
        Where the seeds come from. Default: the annotators' scribbles in "train", full masks elsewhere.
    merge : mapping from str to sequence of str, optional
        Classes to merge before any other change, see `toykit.datasets.classes.merge_classes`.
    only : sequence of str, optional
        Classes to keep, see `toykit.datasets.classes.keep_classes`. Default: all.
    others : str, default "drop"
        With `only`: drop photos that show another class, or the name of the kept class that the others join.
    limit : int, optional
        Largest number of images, evenly spread over the set; at least 1. Default: all.

    Returns
    -------
    SegmentationSet

    Raises
    ------
    FileNotFoundError
        If a folder or file is missing; names it.
    ValueError
        For an invalid argument or a faulty file; names it.
    """
    check_choice("kind", kind, KINDS)
    check_choice("split", split, splits(kind))
    if limit is not None:
        check_whole("limit", limit)
    if supervision is not None and supervision.unlabelled != UNLABELLED and kind != "folder":
        raise ValueError(
            f"unlabelled={supervision.unlabelled}: has no effect with {kind}, whose maps have a fixed layout"
        )
    if supervision is None:
        supervision = Supervision("scribbles" if split == "train" else "full")
    root = folder(kind, root)
    dataset = FINDERS[kind](root, split, supervision)
    if supervision.annotated and any(entry.marks is None for entry in dataset.entries):
        raise FileNotFoundError(
            f"{root}: {kind} has no {supervision.kind}; choose simulated, blocks or full supervision"
        )
    if merge:
        dataset = merge_classes(dataset, merge)
    if only is not None:
        dataset = keep_classes(dataset, only, others)
    return limited(dataset, limit)


def splits(kind: str) -> tuple[str, ...]:
    """Return the splits of a kind of set.

    Parameters
    ----------
    kind : str
        One of `KINDS`.

    Returns
    -------
    tuple of str
    """
    return (*SPLITS, "test") if kind == "camvid" else SPLITS


def folder(kind: str, root: Path | str | None) -> Path:
    """Return a set's folder.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    root : Path or str or None
        The folder; None for the default: the toy set's cache, or the published name under TOYKIT_DATA.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If the kind "folder" has no root.
    """
    if root is None:
        if kind == "toy":
            return toy.cached()
        if kind == "folder":
            raise ValueError("folder: give the root of your set, a folder with images/ and scribbles/")
        root = data_root() / FOLDERS[kind]
    root = Path(root)
    if not root.is_dir():
        hint = f"make it: toykit data make toy {root}" if kind == "toy" else "set TOYKIT_DATA, or give its root"
        raise FileNotFoundError(f"{root}: no such folder; {kind} is expected there ({hint})")
    return root
