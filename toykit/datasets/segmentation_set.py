"""A set of photos with masks or scribbles on disk, one `Sample` at a time: what every kind of set is once it is found."""

import zlib
from dataclasses import dataclass, field, replace
from operator import index
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.layout import REFUSED, VOID
from toykit.datasets.sample import Sample, read_image
from toykit.supervision import (
    Scribbles,
    Stroke,
    Supervision,
    blocks,
    read_indexed_png,
    read_scribbles,
    read_scribblesup,
    simulate,
)
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
                scribbles = simulate(mask, self.classes, name, choice.seed, choice.width).shorten(choice.ratio)
                self._simulated[i] = zlib.compress(scribbles.draw().tobytes())
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


def keep_classes(whole: SegmentationSet, only: tuple[str, ...]) -> SegmentationSet:
    """The set with the classes `only` (and its background), renumbered in the set's order; the others become void.

    Images without a pixel of `only` are left out, so all masks (or seeds, where there are none) are read once.
    Raises: ValueError for a name that is no class of the set, or if no image remains.
    """
    strange = set(only) - set(whole.classes)
    if strange or not set(only) - {"background"}:
        raise ValueError(f"only: expected some of {', '.join(whole.classes)}; got {', '.join(only) or 'none'}")
    classes = tuple(c for c in whole.classes if c in only or c == "background")
    renumber = np.full(256, VOID, np.int16)
    for old, name in enumerate(whole.classes):
        renumber[old] = classes.index(name) if name in classes else VOID
    lookup = np.where(whole.table == REFUSED, REFUSED, renumber[whole.table])
    kept = replace(whole, classes=classes, table=lookup)
    first = classes[0] == "background"
    present = [i for i in range(len(kept)) if _holds(kept, i, int(first))]
    if not present:
        raise ValueError(f"only: no image of {whole.kind} {whole.split} holds {', '.join(only)}")
    return subset(kept, present)


def subset(whole: SegmentationSet, chosen: list[int]) -> SegmentationSet:
    """The set's images at those positions."""
    return replace(whole, ids=tuple(whole.ids[i] for i in chosen), entries=tuple(whole.entries[i] for i in chosen))


def _holds(kept: SegmentationSet, i: int, first: int) -> bool:
    found = kept[i].seeds if kept.entries[i].mask is None else kept.mask(i)
    return bool(((found >= first) & (found < len(kept.classes))).any())


def _by(size: tuple[int, ...]) -> str:
    return f"{size[0]} x {size[1]}"


def _ranges(values: np.ndarray) -> str:
    groups = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(f"{g[0]}..{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)
