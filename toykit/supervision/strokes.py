"""Scribbles as strokes: draw, shorten, read and write what a person drew (paper, section 1.1).

A JSON file holds the strokes on one photo:

    {"photo": NAME, "size": [W, H], "classes": [NAME, ...],
     "strokes": [{"class": NAME, "width": PIXELS, "points": [[x, y], ...], "kept": SHARE}, ...]}

A class id is the position in "classes". x points right and y points down, in pixels of a photo of that size; whole numbers
are pixel centres (`toykit.supervision.rasterize`). "kept" is optional. Later strokes cover earlier ones. Seed maps in PNG
files: `toykit.supervision.seed_maps`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from toykit._shared.arguments import check_number
from toykit._shared.files import write_text
from toykit.conventions import PADDING, UNLABELLED
from toykit.supervision.rasterize import line, scale_points, under_dots

#: A shortened stroke is drawn by dots along it, this far apart in pixels ...
SPACING = 0.5
#: ... but with at most this many on either side of its middle, because a file may hold any coordinates.
MOST_DOTS = 50_000


@dataclass(frozen=True)
class Stroke:
    """One polyline.

    Parameters
    ----------
    label : str
        Class name.
    width : float
        Width in pixels.
    points : tuple of (float, float)
        (x, y) of each point, in pixels.
    kept : float, default 1.0
        Share of the length that counts, in [0, 1]: the middle of the polyline, with the same length on either side of its
        midpoint. 0 is one click there.
    """

    label: str
    width: float
    points: tuple[tuple[float, float], ...]
    kept: float = 1.0

    def dots(self, scale: tuple[float, float] = (1.0, 1.0)) -> tuple[np.ndarray, np.ndarray]:
        """Return the stroke as evenly spaced dots.

        Parameters
        ----------
        scale : (float, float), default (1, 1)
            Factors for x and y, see `toykit.supervision.rasterize.scale_points`.

        Returns
        -------
        dots : ndarray, shape (N, 2), float
            (x, y) of dots over all of the length. They do not depend on `kept`, so those of a shorter stroke are among
            those of a longer one.
        kept : ndarray, shape (N,), bool
            True for the dots in the share that counts.
        """
        points = scale_points(self.points, scale)
        along = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
        half = int(np.clip(np.ceil(along[-1] / (2 * SPACING)), 1, MOST_DOTS))
        steps = np.arange(-half, half + 1)
        where = along[-1] * (0.5 + steps / (2 * half))
        dots = np.stack([np.interp(where, along, points[:, axis]) for axis in (0, 1)], axis=1)
        return dots, abs(steps) <= self.kept * half

    def draw_on(self, seeds: np.ndarray, number: int, scale: tuple[float, float] = (1.0, 1.0)) -> None:
        """Draw the stroke in place on a map of class ids, uint8 (H, W), as class `number`; see `Scribbles.draw`."""
        size = (seeds.shape[1], seeds.shape[0])
        width = max(1.0, self.width * sum(scale) / 2)
        inside = line(self.points, width, size, scale)
        seeds[inside] = UNLABELLED
        if self.kept < 1:
            dots, kept = self.dots(scale)
            inside &= under_dots(dots[kept], width, size)
        seeds[inside] = number


@dataclass(frozen=True)
class Scribbles:
    """The strokes on one photo.

    Parameters
    ----------
    photo : str
        Name of the photo.
    size : (int, int)
        Width and height of the photo in pixels.
    classes : tuple of str
        Class names; a class id is the position here.
    strokes : tuple of Stroke
        In the order of drawing.
    """

    photo: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    strokes: tuple[Stroke, ...]

    def draw(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """Draw the seed map.

        A stroke that is kept in part draws those of its pixels that lie under its kept dots. Where strokes cross, the later
        one decides, at its whole length. So shortening removes labels and changes none.

        Parameters
        ----------
        size : (int, int), optional
            Width and height of the map; strokes are scaled to it. Default: the photo's own size.

        Returns
        -------
        ndarray, shape (H, W), uint8
            Class ids on the strokes, 255 elsewhere.
        """
        width, height = self.size if size is None else size
        scale = (width / self.size[0], height / self.size[1])
        seeds = np.full((height, width), UNLABELLED, np.uint8)
        for stroke in self.strokes:
            stroke.draw_on(seeds, self.classes.index(stroke.label), scale)
        return seeds

    def shorten(self, ratio: float) -> "Scribbles":
        """Return the same strokes, shortened about their midpoints.

        Parameters
        ----------
        ratio : float
            Share of the length to keep, in [0, 1]; 0 is one click per stroke.

        Returns
        -------
        Scribbles
            Nested: what a shorter one draws is part of what a longer one draws, pixel for pixel and class for class.

        Raises
        ------
        ValueError
            If `ratio` lies outside [0, 1].
        """
        check_number("ratio", ratio, "[0, 1]")
        return replace(self, strokes=tuple(replace(s, kept=s.kept * ratio) for s in self.strokes))


def read_scribbles(path: str | Path) -> Scribbles:
    """Read a JSON file of strokes.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Scribbles

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is malformed or holds invalid values; names the file and the fault.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_bytes())  # bytes: a byte order mark, or UTF-16, is recognised
        if not isinstance(content["classes"], list) or not all(isinstance(c, str) for c in content["classes"]):
            raise ValueError('"classes" is not a list of names')
        width, height = content["size"]
        strokes = tuple(
            Stroke(
                stroke["class"],
                float(stroke["width"]),
                tuple((float(x), float(y)) for x, y in stroke["points"]),
                float(stroke.get("kept", 1)),
            )
            for stroke in content["strokes"]
        )
        photo, size = str(content.get("photo", path.stem)), (int(width), int(height))
        scribbles = Scribbles(photo, size, tuple(content["classes"]), strokes)
    except (UnicodeDecodeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(
            f'{path}: not a scribble file ({type(error).__name__}: {error}); expected {{"photo", "size": [W, H], '
            '"classes": [...], "strokes": [{"class", "width", "points": [[x, y], ...]}]}'
        ) from error
    _check_scribbles(path, scribbles)
    return scribbles


def _check_scribbles(path: Path, scribbles: Scribbles) -> None:
    """Raise ValueError, naming the file, if classes, size or strokes are invalid."""
    classes = scribbles.classes
    if not 2 <= len(classes) <= PADDING or len(set(classes)) < len(classes):
        raise ValueError(f"{path}: expected 2 to {PADDING} different classes, got {list(classes)}")
    if min(scribbles.size) < 1:
        raise ValueError(f"{path}: expected a size [width, height] of at least 1 x 1, got {list(scribbles.size)}")
    longest = max(scribbles.size)
    for number, stroke in enumerate(scribbles.strokes):
        if stroke.label not in classes:
            raise ValueError(f"{path}: stroke {number} is of class {stroke.label!r}, which is not in {list(classes)}")
        if not stroke.points or not np.isfinite(stroke.points).all() or not 0 < stroke.width <= longest:
            raise ValueError(
                f"{path}: stroke {number} needs a positive width, at most the photo's {longest} pixels, and at least one "
                "finite point"
            )
        if not 0 <= stroke.kept <= 1:
            raise ValueError(f'{path}: stroke {number}: expected "kept" in [0, 1], got {stroke.kept}')


def check_pixels(path: str | Path, points: Sequence[tuple[float, float]], size: tuple[int, int] | None = None) -> None:
    """Check that coordinates are in pixels, not in 0..1.

    Parameters
    ----------
    path : str or Path
    points : sequence of (float, float)
        All points (x, y) in the file.
    size : (int, int), optional
        Width and height of the photo, where it is one photo's file.

    Raises
    ------
    ValueError
        If all of them lie in 0..1, some between these two, on a photo of more than 8 pixels.
    """
    text = shares_instead_of_pixels(points, size)
    if text:
        raise ValueError(f"{path}: {text}")


def shares_instead_of_pixels(points: Sequence[tuple[float, float]], size: tuple[int, int] | None = None) -> str:
    """Return what is wrong with coordinates in 0..1, or an empty string; see `check_pixels`."""
    values = np.array(points, float)
    large = size is None or max(size) > 8
    if not (values.size and large and values.min() >= 0 and values.max() <= 1 and (values % 1 > 0).any()):
        return ""
    width, height = ("the photo's width", "its height") if size is None else size
    return (
        f"all coordinates lie in 0..1, as if they were shares of the photo's sides; expected pixels: multiply x by {width} and "
        f"y by {height}"
    )


def write_scribbles(path: str | Path, scribbles: Scribbles) -> None:
    """Write the JSON file that `read_scribbles` reads; it appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    scribbles : Scribbles
    """
    content = asdict(scribbles)
    for stroke in content["strokes"]:
        stroke["class"] = stroke.pop("label")
    write_text(path, json.dumps(content))


def check_scales(path: str | Path, own: tuple[int, int], size: tuple[int, int]) -> None:
    """Check that strokes on a photo of one size scale to another size.

    Parameters
    ----------
    path : str or Path
    own : (int, int)
        Width and height that the strokes were drawn for.
    size : (int, int)
        Width and height of the photo.

    Raises
    ------
    ValueError
        If the two shapes differ by more than a pixel's rounding.
    """
    width, height = size
    if abs(width * own[1] - height * own[0]) > max(*size, *own):
        raise ValueError(
            f"{path}: the strokes are for a photo of {own[0]} x {own[1]} pixels, which does not scale to {width} x {height}"
        )
