"""A set of photos with masks or scribbles on disk, read one `Sample` at a time: the common type of all kinds of sets."""

import zlib
from dataclasses import dataclass, field, replace
from operator import index
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.layout import by, decode_ids
from toykit.datasets.sample import Sample, read_image
from toykit.supervision import (
    Scribbles,
    Stroke,
    Supervision,
    blocks,
    read_indexed_png,
    read_scribbles,
    read_scribblesup,
)
from toykit.supervision.findings import map_findings, stroke_findings
from toykit.supervision.seed_files import simulated_seeds
from toykit.supervision.seed_maps import read_drawn_map
from toykit.supervision.strokes import check_scales


@dataclass(frozen=True)
class Entry:
    """The files of one image.

    Parameters
    ----------
    image : Path
        The photo.
    mask : Path, optional
        Its full mask. None if there is none.
    marks : Path or tuple of Stroke, optional
        An annotator's file, or clicks. None if there are none.
    """

    image: Path
    mask: Path | None = None
    marks: Path | tuple[Stroke, ...] | None = None


@dataclass(frozen=True, eq=False)
class SegmentationSet:
    """Photos with seeds and masks: ``dataset[i]`` reads a `Sample`; can be sent to the workers of a DataLoader.

    Parameters
    ----------
    kind, split : str
        For example "voc" and "train".
    ids : tuple of str
        Names of the images.
    classes : tuple of str
        Class names by id.
    entries : tuple of Entry
        The files of each image.
    table : ndarray, shape (256,), int16
        From the value in a mask file to the class id, 255 (void) or `REFUSED`.
    names : tuple of str
        Class names of the marks, by the value in their files.
    supervision : Supervision
        Where the seeds come from.
    """

    kind: str
    split: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    table: np.ndarray
    names: tuple[str, ...]
    supervision: Supervision
    #: Simulated seeds by position, compressed (1 kB on VOC): drawing them takes much longer than reading the photo.
    _simulated: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> Sample:
        """Read the i-th sample.

        Raises
        ------
        IndexError
            If there is no such sample.
        FileNotFoundError, ValueError
            If a file is missing or invalid; the message names it.
        """
        i = range(len(self.ids))[index(i)]
        image = read_image(self.entries[i].image)
        size = (image.shape[1], image.shape[0])
        mask = self.mask(i, size)
        return Sample(self.ids[i], image, self.seeds(i, size, mask), self.classes, mask)

    def mask(self, i: int, size: tuple[int, int] | None = None) -> np.ndarray | None:
        """Read the full mask of the i-th image.

        Parameters
        ----------
        i : int
            Position of the image, at least 0.
        size : (int, int), optional
            Width and height of the photo, which the mask must have. Default: not compared.

        Returns
        -------
        ndarray, shape (H, W), uint8, or None
            Class ids and 255 (void); None if the image has no mask.

        Raises
        ------
        FileNotFoundError, ValueError
            If the file is missing or faulty; names it.
        """
        path = self.entries[i].mask
        if path is None:
            return None
        values = read_indexed_png(path)
        if size is not None and values.shape != size[::-1]:
            raise ValueError(f"{path}: the mask is {by(values.shape[::-1])} pixels, the photo {by(size)}")
        return decode_ids(values, self.table, path)

    def seeds(self, i: int, size: tuple[int, int], mask: np.ndarray | None) -> np.ndarray:
        """Return the seeds of the i-th image, from its marks or from its mask.

        Parameters
        ----------
        i : int
            Position of the image, at least 0.
        size : (int, int)
            Width and height of the photo.
        mask : ndarray, shape (H, W), uint8, or None
            Its mask, see `mask`; needed for supervision that is made from the mask.

        Returns
        -------
        ndarray, shape (H, W), uint8
            Class ids, 254 (padding) or 255 (unlabelled).

        Raises
        ------
        FileNotFoundError, ValueError
            If a file is missing or invalid; the message names it.
        """
        supervision, name = self.supervision, self.ids[i]
        self.check_mask(self.entries[i])
        if supervision.annotated:
            path, values, _, strokes = self._marks(i, size)
            return self._decode_marks(path, values, strokes is None)
        assert mask is not None
        if supervision.kind == "simulated":
            if i not in self._simulated:
                self._simulated[i] = simulated_seeds(mask, self.classes, name, supervision)
            return np.frombuffer(bytearray(zlib.decompress(self._simulated[i])), np.uint8).reshape(mask.shape)
        if supervision.kind == "blocks":
            return blocks(mask, supervision.share, name, supervision.seed)
        return mask.copy()

    def check_mask(self, entry: Entry) -> None:
        """Raise ValueError if an image does not have the mask that its seeds are made from."""
        if entry.mask is None and not self.supervision.annotated:
            raise ValueError(f"{entry.image}: has no mask, which supervision {self.supervision.kind!r} is made from")

    def inspect(self, i: int, size: tuple[int, int]) -> tuple[np.ndarray, list[str]]:
        """Read the marks of the i-th image, and report what is suspicious about them, see `toykit.supervision.findings`.

        Parameters
        ----------
        i : int
            Position of the image, at least 0.
        size : (int, int)
            Width and height of the photo.

        Returns
        -------
        seeds : ndarray, shape (H, W), uint8
            As from `seeds`.
        notes : list of str
            Each begins with the file.

        Raises
        ------
        FileNotFoundError, ValueError
            See `seeds`.
        """
        path, values, notes, scribbles = self._marks(i, size)
        if scribbles is not None:
            notes += stroke_findings(scribbles)
        elif self.kind == "folder":
            notes += map_findings(values)
        return self._decode_marks(path, values, scribbles is None), [f"{path}: {note}" for note in notes]

    def _marks(self, i: int, size: tuple[int, int]) -> tuple[Path, np.ndarray, list[str], Scribbles | None]:
        """Return the file of an image's marks, the values that it holds or draws, remarks on reading it, and its strokes."""
        entry, strokes = self.entries[i], None
        if isinstance(entry.marks, Path) and entry.marks.suffix.lower() not in (".xml", ".json"):
            path = entry.marks
            if self.kind == "folder":
                return path, *read_drawn_map(path, size, self.supervision.unlabelled), None
            values = read_indexed_png(path)  # not scaled: a published map of another size belongs to another photo
        else:
            path, strokes = entry.marks if isinstance(entry.marks, Path) else entry.image, self._strokes(entry, size)
            check_scales(path, strokes.size, size)
            values = strokes.shorten(self.supervision.ratio).draw(size)
        if values.shape != size[::-1]:
            raise ValueError(f"{path}: the seeds are {by(values.shape[::-1])} pixels, the photo {by(size)}")
        return path, values, [], strokes

    def _decode_marks(self, path: Path, values: np.ndarray, drawn: bool) -> np.ndarray:
        """Convert the values of marks to class ids, 255, and in a drawn map also 254."""
        table = self.table.copy()
        table[UNLABELLED] = UNLABELLED
        if drawn:
            table[PADDING] = PADDING
        return decode_ids(values, table, path)

    def _strokes(self, entry: Entry, size: tuple[int, int]) -> Scribbles:
        """Return the strokes of an XML or JSON file, or the clicks, with the set's own class names."""
        marks = entry.marks
        if marks is None:
            raise FileNotFoundError(f"{entry.image}: has no {self.supervision.kind}")
        if isinstance(marks, tuple):
            return Scribbles(entry.image.stem, size, self.names, marks)
        if marks.suffix.lower() == ".xml":
            return read_scribblesup(marks, self.names, self.supervision.width)
        scribbles = read_scribbles(marks)
        unknown = set(scribbles.classes) - set(self.names)
        if unknown:
            raise ValueError(f"{marks}: classes {sorted(unknown)} are not among the set's {', '.join(self.names)}")
        return replace(scribbles, classes=self.names)


def subset(dataset: SegmentationSet, chosen: list[int]) -> SegmentationSet:
    """Return some images of a set.

    Parameters
    ----------
    dataset : SegmentationSet
    chosen : list of int
        Positions of the images.

    Returns
    -------
    SegmentationSet
    """
    ids, entries = (tuple(values[i] for i in chosen) for values in (dataset.ids, dataset.entries))
    return replace(dataset, ids=ids, entries=entries)


def limited(dataset: SegmentationSet, limit: int | None) -> SegmentationSet:
    """Return at most `limit` images of a set, evenly spread.

    Parameters
    ----------
    dataset : SegmentationSet
    limit : int or None
        Largest number of images; None for all.

    Returns
    -------
    SegmentationSet
    """
    if limit is None or limit >= len(dataset):
        return dataset
    return subset(dataset, [i * len(dataset) // limit for i in range(limit)])


def hold_out(dataset: SegmentationSet, share: float) -> tuple[SegmentationSet, SegmentationSet]:
    """Split a set in two, by a hash of each image's id: the choice does not depend on the other images.

    Parameters
    ----------
    dataset : SegmentationSet
    share : float
        Approximate share of the images to hold out, in (0, 1).

    Returns
    -------
    kept, held_out : SegmentationSet

    Raises
    ------
    ValueError
        If one of the two would be empty.
    """
    held = [zlib.crc32(f"hold out {name}".encode()) < share * 2**32 for name in dataset.ids]
    if all(held) or not any(held):
        raise ValueError(
            f"holdout: a share of {share:g} of {len(dataset)} images leaves nothing on one of the two sides"
        )
    kept, held_out = ([i for i, out in enumerate(held) if out == wanted] for wanted in (False, True))
    return subset(dataset, kept), subset(dataset, held_out)
