"""What is suspicious about a set as a whole: classes that no mask, or no scribble, holds. For `data check` and for training."""

from collections.abc import Iterable, Sequence

import numpy as np

from toykit.conventions import UNLABELLED
from toykit.datasets.sample import picture_size
from toykit.datasets.segmentation_set import SegmentationSet, limited

#: The most images of a set that are read before training, in a user's folder and otherwise; `toykit data check` reads all.
MOST_READ, MOST_PUBLISHED = 200, 20


class Occurrence:
    """Which ids occur in the masks, and which in the seeds, of the sets of one folder.

    Parameters
    ----------
    kind : str
        The kind of set. In a user's folder each class that does not occur is reported; a published set may be a part of itself,
        so there only masks, or seeds, of one class altogether are.
    classes : sequence of str
        Class names by id.
    unlabelled : int, default 255
        An id that is no class, see `toykit.supervision.Supervision`.
    """

    def __init__(self, kind: str, classes: Sequence[str], unlabelled: int = UNLABELLED):
        self.own, self.classes, self.unlabelled = kind == "folder", tuple(classes), unlabelled
        self.images: dict[str, set] = {"mask": set(), "seed map": set()}
        self.pixels = {what: np.zeros(256, np.int64) for what in self.images}

    def add(self, what: str, image: object, ids: np.ndarray) -> None:
        """Count the ids (H, W) of one image's "mask" or "seed map"; an image may be in two splits."""
        self.images[what].add(image)
        self.pixels[what] += np.bincount(ids.ravel(), minlength=256)

    def findings(self, where: object) -> list[str]:
        """Return the classes that do not occur, after all images were added; each finding begins with `where`."""
        findings = []
        for what, pixels in self.pixels.items():
            present = [name for k, name in enumerate(self.classes) if pixels[k]]
            absent = [name for k, name in enumerate(self.classes) if not pixels[k] and k != self.unlabelled]
            if not self.images[what] or not absent or (not self.own and len(present) > 1):
                continue
            names = ", ".join(absent[:8]) + (" ..." if len(absent) > 8 else "")
            holds = f"{', '.join(present[:8]) or 'no class'}{' ...' if len(present) > 8 else ''}"
            void = "void, left out of evaluation" if what == "mask" else "unlabelled"
            text = f"{where}: class{'es' * (len(absent) > 1)} {names} {'are' if len(absent) > 1 else 'is'} in no {what}"
            text += f" (of {len(self.images[what])}), which hold {holds}"
            if pixels[UNLABELLED]:
                text += f" and {UNLABELLED}, which is {void}"
                if what == "mask" or not present:
                    text += f"; if {UNLABELLED} stands for {absent[0]}, write {self.classes.index(absent[0])} there"
            findings.append(text)
        return findings


def training_findings(training: SegmentationSet, validation: SegmentationSet | None) -> list[str]:
    """Return what is suspicious about the sets of a run, from at most `MOST_READ` images of each, evenly spread.

    Parameters
    ----------
    training : SegmentationSet
    validation : SegmentationSet or None

    Returns
    -------
    list of str
        The findings of single files begin with the file, at most eight of them; faulty files are left to training itself.
    """
    occurrence = Occurrence(training.kind, training.classes, training.supervision.unlabelled)
    most = MOST_READ if training.kind == "folder" else MOST_PUBLISHED
    notes = list(_notes(limited(training, most), occurrence))
    for dataset in (training, validation):
        if dataset is not None:
            _add_masks(limited(dataset, most), occurrence)
    more = [f"... and {len(notes) - 8} more such files: see toykit data check"] if len(notes) > 8 else []
    return notes[:8] + more + occurrence.findings(f"{training.kind} ({training.entries[0].image.parent.parent})")


def _notes(dataset: SegmentationSet, occurrence: Occurrence) -> Iterable[str]:
    """Yield the findings of each image's marks, and count their ids."""
    if not dataset.supervision.annotated:
        return
    for i, entry in enumerate(dataset.entries):
        try:
            seeds, notes = dataset.inspect(i, picture_size(entry.image))
        except (ValueError, OSError):
            continue
        occurrence.add("seed map", entry.image, seeds)
        yield from notes


def _add_masks(dataset: SegmentationSet, occurrence: Occurrence) -> None:
    """Count the ids of the masks."""
    for i, entry in enumerate(dataset.entries):
        try:
            mask = dataset.mask(i)
        except (ValueError, OSError):
            continue
        if mask is not None:
            occurrence.add("mask", entry.image, mask)
