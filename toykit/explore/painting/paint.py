"""A photo and what was painted on it: an immutable value, each change a new one that remembers the one before."""

import tempfile
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.sample import Sample
from toykit.supervision import Scribbles, Stroke, read_scribbles, read_seeds, write_scribbles, write_seeds
from toykit.supervision.strokes import check_scales, line


@dataclass(frozen=True)
class Erasure:
    """A stroke of the eraser: width in pixels, points (x, y)."""

    width: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True, eq=False)
class Painting:
    """A photo, its classes, and marks in the order of painting.

    name, image, classes: see `toykit.datasets.Sample`. base: seeds that came as a map, under the marks, or None.
    marks: strokes and erasures; later ones cover earlier ones. previous: the painting before the last change, or None.
    """

    name: str
    image: np.ndarray
    classes: tuple[str, ...]
    base: np.ndarray | None = None
    marks: tuple[Stroke | Erasure, ...] = ()
    previous: "Painting | None" = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the photo."""
        return self.image.shape[1::-1]

    @cached_property
    def seeds(self) -> np.ndarray:
        """The map of class ids, uint8 (H, W), 255 = unlabelled. What `toykit segment` reads draws the same."""
        before = self.previous
        known = (
            None if before is None else before.__dict__.get("seeds")
        )  # asking for them would go back stroke by stroke
        if known is not None and before.base is self.base and before.marks == self.marks[:-1]:
            seeds, marks = known.copy(), self.marks[-1:]  # one more mark: the usual case, and quick
        else:
            blank = np.full(self.size[::-1], UNLABELLED, np.uint8)
            seeds, marks = (blank if self.base is None else self.base.copy()), self.marks
        for mark in marks:
            if isinstance(mark, Erasure):
                seeds[line(mark.points, max(1, round(mark.width)), self.size)] = UNLABELLED
            else:
                mark.draw_on(seeds, self.classes.index(mark.label))
        return seeds

    @property
    def sample(self) -> Sample:
        """What solvers take."""
        return Sample(self.name, self.image, self.seeds, self.classes)

    def paint(self, label: str | None, width: float, points) -> "Painting":
        """With one more stroke of class `label`, or of the eraser for None.

        Raises: ValueError for an unknown class, a width outside (0, the photo's longer side], no points or infinite ones.
        """
        points = tuple((float(x), float(y)) for x, y in points)
        if not points or not np.isfinite(points).all():
            raise ValueError(f"a stroke needs at least one finite point; got {len(points)} points")
        if not 0 < width <= max(self.size):
            raise ValueError(f"brush: expected a width above 0, at most {max(self.size)} pixels; got {width}")
        if label is not None and label not in self.classes:
            raise ValueError(f"class: expected one of {', '.join(self.classes)}; got {label!r}")
        mark = Erasure(width, points) if label is None else Stroke(label, width, points)
        return self._change(marks=(*self.marks, mark))

    def clear(self) -> "Painting":
        """Without any seeds."""
        return self._change(base=None, marks=())

    def undo(self) -> "Painting":
        """The painting before the last change; itself if there was none."""
        return self if self.previous is None else self.previous

    def add_class(self, name: str) -> "Painting":
        """With one more class. Raises: ValueError for an empty name, or one that is taken."""
        name = name.strip()
        if not name or name in self.classes or len(self.classes) >= PADDING:
            raise ValueError(
                f"a new class needs a name that is not in use; got {name!r}, there are {', '.join(self.classes)}"
            )
        return self._change(classes=(*self.classes, name))

    def load(self, filename: str, content: bytes) -> "Painting":
        """With the seeds of a scribble file, strokes as JSON or an indexed PNG, instead of its own.

        The classes are the file's; a PNG has no names and keeps the painting's, with more where its ids go beyond them.
        Raises: ValueError that names the file and what is wrong in it.
        """
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / (Path(filename).name or "scribbles")
            path.write_bytes(content)
            try:
                if path.suffix.lower() == ".json":
                    scribbles = read_scribbles(path)
                    check_scales(path, scribbles.size, self.size)
                    return self._change(base=None, marks=self._scaled(scribbles), classes=scribbles.classes)
                seeds, names = read_seeds(path, self.size)
            except ValueError as error:
                raise ValueError(str(error).replace(str(path), path.name)) from error
        seeds = np.where(seeds == PADDING, np.uint8(UNLABELLED), seeds)  # a photo on the page has no outside
        classes = self.classes
        for name in names[len(classes) :]:
            while name in classes:  # someone gave this name to a class of another id
                name += "'"
            classes += (name,)
        return self._change(base=seeds, marks=(), classes=classes)

    def strokes_json(self) -> bytes:
        """The strokes as the JSON that `toykit segment` reads.

        Raises: ValueError where strokes cannot say it: after an erasure, or on top of a map that was loaded.
        """
        if not self.only_strokes:
            raise ValueError("what was erased, or loaded as a map, cannot be said in strokes; save the seeds as a PNG")
        scribbles = Scribbles(self.name, self.size, self.classes, self.marks)
        return _written(lambda path: write_scribbles(path, scribbles))

    def seeds_png(self) -> bytes:
        """The seeds as an indexed PNG, which `toykit segment` reads too."""
        return _written(lambda path: write_seeds(path, self.seeds))

    @property
    def only_strokes(self) -> bool:
        """Whether strokes alone say what the seeds are."""
        return self.base is None and all(isinstance(mark, Stroke) for mark in self.marks)

    def _change(self, **changes) -> "Painting":
        return replace(self, previous=self, **changes)

    def _scaled(self, scribbles: Scribbles) -> tuple[Stroke, ...]:
        x, y = (own / theirs for own, theirs in zip(self.size, scribbles.size, strict=True))
        return tuple(
            replace(s, width=s.width * (x + y) / 2, points=tuple((px * x, py * y) for px, py in s.points))
            for s in scribbles.strokes
        )


def _written(write) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        write(path)
        return path.read_bytes()
