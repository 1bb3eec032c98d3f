"""One door to all sets with masks: `load("voc", "train", supervision=Supervision("simulated"))`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from toykit._shared.arguments import check_choice
from toykit._shared.resources import data_root
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
#: The folder of each set under TOYKIT_DATA, as it is published; "toy" is generated, "folder" is one's custom_folder.
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
    """A set of photos with seeds and masks.

    kind: one of KINDS. split: "train" or "val"; CamVid also has "test".
    root: the set's folder. Default: its published name under TOYKIT_DATA; the toy set is generated once into a cache.
    supervision: default the annotators' scribbles in "train" and full masks elsewhere.
    merge, only, others: classes to merge and to keep, see `toykit.datasets.classes`; merging comes first.
    limit: at most that many images, evenly spread.
    Raises: ValueError for a bad argument; FileNotFoundError or ValueError, naming the file, for what is missing or wrong.
    """
    check_choice("kind", kind, KINDS)
    check_choice("split", split, splits(kind))
    if limit is not None and limit < 1:
        raise ValueError(f"limit: expected at least 1 image, got {limit}")
    if supervision is None:
        supervision = Supervision("scribbles" if split == "train" else "full")
    root = folder(kind, root)
    found = FINDERS[kind](root, split, supervision)
    if supervision.kind in ("scribbles", "clicks") and any(entry.marks is None for entry in found.entries):
        raise FileNotFoundError(
            f"{root}: {kind} has no {supervision.kind}; choose simulated, blocks or full supervision"
        )
    if merge:
        found = merge_classes(found, merge)
    if only is not None:
        found = keep_classes(found, only, others)
    return limited(found, limit)


def splits(kind: str) -> tuple[str, ...]:
    """The splits that sets of a kind have."""
    return (*SPLITS, "test") if kind == "camvid" else SPLITS


def folder(kind: str, root: Path | str | None) -> Path:
    """The set's folder: `root`, or where it is by default. Raises: FileNotFoundError, ValueError if there is none."""
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
