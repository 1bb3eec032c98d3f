"""Represent a photo and the marks on it as an immutable value; each change returns a new one that links to the previous one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from toykit._shared.arguments import check_choice, check_number
from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.sample import Sample
from toykit.explore.painting.files import check_color, read_colors, read_upload, scribbles_json, written
from toykit.supervision import Scribbles, Stroke, read_scribbles, write_seeds
from toykit.supervision.areas import Area, map_areas, trace
from toykit.supervision.findings import stroke_findings
from toykit.supervision.rasterize import scale_points
from toykit.supervision.seed_maps import inspect_seeds
from toykit.supervision.strokes import check_scales

#: Bytes that the seed maps of earlier paintings may take, for a fast undo.
MOST_BYTES = 300_000_000


@dataclass(frozen=True, eq=False)
class Painting:
    """A photo, its classes, and the marks on it in the order of painting.

    Parameters
    ----------
    name, image, classes
        See `toykit.datasets.Sample`.
    marks : tuple of Stroke or Area, default ()
        Later marks cover earlier ones; those of no class erase.
    colors : mapping from str to str, default {}
        Colours that the user chose, as #RRGGBB, by class name.
    previous : Painting, optional
        The painting before the last change.
    notes : tuple of str, default ()
        What is suspicious about the seeds that the last change loaded, see `toykit.supervision.findings`.
    unlabelled : int, default 255
        Id that means "no label", besides 255, in PNG maps without class names: those that the painter did not write.
    """

    name: str
    image: np.ndarray
    classes: tuple[str, ...]
    marks: tuple[Stroke | Area, ...] = ()
    colors: Mapping[str, str] = field(default_factory=dict)
    previous: "Painting | None" = field(default=None, repr=False)
    notes: tuple[str, ...] = ()
    unlabelled: int = UNLABELLED

    @property
    def size(self) -> tuple[int, int]:
        """Return (width, height) of the photo."""
        return self.image.shape[1::-1]

    @cached_property
    def seeds(self) -> np.ndarray:
        """Return the map of class ids, uint8 (H, W), 255 = unlabelled; `toykit segment` draws the same from saved files."""
        before, drawn = self.previous, None
        if before is not None and before.classes == self.classes[: len(before.classes)]:
            drawn = before.__dict__.get("seeds")  # only if cached: computing them could recurse through all strokes
        self._forget_old_seeds()
        if drawn is not None and before is not None and before.marks == self.marks:
            return drawn
        if drawn is not None and before is not None and before.marks == self.marks[:-1]:  # the usual case, and fast
            seeds, mark = drawn.copy(), self.marks[-1]
            mark.draw_on(seeds, UNLABELLED if mark.label is None else self.classes.index(mark.label))
            return seeds
        return self._scribbles().draw()

    def _forget_old_seeds(self) -> None:
        """Drop cached seeds of paintings long ago, which an undo draws again: those of a large photo would fill the memory."""
        old, kept = self.previous, max(2, MOST_BYTES // self.image[..., 0].size)
        while old is not None and kept > 0:
            old, kept = old.previous, kept - 1
        if old is not None:
            old.__dict__.pop("seeds", None)

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
        return self._mark(Stroke(label, float(width), points))

    def polygon(self, label: str | None, points) -> "Painting":
        """Return the painting with a polygon, given by three points (x, y) or more, labelled or (None) erased; see `paint`."""
        points = tuple((float(x), float(y)) for x, y in points)
        if len(points) < 3 or not np.isfinite(points).all():
            raise ValueError(f"a polygon needs at least three finite points; got {len(points)} points")
        return self._mark(Area(label, (points,)))

    def fill(self, label: str | None, point: tuple[float, float]) -> "Painting":
        """Return the painting with a region labelled: the connected pixels of the same seed as the one at a point (x, y).

        Raises
        ------
        ValueError
            If the point lies outside the photo, or nothing encloses it: the region reaches all four sides of the photo.
        """
        from scipy import ndimage

        column, row = (int(np.floor(value + 0.5)) for value in point)
        if not (0 <= column < self.size[0] and 0 <= row < self.size[1]):
            raise ValueError(f"fill: expected a point of the photo of {self.size[0]} x {self.size[1]}, got {point}")
        label_parts: Any = ndimage.label  # scipy's stub takes its result for a number
        parts, _ = label_parts(self.seeds == self.seeds[row, column])
        region = parts == parts[row, column]
        if all(side.any() for side in (region[0], region[-1], region[:, 0], region[:, -1])):
            raise ValueError("fill: nothing encloses this place; draw a closed stroke around it first")
        return self._mark(Area(label, trace(region)))

    def _mark(self, mark: Stroke | Area) -> "Painting":
        """Return the painting with one more mark."""
        if mark.label is not None:
            check_choice("class", mark.label, self.classes)
        return self._change(marks=(*self.marks, mark))

    def clear(self) -> "Painting":
        """Return the painting without seeds."""
        return self._change(marks=())

    def undo(self) -> "Painting":
        """Return the painting before the last change, or itself if there was none."""
        return self if self.previous is None else self.previous

    def add_class(self, name: str) -> "Painting":
        """Return the painting with one more class, or raise ValueError for an empty name or one that is in use."""
        return self._change(classes=(*self.classes, self._new_name(name)))

    def rename_class(self, old: str, new: str) -> "Painting":
        """Return the painting with another name for a class, or raise ValueError for a name that cannot be used."""
        check_choice("class", old, self.classes)
        new = self._new_name(new)
        marks = tuple(replace(mark, label=new) if mark.label == old else mark for mark in self.marks)
        colors = {new if name == old else name: color for name, color in self.colors.items()}
        return self._change(
            classes=tuple(new if name == old else name for name in self.classes), marks=marks, colors=colors
        )

    def remove_class(self, name: str) -> "Painting":
        """Return the painting without a class and its marks, or raise ValueError if fewer than two classes would be left."""
        check_choice("class", name, self.classes)
        if len(self.classes) == 2:
            raise ValueError("two classes are the least; add another one before this one is deleted")
        return self._change(
            classes=tuple(other for other in self.classes if other != name),
            marks=tuple(mark for mark in self.marks if mark.label != name),
            colors={other: color for other, color in self.colors.items() if other != name},
        )

    def color_class(self, name: str, color: str) -> "Painting":
        """Return the painting with another colour, #RRGGBB, for a class."""
        check_choice("class", name, self.classes)
        check_color(color)
        return self._change(colors={**self.colors, name: color})

    def _new_name(self, name: str) -> str:
        """Return a name without spaces around it, or raise ValueError if a class cannot have it."""
        name = " ".join(name.split())
        if not name or name in self.classes or len(self.classes) >= PADDING:
            raise ValueError(
                f"a new class needs a name that is not in use; got {name!r}, the names in use are {', '.join(self.classes)}"
            )
        return name

    def load(self, filename: str, content: bytes) -> "Painting":
        """Return the painting with the seeds of a scribble file in place of its own.

        Parameters
        ----------
        filename : str
            Its ending selects the format: strokes as JSON, or an indexed PNG.
        content : bytes
            The file's content. JSON defines the classes, and so does a PNG with class names. For a PNG without names, the
            painting's classes stay, and ids beyond them become additional classes.

        Raises
        ------
        ValueError
            If the file is invalid; the message names the file and the fault.

        Notes
        -----
        `notes` of the result lists what is suspicious about the file.
        """
        return read_upload(filename, content, self.load_file)

    def load_file(self, path: Path) -> "Painting":
        """Return the painting with the seeds of a file, see `load`."""
        if path.suffix.lower() == ".json":
            scribbles = read_scribbles(path)
            check_scales(path, scribbles.size, self.size)
            notes = tuple(f"{path.name}: {note}" for note in stroke_findings(scribbles))
            colors = read_colors(path, scribbles.classes)
            return self._change(marks=self._scaled(scribbles), classes=scribbles.classes, colors=colors, notes=notes)
        read = inspect_seeds(path, self.size)
        if self.unlabelled != UNLABELLED and not read.named:
            read = inspect_seeds(path, self.size, self.unlabelled)
        notes = tuple(note.replace(str(path), path.name) for note in read.notes)
        seeds = np.where(read.seeds == PADDING, np.uint8(UNLABELLED), read.seeds)  # the painter has no padding
        classes = self.classes
        if read.named:
            classes = read.classes
        for name in read.classes[len(classes) :]:
            while name in classes:  # the user gave this name to a class with another id
                name += "'"
            classes += (name,)
        return self._change(marks=map_areas(seeds, classes), classes=classes, notes=notes)

    def strokes_json(self) -> bytes:
        """Return the marks as JSON, in the format that `toykit segment` reads; "colors" is the painter's own."""
        return scribbles_json(self._scribbles(), self.colors)

    def seeds_png(self) -> bytes:
        """Return the seeds as an indexed PNG with class names, which `toykit segment` also reads."""
        return written(lambda path: write_seeds(path, self.seeds, self.classes))

    def _scribbles(self) -> Scribbles:
        """Return the marks as the type that files hold."""
        return Scribbles(self.name, self.size, self.classes, self.marks)

    def _change(self, **changes) -> "Painting":
        """Return a changed copy that links to this painting."""
        return replace(self, **({"previous": self, "notes": ()} | changes))

    def _scaled(self, scribbles: Scribbles) -> tuple[Stroke | Area, ...]:
        """Scale marks to the photo's size."""
        x, y = (own / theirs for own, theirs in zip(self.size, scribbles.size, strict=True))
        if x == y == 1:
            return scribbles.strokes

        def scaled(points):
            return tuple(map(tuple, scale_points(points, (x, y)).tolist()))

        return tuple(
            replace(mark, rings=tuple(map(scaled, mark.rings)))
            if isinstance(mark, Area)
            else replace(mark, width=max(1.0, mark.width * (x + y) / 2), points=scaled(mark.points))
            for mark in scribbles.strokes
        )
