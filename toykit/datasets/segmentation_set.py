"""A set of photos with masks or scribbles on disk, one `Sample` at a time: what every kind of set is once it is found."""

import zlib
from dataclasses import dataclass, field, replace
from operator import index
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.layout import REFUSED
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
from toykit.supervision.seed_files import simulated_seeds
from toykit.supervision.strokes import check_scales


@dataclass(frozen=True)
class Entry:
    """What belongs to one id: the photo, its full mask, and an annotator's file or clicks; None = there is none."""

    image: Path
    mask: Path | None = None
    marks: Path | tuple[Stroke, ...] | None = None


@dataclass(frozen=True, eq=False)
class SegmentationSet:
    """Photos with seeds and masks; reads lazily, travels to the workers of a DataLoader, `s[i]` is a `Sample`.

    kind, split: what it is, e.g. "voc" and "train". ids: the images' names. classes: the name of each class id.
    entries: the files of each id. table: int16 (256,), from the value in a mask's file to the class id, 255 (void) or
    REFUSED. names: the class names that marks use, by value in their files. supervision: where seeds come from.
    """

    kind: str
    split: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    entries: tuple[Entry, ...]
    table: np.ndarray
    names: tuple[str, ...]
    supervision: Supervision
    #: Simulated seeds by position, compressed (1 kB on VOC): to find them takes much longer than to read the photo.
    _simulated: dict[int, bytes] = field(default_factory=dict, init=False, repr=False)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, i: int) -> Sample:
        """The i-th sample. Raises: IndexError; FileNotFoundError or ValueError, naming the file that is at fault."""
        i = range(len(self.ids))[index(i)]
        image = read_image(self.entries[i].image)
        size = image.shape[1::-1]
        mask = self.mask(i, size)
        return Sample(self.ids[i], image, self.seeds(i, size, mask), self.classes, mask)

    def mask(self, i: int, size: tuple[int, int] | None = None) -> np.ndarray | None:
        """The full mask of the i-th image, uint8 (H, W): class ids and 255 = void; None where the set has none.

        size: (width, height) of the photo, which the mask must have; default: not compared.
        """
        path = self.entries[i].mask
        if path is None:
            return None
        values = read_indexed_png(path)
        if size is not None and values.shape != size[::-1]:
            raise ValueError(f"{path}: the mask is {_by(values.shape[::-1])} pixels, the photo {_by(size)}")
        return self._decode(values, self.table, path)

    def seeds(self, i: int, size: tuple[int, int], mask: np.ndarray | None) -> np.ndarray:
        """The seeds of the i-th image of `size` (width, height), uint8 (H, W), from its marks or from its mask."""
        choice, name = self.supervision, self.ids[i]
        if choice.kind in ("scribbles", "clicks"):
            return self._marked(self.entries[i], size)
        if mask is None:
            raise ValueError(f"{self.entries[i].image}: has no mask, which supervision {choice.kind!r} is made from")
        if choice.kind == "simulated":
            if i not in self._simulated:
                self._simulated[i] = simulated_seeds(mask, self.classes, name, choice)
            return np.frombuffer(bytearray(zlib.decompress(self._simulated[i])), np.uint8).reshape(mask.shape)
        if choice.kind == "blocks":
            return blocks(mask, choice.share, name, choice.seed)
        return mask.copy()

    def _marked(self, entry: Entry, size: tuple[int, int]) -> np.ndarray:
        marks, choice = entry.marks, self.supervision
        where, table = marks, self.table.copy()
        if isinstance(marks, tuple):
            where, drawn = entry.image, Scribbles(entry.image.stem, size, self.names, marks)
        elif marks.suffix == ".xml":
            drawn = read_scribblesup(marks, self.names, choice.width)
        elif marks.suffix == ".json":
            drawn = read_scribbles(marks)
            strange = set(drawn.classes) - set(self.names)
            if strange:
                raise ValueError(f"{marks}: classes {sorted(strange)} are not among the set's {', '.join(self.names)}")
            drawn = replace(drawn, classes=self.names)
        else:
            drawn, seeds = None, read_indexed_png(marks)
            table[PADDING] = PADDING
        if drawn is not None:
            check_scales(where, drawn.size, size)
            seeds = drawn.shorten(choice.ratio).draw(size)
        if seeds.shape != size[::-1]:
            raise ValueError(f"{where}: the seeds are {_by(seeds.shape[::-1])} pixels, the photo {_by(size)}")
        table[UNLABELLED] = UNLABELLED
        return self._decode(seeds, table, where)

    def _decode(self, values: np.ndarray, table: np.ndarray, path: Path) -> np.ndarray:
        ids = table[values]
        if (ids == REFUSED).any():
            allowed = np.flatnonzero(table != REFUSED)
            raise ValueError(
                f"{path}: holds {np.unique(values[ids == REFUSED])[:8].tolist()}; expected class ids among "
                f"{_ranges(allowed)}"
            )
        return ids.astype(np.uint8)


def subset(whole: SegmentationSet, chosen: list[int]) -> SegmentationSet:
    """The set's images at those positions."""
    return replace(whole, ids=tuple(whole.ids[i] for i in chosen), entries=tuple(whole.entries[i] for i in chosen))


def limited(whole: SegmentationSet, limit: int | None) -> SegmentationSet:
    """At most `limit` images, evenly spread over the set; all for None."""
    if limit is None or limit >= len(whole):
        return whole
    return subset(whole, [i * len(whole) // limit for i in range(limit)])


def hold_out(whole: SegmentationSet, share: float) -> tuple[SegmentationSet, SegmentationSet]:
    """The set without about a share of its images, and these: a hash of an image's id decides, whatever else is in the set.

    Raises: ValueError if one of the two would be empty.
    """
    held = [zlib.crc32(f"hold out {name}".encode()) < share * 2**32 for name in whole.ids]
    if all(held) or not any(held):
        raise ValueError(f"holdout: a share of {share:g} of {len(whole)} images leaves nothing on one of the two sides")
    parts = ([i for i, out in enumerate(held) if out == wanted] for wanted in (False, True))
    kept, out = (subset(whole, part) for part in parts)
    return kept, out


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"


def _ranges(values: np.ndarray) -> str:
    groups = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(f"{g[0]}..{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)
