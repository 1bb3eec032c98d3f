"""Seeds from scribbles: read, write and draw the strokes that a person made (paper, section 1.1).

Two formats, both read by `read_seeds`:

    indexed PNG   one byte a pixel: class id, 255 = unlabelled, 254 = padding (modes P and L)
    JSON          {"photo": NAME, "size": [W, H], "classes": [NAME, ...],
                   "strokes": [{"class": NAME, "width": PIXELS, "points": [[x, y], ...], "kept": SHARE}, ...]}
                  class id = position in "classes"; x to the right, y down, in pixels of a photo of that size, whole
                  numbers at the pixels' centres; "kept" may be left out; later strokes cover earlier ones
"""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED

#: A shortened stroke is found by dots along it, this far apart in pixels ...
SPACING = 0.5
#: ... unless they were more than this many on either side of its middle (a file may hold any coordinates).
MOST_DOTS = 50_000


@dataclass(frozen=True)
class Stroke:
    """One polyline: class name, width in pixels, points (x, y), and the share of its length that counts.

    kept: in [0, 1]; the middle of the polyline, the same length on either side of its midpoint. 0 is one click there.
    """

    label: str
    width: float
    points: tuple[tuple[float, float], ...]
    kept: float = 1.0

    def dots(self, scale: tuple[float, float] = (1.0, 1.0)) -> tuple[np.ndarray, np.ndarray]:
        """The stroke as dots, float (N, 2) of (x, y), evenly spread over all of its length, and which of them are kept.

        The dots do not depend on `kept`: those of a shorter stroke are among those of a longer one.
        """
        points = np.array(self.points) * scale
        along = np.concatenate([[0.0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
        half = int(np.clip(np.ceil(along[-1] / (2 * SPACING)), 1, MOST_DOTS))
        steps = np.arange(-half, half + 1)
        where = along[-1] * (0.5 + steps / (2 * half))
        dots = np.stack([np.interp(where, along, points[:, axis]) for axis in (0, 1)], axis=1)
        return dots, abs(steps) <= self.kept * half

    def draw_on(self, seeds: np.ndarray, number: int, scale: tuple[float, float] = (1.0, 1.0)) -> None:
        """Draw the stroke on a map of class ids, uint8 (H, W), in place, as class `number`; see `Scribbles.draw`."""
        size = seeds.shape[::-1]
        width = max(1, round(self.width * sum(scale) / 2))
        whole = line(self.points, width, size, scale)
        seeds[whole] = UNLABELLED
        if self.kept < 1:
            dots, kept = self.dots(scale)
            whole &= _under(dots[kept], width, size)
        seeds[whole] = number


@dataclass(frozen=True)
class Scribbles:
    """The strokes on one photo of `size` (width, height); a class' id is its position in `classes`."""

    photo: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    strokes: tuple[Stroke, ...]

    def draw(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """The seed map, uint8 (H, W): class ids on the strokes, 255 elsewhere.

        A stroke that is kept in part draws those of its pixels that lie under its kept dots. Where strokes cross, the
        later one decides, at its whole length: so shortening takes labels away and changes none.
        size: (width, height) of the map; strokes are scaled to it. Default: the photo's own size.
        """
        size = self.size if size is None else size
        scale = (size[0] / self.size[0], size[1] / self.size[1])
        seeds = np.full(size[::-1], UNLABELLED, np.uint8)
        for stroke in self.strokes:
            stroke.draw_on(seeds, self.classes.index(stroke.label), scale)
        return seeds

    def shorten(self, ratio: float) -> "Scribbles":
        """The same strokes with `ratio` in [0, 1] of their length, about their midpoints; 0 is one click a stroke.

        Nested: what a shorter one draws is part of what a longer one draws, pixel for pixel and class for class.
        """
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio: expected a share of the length in [0, 1], got {ratio}")
        return replace(self, strokes=tuple(replace(s, kept=s.kept * ratio) for s in self.strokes))


def line(points: tuple, width: int, size: tuple[int, int], scale: tuple[float, float] = (1, 1)) -> np.ndarray:
    """The pixels of a polyline with round joints and ends, bool (H, W); size: (width, height)."""
    from PIL import Image, ImageDraw

    canvas = Image.new("L", size, 0)
    pen = ImageDraw.Draw(canvas)
    points = [(x * scale[0], y * scale[1]) for x, y in points]
    pen.line(points, 1, width, joint="curve")
    for x, y in (points[0], points[-1]):  # a single point is a dot
        pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], 1)
    return np.array(canvas, dtype=bool)


def _under(dots: np.ndarray, width: int, size: tuple[int, int]) -> np.ndarray:
    """The pixels under round dots, bool (H, W).

    A dot is a little wider than the line, so that some of the line's pixels, rounded as they are, lie under each.
    """
    reach = np.arange(-(width // 2) - 2, width // 2 + 3)
    offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    dots = dots[((dots > -width - 3) & (dots < np.array(size) + width + 3)).all(1)]
    pixels = np.rint(dots)[:, None] + offsets  # (N, M, 2)
    near = ((pixels - dots[:, None]) ** 2).sum(-1) <= max((width + 1) / 2, 2) ** 2
    pixels = pixels[near].astype(int)
    columns, rows = pixels[((pixels >= 0) & (pixels < size)).all(1)].T
    under = np.zeros(size[::-1], bool)
    under[rows, columns] = True
    return under


def read_scribbles(path: str | Path) -> Scribbles:
    """Read a JSON file of strokes. Raises: FileNotFoundError; ValueError that names the file and what is wrong in it."""
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(content["classes"], list) or not all(isinstance(c, str) for c in content["classes"]):
            raise ValueError('"classes" is not a list of names')
        classes = tuple(content["classes"])
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
        scribbles = Scribbles(str(content.get("photo", path.stem)), (int(width), int(height)), classes, strokes)
    except (
        json.JSONDecodeError,
        UnicodeDecodeError,
        KeyError,
        TypeError,
        ValueError,
        OverflowError,
        RecursionError,
    ) as error:
        raise ValueError(
            f'{path}: not a scribble file ({type(error).__name__}: {error}); expected {{"photo", "size": [W, H], '
            '"classes": [...], "strokes": [{"class", "width", "points": [[x, y], ...]}]}'
        ) from error
    if not 2 <= len(classes) <= PADDING or len(set(classes)) < len(classes):
        raise ValueError(f"{path}: expected 2 to {PADDING} different classes, got {list(classes)}")
    if min(scribbles.size) < 1:
        raise ValueError(f"{path}: expected a size [width, height] of at least 1 x 1, got {list(scribbles.size)}")
    longest = max(scribbles.size)
    for number, stroke in enumerate(strokes):
        if stroke.label not in classes:
            raise ValueError(f"{path}: stroke {number} is of class {stroke.label!r}, which is not in {list(classes)}")
        if not stroke.points or not np.isfinite(stroke.points).all() or not 0 < stroke.width <= longest:
            raise ValueError(
                f"{path}: stroke {number} needs a positive width, at most the photo's {longest} pixels, and at least one "
                "finite point"
            )
        if not 0 <= stroke.kept <= 1:
            raise ValueError(f'{path}: stroke {number}: expected "kept" in [0, 1], got {stroke.kept}')
    return scribbles


def write_scribbles(path: str | Path, scribbles: Scribbles) -> None:
    """Write the JSON file that `read_scribbles` reads; it appears whole or not at all."""
    from toykit._shared.files import write_atomically

    content = asdict(scribbles)
    for stroke in content["strokes"]:
        stroke["class"] = stroke.pop("label")
    write_atomically(path, lambda file: file.write(json.dumps(content).encode()))


def read_seeds(path: str | Path, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Seeds for a photo of `size` (width, height) from an indexed PNG or a JSON file of strokes.

    Returns the map, uint8 (H, W), and the class names ("class 0", ... for a PNG: up to the largest id, at least two).
    Raises: FileNotFoundError; ValueError that names the file: unreadable, colours instead of ids, or another size.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        scribbles = read_scribbles(path)
        check_scales(path, scribbles.size, size)
        return scribbles.draw(size), scribbles.classes
    seeds = read_indexed_png(path)
    if seeds.shape != (size[1], size[0]):
        raise ValueError(
            f"{path}: the seeds are {seeds.shape[1]} x {seeds.shape[0]} pixels, the photo {size[0]} x {size[1]}"
        )
    ids = seeds[(seeds != UNLABELLED) & (seeds != PADDING)]
    count = max(2, int(ids.max()) + 1 if ids.size else 2)
    return seeds, tuple(f"class {k}" for k in range(count))


def check_scales(path: str | Path, own: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise ValueError, naming the file, if strokes on a photo of size `own` do not scale to one of `size`."""
    (width, height) = size
    if abs(width * own[1] - height * own[0]) > max(*size, *own):  # more than a pixel's rounding
        raise ValueError(
            f"{path}: the strokes are for a photo of {own[0]} x {own[1]} pixels, which does not scale to {width} x {height}"
        )


def read_indexed_png(path: str | Path) -> np.ndarray:
    """The class ids, uint8 (H, W), of a PNG of mode P or L.

    Raises: FileNotFoundError; ValueError that names the file if it is unreadable, no PNG, or holds colours instead of ids.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as file:
            mode, ids = file.mode, np.array(file)
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, SyntaxError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a PNG ({error})") from error
    if mode not in ("P", "L"):
        colours = mode not in ("1", "I", "I;16")
        reason = "in a picture of colours it is not clear which class a pixel has" if colours else "save it with 8 bits"
        raise ValueError(f"{path}: expected an indexed PNG (mode P or L) of class ids, got mode {mode}; {reason}")
    return ids


def write_seeds(path: str | Path, seeds: np.ndarray) -> None:
    """Write a map of class ids, uint8 (H, W), as an indexed PNG in VOC's colours; the file appears whole or not at all."""
    from PIL import Image

    from toykit._shared.files import write_atomically
    from toykit._shared.palette import voc_palette

    picture = Image.fromarray(np.asarray(seeds, dtype=np.uint8), mode="P")
    picture.putpalette((voc_palette(256) * 255).round().astype(np.uint8).tobytes())
    write_atomically(path, lambda file: picture.save(file, format="PNG"))
