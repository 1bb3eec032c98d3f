"""Seeds from scribbles: read, write and draw the strokes that a person made (paper, section 1.1).

Two formats, both read by `read_seeds`:

    indexed PNG   one byte a pixel: class id, 255 = unlabelled, 254 = padding (modes P and L)
    JSON          {"photo": NAME, "size": [W, H], "classes": [NAME, ...],
                   "strokes": [{"class": NAME, "width": PIXELS, "points": [[x, y], ...]}, ...]}
                  class id = position in "classes"; x to the right, y down, in pixels of a photo of that size;
                  later strokes cover earlier ones
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED


@dataclass(frozen=True)
class Stroke:
    """One polyline: class name, width in pixels, points (x, y)."""

    label: str
    width: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Scribbles:
    """The strokes on one photo of `size` (width, height); a class' id is its position in `classes`."""

    photo: str
    size: tuple[int, int]
    classes: tuple[str, ...]
    strokes: tuple[Stroke, ...]

    def draw(self, size: tuple[int, int] | None = None) -> np.ndarray:
        """The seed map, uint8 (H, W): class ids on the strokes, 255 elsewhere.

        size: (width, height) of the map; strokes are scaled to it. Default: the photo's own size.
        """
        from PIL import Image, ImageDraw

        size = self.size if size is None else size
        scale_x, scale_y = size[0] / self.size[0], size[1] / self.size[1]
        canvas = Image.new("L", size, UNLABELLED)
        pen = ImageDraw.Draw(canvas)
        for stroke in self.strokes:
            width = max(1, round(stroke.width * (scale_x + scale_y) / 2))
            points = [(x * scale_x, y * scale_y) for x, y in stroke.points]
            fill = self.classes.index(stroke.label)
            pen.line(points, fill, width, joint="curve")
            for x, y in (points[0], points[-1]):  # round ends; a single point is a dot
                pen.ellipse([x - width / 2, y - width / 2, x + width / 2, y + width / 2], fill)
        return np.array(canvas)


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
            Stroke(stroke["class"], float(stroke["width"]), tuple((float(x), float(y)) for x, y in stroke["points"]))
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
    for number, stroke in enumerate(strokes):
        if stroke.label not in classes:
            raise ValueError(f"{path}: stroke {number} is of class {stroke.label!r}, which is not in {list(classes)}")
        if not stroke.points or not np.isfinite(stroke.points).all() or not 0 < stroke.width < float("inf"):
            raise ValueError(f"{path}: stroke {number} needs a positive width and at least one finite point")
    return scribbles


def read_seeds(path: str | Path, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Seeds for a photo of `size` (width, height) from an indexed PNG or a JSON file of strokes.

    Returns the map, uint8 (H, W), and the class names ("class 0", ... for a PNG: up to the largest id, at least two).
    Raises: FileNotFoundError; ValueError that names the file: unreadable, colours instead of ids, or another size.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        scribbles = read_scribbles(path)
        (width, height), own = size, scribbles.size
        if abs(width * own[1] - height * own[0]) > max(*size, *own):  # more than a pixel's rounding
            raise ValueError(
                f"{path}: the strokes are for a photo of {own[0]} x {own[1]} pixels, which does not scale to {width} x {height}"
            )
        return scribbles.draw(size), scribbles.classes
    seeds = read_indexed_png(path)
    if seeds.shape != (size[1], size[0]):
        raise ValueError(
            f"{path}: the seeds are {seeds.shape[1]} x {seeds.shape[0]} pixels, the photo {size[0]} x {size[1]}"
        )
    ids = seeds[(seeds != UNLABELLED) & (seeds != PADDING)]
    count = max(2, int(ids.max()) + 1 if ids.size else 2)
    return seeds, tuple(f"class {k}" for k in range(count))


def read_indexed_png(path: str | Path) -> np.ndarray:
    """The class ids, uint8 (H, W), of a PNG of mode P or L.

    Raises: FileNotFoundError; ValueError that names the file if it is unreadable or holds colours instead of ids.
    """
    from PIL import Image

    try:
        with Image.open(path) as file:
            mode, ids = file.mode, np.array(file)
    except FileNotFoundError:
        raise
    except (SyntaxError, OSError) as error:
        raise ValueError(f"{path}: cannot be read as a PNG ({error})") from error
    if mode not in ("P", "L"):
        raise ValueError(
            f"{path}: expected an indexed PNG (mode P or L) of class ids, got mode {mode}; in a picture of colours "
            "it is not clear which class a pixel has"
        )
    return ids


def write_seeds(path: str | Path, seeds: np.ndarray) -> None:
    """Write a map of class ids, uint8 (H, W), as an indexed PNG in VOC's colours; the file appears whole or not at all."""
    from PIL import Image

    from toykit.files import write_atomically
    from toykit.palette import voc_palette

    picture = Image.fromarray(np.asarray(seeds, dtype=np.uint8), mode="P")
    picture.putpalette((voc_palette(256) * 255).round().astype(np.uint8).tobytes())
    write_atomically(path, lambda file: picture.save(file, format="PNG"))
