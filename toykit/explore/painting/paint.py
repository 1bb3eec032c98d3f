"""Represent a photo and the marks on it as an immutable value; each change returns a new one that links to the previous one."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np

from toykit._shared.arguments import check_choice, check_number
from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.sample import Sample
from toykit.supervision import Scribbles, Stroke, read_scribbles, write_scribbles, write_seeds
from toykit.supervision.findings import stroke_findings
from toykit.supervision.rasterize import line, scale_points
from toykit.supervision.seed_maps import inspect_seeds
from toykit.supervision.strokes import check_scales

Loaded = TypeVar("Loaded")


@dataclass(frozen=True)
class Erasure:
    """A stroke of the eraser: its width in pixels and its points (x, y)."""

    width: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Painting:
    """A photo, its classes, and the marks on it in the order of painting.

    Parameters
    ----------
    name, image, classes
        See `toykit.datasets.Sample`.
    base : ndarray of uint8, shape (H, W), optional
        Seeds that were loaded as a map; the marks are drawn over them.
    marks : tuple of Stroke or Erasure, default ()
        Later marks cover earlier ones.
    previous : Painting, optional
        The painting before the last change.
    notes : tuple of str, default ()
        What is suspicious about the seeds that the last change loaded, see `toykit.supervision.findings`.
    """

    name: str
    image: np.ndarray
    classes: tuple[str, ...]
    base: np.ndarray | None = None
    marks: tuple[Stroke | Erasure, ...] = ()
    previous: "Painting | None" = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) of the photo."""
        return self.image.shape[1::-1]

    @cached_property
    def seeds(self) -> np.ndarray:
        """Return the map of class ids, uint8 (H, W), 255 = unlabelled; `toykit segment` draws the same from saved files."""
        before, drawn = self.previous, None
        if before is not None and before.base is self.base and before.marks == self.marks[:-1]:
            drawn = before.__dict__.get("seeds")  # only if cached: computing them could recurse through all strokes
        if drawn is not None:
            seeds, marks = drawn.copy(), self.marks[-1:]  # one more mark: the usual case, and fast
        else:
            blank = np.full(self.size[::-1], UNLABELLED, np.uint8)
            seeds, marks = (blank if self.base is None else self.base.copy()), self.marks
        for mark in marks:
            if isinstance(mark, Erasure):
                seeds[line(mark.points, mark.width, self.size)] = UNLABELLED
            else:
                mark.draw_on(seeds, self.classes.index(mark.label))
        return seeds

    @property
    def sample(self) -> Sample:
        """Return the photo with its seeds, the input of the solvers."""
        return Sample(self.name, self.image, self.seeds, self.classes)

    def paint(self, label: str | None, width: float, points) -> "Painting":
        """Return the painting with one more stroke.

        Parameters
        ----------
        label : str or None
            The stroke's class; None is the eraser.
        width : float
            Width in pixels, in (0, the photo's longer side].
        points : iterable of (float, float)
            Points (x, y) of the stroke in pixels.

        Raises
        ------
        ValueError
            If the class is unknown, the width is out of range, or there are no points or infinite ones.
        """
        points = tuple((float(x), float(y)) for x, y in points)
        if not points or not np.isfinite(points).all():
            raise ValueError(f"a stroke needs at least one finite point; got {len(points)} points")
        check_number("brush width", width, f"(0, {max(self.size)}]")
        if label is not None:
            check_choice("class", label, self.classes)
        mark = Erasure(width, points) if label is None else Stroke(label, width, points)
        return self._change(marks=(*self.marks, mark))

    def clear(self) -> "Painting":
        """Return the painting without seeds."""
        return self._change(base=None, marks=())

    def undo(self) -> "Painting":
        """Return the painting before the last change, or itself if there was none."""
        return self if self.previous is None else self.previous

    def add_class(self, name: str) -> "Painting":
        """Return the painting with one more class, or raise ValueError for an empty name or one that is in use."""
        name = name.strip()
        if not name or name in self.classes or len(self.classes) >= PADDING:
            raise ValueError(
                f"a new class needs a name that is not in use; got {name!r}, the names in use are {', '.join(self.classes)}"
            )
        return self._change(classes=(*self.classes, name))

    def load(self, filename: str, content: bytes) -> "Painting":
        """Return the painting with the seeds of a scribble file in place of its own.

        Parameters
        ----------
        filename : str
            Its ending selects the format: strokes as JSON, or an indexed PNG.
        content : bytes
            The file's content. JSON defines the classes. A PNG has no names: the painting's classes stay, and ids beyond
            them become additional classes.

        Raises
        ------
        ValueError
            If the file is invalid; the message names the file and the fault.

        Notes
        -----
        `notes` of the result lists what is suspicious about the file.
        """
        return read_upload(filename, content, self._load_file)

    def _load_file(self, path: Path) -> "Painting":
        """Return the painting with the seeds of a file."""
        if path.suffix.lower() == ".json":
            scribbles = read_scribbles(path)
            check_scales(path, scribbles.size, self.size)
            notes = tuple(f"{path.name}: {note}" for note in stroke_findings(scribbles))
            return self._change(base=None, marks=self._scaled(scribbles), classes=scribbles.classes, notes=notes)
        read = inspect_seeds(path, self.size)
        seeds, names, notes = read.seeds, read.classes, tuple(n.replace(str(path), path.name) for n in read.notes)
        seeds = np.where(seeds == PADDING, np.uint8(UNLABELLED), seeds)  # the painter has no padding
        classes = self.classes
        for name in names[len(classes) :]:
            while name in classes:  # the user gave this name to a class with another id
                name += "'"
            classes += (name,)
        return self._change(base=seeds, marks=(), classes=classes, notes=notes)

    def strokes_json(self) -> bytes:
        """Return the strokes as JSON, in the format that `toykit segment` reads.

        Raises
        ------
        ValueError
            If there are erasures or a loaded map, which strokes cannot represent.
        """
        if not self.only_strokes:
            raise ValueError("strokes cannot represent erased pixels or a loaded map; save the seeds as a PNG")
        strokes = tuple(mark for mark in self.marks if isinstance(mark, Stroke))
        scribbles = Scribbles(self.name, self.size, self.classes, strokes)
        return _written(lambda path: write_scribbles(path, scribbles))

    def seeds_png(self) -> bytes:
        """Return the seeds as an indexed PNG, which `toykit segment` also reads."""
        return _written(lambda path: write_seeds(path, self.seeds))

    @property
    def only_strokes(self) -> bool:
        """Report whether the strokes alone define the seeds."""
        return self.base is None and all(isinstance(mark, Stroke) for mark in self.marks)

    def _change(self, **changes) -> "Painting":
        """Return a changed copy that links to this painting."""
        return replace(self, **({"previous": self, "notes": ()} | changes))

    def _scaled(self, scribbles: Scribbles) -> tuple[Stroke, ...]:
        """Scale strokes to the photo's size."""
        x, y = (own / theirs for own, theirs in zip(self.size, scribbles.size, strict=True))
        return tuple(
            replace(s, width=s.width * (x + y) / 2, points=tuple(map(tuple, scale_points(s.points, (x, y)).tolist())))
            for s in scribbles.strokes
        )


def read_upload(filename: str, content: bytes, read: Callable[[Path], Loaded]) -> Loaded:
    """Read an uploaded file through a temporary copy.

    Parameters
    ----------
    filename : str
        The name given by the user; folders in it are ignored.
    content : bytes
        The file's content.
    read : callable
        A function of the path of the copy.

    Returns
    -------
    The result of `read`.

    Raises
    ------
    ValueError
        As raised by `read`, with the file's name instead of the path of the copy.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / (Path(filename).name or "file")
        path.write_bytes(content)
        try:
            return read(path)
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), path.name)) from error


def _written(write: Callable[[Path], object]) -> bytes:
    """Return the content of a file that `write` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()
