"""Change the classes of a set: merge some into one, or keep only some.

The pixels of a class that is left out affect self-labelling. As void they would stay in the photo without a label of their
own, and pseudo-labels would force them into one of the classes that are kept. So a photo that shows such a class is dropped,
or its pixels join a class that the caller names. The void of a mask itself is different: an annotator does not see it, so it
stays unlabelled in training, and evaluation leaves it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from toykit.datasets.layout import REFUSED, VOID
from toykit.datasets.segmentation_set import SegmentationSet, subset

DROP = "drop"


def merge_classes(dataset: SegmentationSet, merge: Mapping[str, Sequence[str]]) -> SegmentationSet:
    """Merge some classes of a set, in its masks and seeds.

    Parameters
    ----------
    dataset : SegmentationSet
    merge : mapping from str to sequence of str
        New name -> names of the classes that it replaces.

    Returns
    -------
    SegmentationSet
        A new class takes the position of the first of its members; the others keep their order and get new ids.

    Raises
    ------
    ValueError
        For a name that is not a class of the set or is merged twice, for a new name that another class has, or if fewer than
        two classes remain.
    """
    members = [name for names in merge.values() for name in names]
    unknown = sorted(set(members) - set(dataset.classes))
    if unknown or not all(merge.values()):
        raise ValueError(f"merge: expected some of {', '.join(dataset.classes)}; got {', '.join(unknown) or 'none'}")
    twice = sorted({name for name in members if members.count(name) > 1})
    taken = sorted(set(merge) & (set(dataset.classes) - set(members)))
    if twice or taken:
        reason = "is merged twice" if twice else "is a class of its own already"
        raise ValueError(f"merge: {', '.join(twice or taken)} {reason}")
    target = {name: name for name in dataset.classes} | {name: new for new, names in merge.items() for name in names}
    classes = tuple(dict.fromkeys(target[name] for name in dataset.classes))
    if len(classes) < 2:
        raise ValueError(f"merge: expected at least two classes to remain, got {', '.join(classes)}")
    return _renumber(dataset, classes, [classes.index(target[name]) for name in dataset.classes])


def keep_classes(dataset: SegmentationSet, only: Sequence[str], others: str = DROP) -> SegmentationSet:
    """Keep only some classes of a set, and its background, numbered in the set's order.

    Parameters
    ----------
    dataset : SegmentationSet
    only : sequence of str
        The classes to keep.
    others : str, default "drop"
        "drop" leaves out the photos that show another class. The name of a kept class turns the other classes into it.

    Returns
    -------
    SegmentationSet
        Without the photos that show no pixel of `only`; to find them, all masks (or seeds, without masks) are read once.

    Raises
    ------
    ValueError
        For a name that is not a class of the set, or if no photo remains.
    """
    if set(only) - set(dataset.classes) or not set(only) - {"background"}:
        raise ValueError(f"only: expected some of {', '.join(dataset.classes)}; got {', '.join(only) or 'none'}")
    classes = tuple(c for c in dataset.classes if c in only or c == "background")
    if others != DROP and others not in classes:
        raise ValueError(f"others: expected {DROP} or one of {', '.join(classes)}; got {others!r}")
    wanted = {k for k, name in enumerate(dataset.classes) if name in only and name != "background"}
    unwanted = {k for k, name in enumerate(dataset.classes) if name not in classes}
    chosen = []
    for i in range(len(dataset)):
        mask = dataset.mask(i)
        shown = set(np.unique(dataset[i].seeds if mask is None else mask).tolist())
        if shown & wanted and not (others == DROP and shown & unwanted):
            chosen.append(i)
    if not chosen:
        without = ' without another class; name the class that the others join, others="..."' if others == DROP else ""
        raise ValueError(f"only: no photo of {dataset.kind} {dataset.split} shows {', '.join(only)}{without}")
    rest = VOID if others == DROP else classes.index(others)
    numbers = [classes.index(name) if name in classes else rest for name in dataset.classes]
    return subset(_renumber(dataset, classes, numbers), chosen)


def _renumber(dataset: SegmentationSet, classes: tuple[str, ...], numbers: Sequence[int]) -> SegmentationSet:
    """Return the set with new classes; `numbers` holds the new id of each old one."""
    renumber = np.full(256, VOID, np.int16)
    renumber[: len(numbers)] = numbers
    table = np.where(dataset.table == REFUSED, REFUSED, renumber[dataset.table])
    return replace(dataset, classes=classes, table=table)
