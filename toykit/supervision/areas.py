"""Areas: polygons with holes that label all pixels inside, such as the painter's polygons and filled regions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from toykit.supervision.rasterize import inside_rings

Ring = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Area:
    """A region between closed polygons.

    Parameters
    ----------
    label : str or None
        Class name; None erases.
    rings : tuple of rings, each a tuple of (float, float)
        Closed polygons of points (x, y), in pixels. A point inside an odd number of them lies in the area.
    """

    label: str | None
    rings: tuple[Ring, ...]

    @property
    def points(self) -> Ring:
        """Return the points of all rings."""
        return tuple(point for ring in self.rings for point in ring)

    @property
    def width(self) -> float:
        """Return the width of its outline, in pixels."""
        return 1.0

    def draw_on(self, seeds: np.ndarray, number: int, scale: tuple[float, float] = (1.0, 1.0)) -> None:
        """Draw the area in place on a map of class ids, uint8 (H, W), as class `number`."""
        seeds[inside_rings(self.rings, (seeds.shape[1], seeds.shape[0]), scale)] = number


def trace(mask: np.ndarray) -> tuple[Ring, ...]:
    """Return rings between which exactly the pixels of a mask lie.

    Parameters
    ----------
    mask : ndarray of bool, shape (H, W)

    Returns
    -------
    tuple of rings
        See `Area`. They run halfway between pixels, so the mask is redrawn exactly at its own size.
    """
    from skimage.measure import find_contours

    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not len(rows):
        return ()
    top, left = rows[0], columns[0]
    part = np.pad(mask[top : rows[-1] + 1, left : columns[-1] + 1], 1).astype(float)
    rings = []
    for contour in find_contours(part, 0.5):
        points = contour[:-1, ::-1] + (left - 1, top - 1)
        before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
        turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
        rings.append(tuple(map(tuple, points[turns].tolist())))
    return tuple(rings)


def map_areas(seeds: np.ndarray, classes: Sequence[str]) -> tuple[Area, ...]:
    """Return one area for each class that has pixels in a map of class ids, uint8 (H, W); other ids are left out."""
    return tuple(Area(name, trace(seeds == k)) for k, name in enumerate(classes) if (seeds == k).any())
