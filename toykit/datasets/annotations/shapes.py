"""Shapes that an annotator drew on a photo, whatever the tool, and how they become a map of seeds.

A closed shape (polygon, rectangle, circle, mask) labels all pixels whose centre lies inside; an open one (line, point) is a
stroke of `STROKE` pixels. Later shapes cover earlier ones. All other pixels are unlabelled. The tools measure coordinates
from the corner of a pixel: its centre is at 0.5, not at 0 as in this project's own strokes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toykit.conventions import UNLABELLED
from toykit.supervision.rasterize import line

#: Width of lines and points, in pixels.
STROKE = 3
#: The most pixels of a photo: as many as Pillow opens without protest.
MOST_PIXELS = 178_000_000
#: The most bytes of a file of annotations: COCO's largest has 0.5 GB.
MOST_BYTES = 2**30


@dataclass(frozen=True)
class Shape:
    """One shape.

    Parameters
    ----------
    label : str
        Name of its class.
    rings : tuple of ndarray, shape (N, 2), float
        (x, y) of the corners, from the corner of the photo; several rings are one shape in parts.
    closed : bool, default True
        Whether the rings enclose regions, rather than being lines or points.
    mask : ndarray, shape (h, w), bool, optional
        The shape as pixels, instead of rings.
    corner : (int, int), default (0, 0)
        Column and row of the mask's first pixel.
    """

    label: str
    rings: tuple[np.ndarray, ...] = ()
    closed: bool = True
    mask: np.ndarray | None = None
    corner: tuple[int, int] = (0, 0)


@dataclass(frozen=True)
class Annotated:
    """A photo's shapes.

    Parameters
    ----------
    name : str
        The photo's file name, possibly with folders.
    size : (int, int)
        Width and height.
    shapes : tuple of Shape
        In the order of drawing.
    """

    name: str
    size: tuple[int, int]
    shapes: tuple[Shape, ...]


def draw_shapes(photo: Annotated, classes: Sequence[str]) -> tuple[np.ndarray, list[str]]:
    """Draw the seeds of a photo.

    Parameters
    ----------
    photo : Annotated
    classes : sequence of str
        Class names by id; shapes of other labels are left out.

    Returns
    -------
    seeds : ndarray, shape (H, W), uint8
        Class ids, 255 elsewhere.
    lost : list of str
        The labels of shapes that hold no pixel's centre.
    """
    from skimage.draw import polygon

    width, height = photo.size
    seeds = np.full((height, width), UNLABELLED, np.uint8)
    numbers, lost = {name: k for k, name in enumerate(classes)}, []
    for shape in photo.shapes:
        number, count = numbers.get(shape.label), 0
        if number is None:
            continue
        for ring in shape.rings:
            points = np.clip(ring, -1e6, 1e6) - 0.5
            if shape.closed:
                inside = polygon(points[:, 1], points[:, 0], seeds.shape)
            else:
                inside = line(points.tolist(), STROKE, photo.size)
            seeds[inside] = number
            count += seeds[inside].size
        if shape.mask is not None:
            left, top = shape.corner
            part = seeds[max(top, 0) : top + shape.mask.shape[0], max(left, 0) : left + shape.mask.shape[1]]
            mask = shape.mask[max(-top, 0) :, max(-left, 0) :][: part.shape[0], : part.shape[1]]
            part[mask] = number
            count += int(mask.sum())
        if not count:
            lost.append(shape.label)
    return seeds, lost


def add_background(seeds: np.ndarray, number: int, margin: float) -> None:
    """Label the pixels farther than a margin from all shapes, in place.

    Parameters
    ----------
    seeds : ndarray, shape (H, W), uint8
        From `draw_shapes`.
    number : int
        Id of the background.
    margin : float
        Pixels around the shapes that stay unlabelled.
    """
    from scipy import ndimage

    free = seeds == UNLABELLED
    far = np.asarray(ndimage.distance_transform_edt(free)) > margin if not free.all() else free
    seeds[free & far] = number


def ring(values: object) -> np.ndarray:
    """Return points as an array (N, 2), or raise ValueError."""
    points = np.array(values, float)
    if points.ndim != 2 or points.shape[1] != 2 or not len(points) or not np.isfinite(points).all():
        raise ValueError(f"expected finite points [[x, y], ...], got {str(values)[:60]}")
    return points


def rectangle(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """Return a rectangle's corners."""
    return ring([[left, top], [right, top], [right, bottom], [left, bottom]])


def photo_size(width: object, height: object) -> tuple[int, int]:
    """Return width and height as numbers, or raise ValueError for values that no photo has."""
    sides = _whole(width), _whole(height)
    if min(sides) < 1 or sides[0] * sides[1] > MOST_PIXELS:
        raise ValueError(f"expected a photo of 1 to {MOST_PIXELS} pixels, got {width} x {height}")
    return sides


def _whole(number: object) -> int:
    """Return a whole number that is given as 48, 48.0 or "48"; 0 for a fraction. Raises: ValueError for what is no number."""
    try:
        value = float(str(number))
    except ValueError as error:
        raise ValueError(f"expected the photo's width and height in pixels, got {number!r}") from error
    return int(value) if value.is_integer() else 0


def from_runs(runs: Sequence[int], height: int, width: int, by_columns: bool = False) -> np.ndarray:
    """Decode lengths of runs, of pixels outside and inside in turns, to a mask.

    Parameters
    ----------
    runs : sequence of int
        They begin outside.
    height, width : int
    by_columns : bool, default False
        Whether pixels are counted along columns (COCO) rather than rows (CVAT).

    Returns
    -------
    ndarray, shape (height, width), bool

    Raises
    ------
    ValueError
        If the runs do not fill the mask exactly.
    """
    lengths = np.array(runs, np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != height * width:
        raise ValueError(f"expected runs of {height} x {width} pixels together, got {int(lengths.sum())}")
    values = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return values.reshape(width, height).T if by_columns else values.reshape(height, width)
