"""Annotations in JSON: Labelme's, one file per photo, and COCO's, one file per set."""

import base64
import binascii
import io
import json
import math
import struct
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from PIL import Image

from toykit.datasets.annotations.shapes import MOST_BYTES, Annotated, Shape, from_runs, photo_size, rectangle, ring

T = TypeVar("T")
#: What a file with wrong keys, types or values raises.
FAULTS = (
    AttributeError, IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError, binascii.Error, SyntaxError,
    OSError, Image.DecompressionBombError, zlib.error, struct.error,  # of a mask's PNG, which Pillow decodes from memory
)  # fmt: skip


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file of annotations.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is too large, no JSON, or no object; names the file.
    """
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size} bytes; expected at most {MOST_BYTES}")
    try:
        content = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: expected an object with the keys of Labelme or COCO, got {type(content).__name__}")
    return content


def read_labelme(path: Path, content: dict[str, Any]) -> Annotated:
    """Read Labelme's annotation of one photo.

    Parameters
    ----------
    path : Path
    content : dict
        From `read_json`.

    Returns
    -------
    Annotated

    Raises
    ------
    ValueError
        For faulty content; names the file.
    """
    try:
        size = photo_size(content["imageWidth"], content["imageHeight"])
        shapes = tuple(_labelme_shape(shape) for shape in content["shapes"] if shape["label"] != "__ignore__")
        return Annotated(str(content.get("imagePath") or f"{path.stem}.jpg"), size, shapes)
    except FAULTS as error:
        raise ValueError(f"{path}: not Labelme's format ({_fault(error)})") from error


def _fault(error: Exception) -> str:
    """Describe what a file with wrong keys, types or values raised."""
    return f"it has no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"


def _labelme_shape(shape: dict[str, Any]) -> Shape:
    """Return one of Labelme's shapes."""
    if shape["label"] is None:
        raise ValueError("a shape without a label")
    kind, label, points = shape.get("shape_type") or "polygon", str(shape["label"]), ring(shape["points"])
    if kind == "rectangle":
        (left, top), (right, bottom) = points.min(0), points.max(0)
        return Shape(label, (rectangle(left, top, right, bottom),))
    if kind == "circle":
        if len(points) != 2:
            raise ValueError(f"expected a circle's centre and a point of its edge, got {len(points)} points")
        angles = np.linspace(0, 2 * math.pi, 64, endpoint=False)
        radius = float(np.hypot(*(points[1] - points[0])))
        return Shape(label, (points[0] + radius * np.stack([np.cos(angles), np.sin(angles)], 1),))
    if kind == "mask":
        with Image.open(io.BytesIO(base64.b64decode(shape["mask"])), formats=["PNG"]) as file:
            mask = np.array(file.convert("L")) > 0
        return Shape(label, mask=mask, corner=(int(points[0, 0]), int(points[0, 1])))
    if kind == "polygon" and len(points) > 2:
        return Shape(label, (points,))
    if kind in ("polygon", "line", "linestrip", "point", "points"):
        parts = tuple(point[None] for point in points) if kind == "points" else (points,)
        return Shape(label, parts, closed=False)
    raise ValueError(f"shape_type {kind!r} is not supported")


def read_coco(path: Path, content: dict[str, Any]) -> tuple[list[Annotated], list[str]]:
    """Read COCO's annotations of a set of photos.

    Parameters
    ----------
    path : Path
    content : dict
        From `read_json`.

    Returns
    -------
    photos : list of Annotated
    classes : list of str
        The categories, by their numbers.

    Raises
    ------
    ValueError
        For faulty content; names the file and the annotation.
    """
    where = "images"
    try:
        sizes = _by_number(content["images"], lambda i: (str(i["file_name"]), photo_size(i["width"], i["height"])))
        where = "categories"
        categories = sorted(content.get("categories") or [], key=lambda c: c["id"])
        names = _by_number(categories, lambda c: str(c["name"]))
        shapes: dict[Any, list[Shape]] = {number: [] for number in sizes}
        for annotation in content["annotations"]:
            where = f"annotation {annotation.get('id')}"
            image, category = annotation["image_id"], annotation["category_id"]
            if image not in sizes or category not in names:
                raise ValueError(f"expected the ids of an image and a category, got {image!r} and {category!r}")
            shapes[image].append(_coco_shape(annotation, names[category], sizes[image][1]))
    except FAULTS as error:
        raise ValueError(f"{path}: {where}: not COCO's format ({_fault(error)})") from error
    return [Annotated(*sizes[number], tuple(parts)) for number, parts in shapes.items()], list(names.values())


def _by_number(entries: Sequence[dict[str, Any]], value: Callable[[dict[str, Any]], T]) -> dict[Any, T]:
    """Return what entries hold by their ids; raise ValueError for an id of two different ones."""
    found: dict[Any, T] = {}
    for entry in entries:
        number, held = entry["id"], value(entry)
        if found.setdefault(number, held) != held:
            raise ValueError(f"two have the id {number!r}: {found[number]} and {held}; merged files?")
    return found


def _coco_shape(annotation: dict[str, Any], label: str, size: tuple[int, int]) -> Shape:
    """Return one of COCO's annotations: polygons, runs, or only a box, which is refused."""
    segmentation = annotation.get("segmentation")
    if isinstance(segmentation, dict):
        height, width = segmentation["size"]
        if (width, height) != size:
            raise ValueError(f"runs of {width} x {height} pixels on a photo of {size[0]} x {size[1]}")
        counts = segmentation["counts"]
        runs = _decode_counts(counts) if isinstance(counts, str) else counts
        return Shape(label, mask=from_runs(runs, height, width, by_columns=True))
    if not segmentation:
        raise ValueError("has no segmentation; boxes alone are no seeds")
    if not all(isinstance(part, list) and np.size(part) % 2 == 0 for part in segmentation):
        raise ValueError(f"expected polygons as lists x, y, x, y, ..., got {str(segmentation)[:60]}")
    return Shape(label, tuple(ring(np.reshape(part, (-1, 2))) for part in segmentation))


def _decode_counts(text: str) -> list[int]:
    """Decode COCO's compressed runs: five bits per character, and from the third run on differences to the one before last."""
    runs, value, shift = [], 0, 0
    for character in text.encode("ascii"):
        bits = character - 48
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & 0x20:
            continue
        if bits & 0x10:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value, shift = 0, 0
    return runs
