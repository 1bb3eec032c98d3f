"""Other classes than the set's own: some merged into one, some left out.

What happens to the pixels of a class that is left out matters to self-labelling. As void they would stay in the photo without
a label of their own, and pseudo-labels would force them into one of the classes that were kept. So a photo that shows such a
class is dropped, or its pixels join a class that is named. A mask's own void is different: an annotator does not
see it, so it stays unlabelled in training, and evaluation leaves it out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from toykit.datasets.layout import REFUSED, VOID
from toykit.datasets.segmentation_set import SegmentationSet, subset

DROP = "drop"


def merge_classes(whole: SegmentationSet, merge: Mapping[str, Sequence[str]]) -> SegmentationSet:
    """The set with some classes merged: new name -> names of the classes that it takes the place of.

    A new class stands where the first of its members stood; the others keep their order and are numbered anew. Seeds and masks
    change alike.
    Raises: ValueError for a name that is no class of the set or is merged twice, for a new name that another class has, or if
        fewer than two classes remain.
    """
    members = [name for names in merge.values() for name in names]
    strange = sorted(set(members) - set(whole.classes))
    if strange or not all(merge.values()):
        raise ValueError(f"merge: expected some of {', '.join(whole.classes)}; got {', '.join(strange) or 'none'}")
    twice = sorted({name for name in members if members.count(name) > 1})
    taken = sorted(set(merge) & (set(whole.classes) - set(members)))
    if twice or taken:
        reason = "is merged twice" if twice else "is a class of its own already"
        raise ValueError(f"merge: {', '.join(twice or taken)} {reason}")
    target = {name: name for name in whole.classes} | {name: new for new, names in merge.items() for name in names}
    classes = tuple(dict.fromkeys(target[name] for name in whole.classes))
    if len(classes) < 2:
        raise ValueError(f"merge: expected at least two classes to remain, got {', '.join(classes)}")
    return _renumber(whole, classes, [classes.index(target[name]) for name in whole.classes])


def keep_classes(whole: SegmentationSet, only: Sequence[str], others: str = DROP) -> SegmentationSet:
    """The set with the classes `only` (and its background), renumbered in the set's order.

    others: "drop" leaves out the photos that show another class; the name of a class that is kept makes the others that class.
    Photos without a pixel of `only` are left out in either case, so all masks (or seeds, where there are none) are read once.
    Raises: ValueError for a name that is no class of the set, or if no photo remains.
    """
    strange = set(only) - set(whole.classes)
    if strange or not set(only) - {"background"}:
        raise ValueError(f"only: expected some of {', '.join(whole.classes)}; got {', '.join(only) or 'none'}")
    classes = tuple(c for c in whole.classes if c in only or c == "background")
    if others != DROP and others not in classes:
        raise ValueError(f"others: expected {DROP} or one of {', '.join(classes)}; got {others!r}")
    wanted = {k for k, name in enumerate(whole.classes) if name in only and name != "background"}
    unwanted = {k for k, name in enumerate(whole.classes) if name not in classes}
    chosen = []
    for i in range(len(whole)):
        shown = set(np.unique(whole[i].seeds if whole.entries[i].mask is None else whole.mask(i)).tolist())
        if shown & wanted and not (others == DROP and shown & unwanted):
            chosen.append(i)
    if not chosen:
        without = ' without another class; name the class that the others join, others="..."' if others == DROP else ""
        raise ValueError(f"only: no photo of {whole.kind} {whole.split} shows {', '.join(only)}{without}")
    rest = VOID if others == DROP else classes.index(others)
    numbers = [classes.index(name) if name in classes else rest for name in whole.classes]
    return subset(_renumber(whole, classes, numbers), chosen)


def _renumber(whole: SegmentationSet, classes: tuple[str, ...], numbers: Sequence[int]) -> SegmentationSet:
    """The set with `classes`; numbers: the new id of each old one."""
    renumber = np.full(256, VOID, np.int16)
    renumber[: len(numbers)] = numbers
    table = np.where(whole.table == REFUSED, REFUSED, renumber[whole.table])
    return replace(whole, classes=classes, table=table)
