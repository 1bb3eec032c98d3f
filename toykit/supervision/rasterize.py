"""Draw polylines with round joints and ends on a grid of pixels, exactly: whole numbers are the centres of pixels.

A pixel is drawn if its centre lies within half of the width of the polyline. So a click of width 3 at x = 20 covers the columns
19 to 21, and one of width 2 the columns 20 and 21: of two pixels at exactly half of the width, the right or lower one is drawn.
The pixel next to each point is always drawn, so that a thin stroke is never empty.
"""

from collections.abc import Sequence

import numpy as np

#: By how much points are moved to the right and down, in pixels, to decide ties.
TIE = 1e-6


def scale_points(points: Sequence[tuple[float, float]], scale: tuple[float, float]) -> np.ndarray:
    """Scale points of a photo to another size of it.

    Parameters
    ----------
    points : sequence of (float, float)
        (x, y) of each point; whole numbers are the centres of pixels.
    scale : (float, float)
        Factors for x and y.

    Returns
    -------
    ndarray, shape (N, 2), float
        (x + 1/2) * factor - 1/2: a pixel's area, not its centre's number, is scaled.
    """
    return (np.array(points, float).reshape(-1, 2) + 0.5) * scale - 0.5


def line(
    points: Sequence[tuple[float, float]], width: float, size: tuple[int, int], scale: tuple[float, float] = (1, 1)
) -> np.ndarray:
    """Draw a polyline with round joints and ends.

    Parameters
    ----------
    points : sequence of (float, float)
        (x, y) of each point; a single point is a dot.
    width : float
        Width in pixels of the map; below 1 it counts as 1.
    size : (int, int)
        Width and height of the map.
    scale : (float, float), default (1, 1)
        Factors for x and y, see `scale_points`.

    Returns
    -------
    ndarray, shape (H, W), bool
        True on the polyline.
    """
    inside = np.zeros(size[::-1], bool)
    places, radius = scale_points(points, scale) + TIE, max(width, 1) / 2
    with np.errstate(all="ignore"):  # coordinates may be huge, and a segment may have no length
        for start, end in zip(places, places[1:] if len(places) > 1 else places, strict=False):
            _add_segment(inside, start, end, radius)
        nearest = np.floor(places + 0.5)
    nearest = nearest[((nearest >= 0) & (nearest < size)).all(1)].astype(int)
    inside[nearest[:, 1], nearest[:, 0]] = True
    return inside


def _add_segment(inside: np.ndarray, start: np.ndarray, end: np.ndarray, radius: float) -> None:
    """Set the pixels closer than `radius` to a segment. In each row they are one interval, of two discs and a rectangle."""
    height, width = inside.shape
    low, high = np.minimum(start, end) - radius, np.maximum(start, end) + radius
    if not (low < (width, height)).all() or not (high >= 0).all():
        return
    top, bottom = max(0, int(np.floor(low[1]))), min(height, int(min(high[1], height)) + 1)
    rows = np.arange(top, bottom, dtype=float)
    left, right = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    for x, y in (start, end):
        half = np.sqrt(radius**2 - (rows - y) ** 2)  # NaN outside of the disc, which fmin and fmax leave out
        half[half == 0] = np.nan
        left, right = np.fmin(left, x - half), np.fmax(right, x + half)
    along = end - start
    length = np.hypot(*along)
    if length > 0:
        along = along / length
        # |across . p| < radius and 0 < along . p < length, for p = (column, row) - start
        first, last = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
        for (dx, dy), least, most in (((-along[1], along[0]), -radius, radius), (along, 0.0, length)):
            rest = dy * (rows - start[1])
            if abs(dx) < 1e-12:
                outside = (rest <= least) | (rest >= most)
                first[outside], last[outside] = np.inf, -np.inf
                continue
            ends = np.stack([(least - rest) / dx, (most - rest) / dx]) + start[0]
            first, last = np.fmax(first, ends.min(0)), np.fmin(last, ends.max(0))
        crossed = first < last
        left, right = np.where(crossed, np.fmin(left, first), left), np.where(crossed, np.fmax(right, last), right)
    left, right = np.floor(left) + 1, np.ceil(right) - 1  # the pixels strictly between
    begin, end_column = max(0, int(max(low[0], 0))), min(width, int(min(high[0], width)) + 1)
    columns = np.arange(begin, end_column)
    inside[top:bottom, begin:end_column] |= (columns >= left[:, None]) & (columns <= right[:, None])


def under_dots(dots: np.ndarray, width: float, size: tuple[int, int]) -> np.ndarray:
    """Return the pixels under round dots.

    Parameters
    ----------
    dots : ndarray, shape (N, 2), float
        (x, y) of the dots.
    width : float
        Width of the line that the dots lie on. A dot is a little wider: some of the line's pixels must lie under each.
    size : (int, int)
        Width and height of the map.

    Returns
    -------
    ndarray, shape (H, W), bool
    """
    reach = np.arange(-int(width // 2) - 2, int(width // 2) + 3)
    offsets = np.stack(np.meshgrid(reach, reach), axis=-1).reshape(-1, 2)
    dots = dots[((dots > -width - 3) & (dots < np.array(size) + width + 3)).all(1)]
    pixels = np.rint(dots)[:, None] + offsets  # (N, M, 2)
    near = ((pixels - dots[:, None]) ** 2).sum(-1) <= max((width + 1) / 2, 2) ** 2
    pixels = pixels[near].astype(int)
    columns, rows = pixels[((pixels >= 0) & (pixels < size)).all(1)].T
    under = np.zeros(size[::-1], bool)
    under[rows, columns] = True
    return under
