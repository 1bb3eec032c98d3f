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
        rows, first, stop = _intervals(
            places[: max(len(places) - 1, 1)], places[1:] if len(places) > 1 else places, radius, size
        )
        nearest = np.floor(places + 0.5)
    if len(rows):
        top, left = rows.min(), first.min()
        changes = np.zeros((rows.max() + 1 - top, stop.max() + 1 - left), np.int32)
        np.add.at(changes, (rows - top, first - left), 1)
        np.add.at(changes, (rows - top, stop - left), -1)
        covered = np.cumsum(changes, axis=1, out=changes)[:, :-1] > 0
        inside[top : top + len(covered), left : left + covered.shape[1]] = covered
    nearest = nearest[((nearest >= 0) & (nearest < size)).all(1)].astype(int)
    inside[nearest[:, 1], nearest[:, 0]] = True
    return inside


def _intervals(
    starts: np.ndarray, ends: np.ndarray, radius: float, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Find the pixels closer than `radius` to segments: in each row one interval a segment, of two discs and a rectangle.

    Returns rows, first columns, and the columns after the last, as integers; empty intervals are left out.
    """
    width, height = size
    low, high = np.minimum(starts, ends) - radius, np.maximum(starts, ends) + radius
    reaching = (low < size).all(1) & (high >= 0).all(1)
    starts, ends = starts[reaching], ends[reaching]
    top = np.clip(np.floor(low[reaching, 1]), 0, height).astype(int)
    counts = np.clip(np.floor(high[reaching, 1]) + 1, 0, height).astype(int) - top
    segment, rows = _rows_of_each(top, counts)

    left, right = np.full(len(rows), np.inf), np.full(len(rows), -np.inf)
    for x, y in (starts[segment].T, ends[segment].T):
        half = np.sqrt(radius**2 - (rows - y) ** 2)  # NaN outside of the disc, which fmin and fmax leave out
        half[half == 0] = np.nan
        left, right = np.fmin(left, x - half), np.fmax(right, x + half)
    way = ends - starts
    length = np.hypot(*way.T)
    dx, dy = (way / length[:, None])[segment].T
    x, y = starts[segment].T
    # |across . p| < radius and 0 < along . p < length, for p = (column, row) - start
    first, last = np.full(len(rows), -np.inf), np.full(len(rows), np.inf)
    for a, b, least, most in ((-dy, dx, -radius, radius), (dx, dy, 0.0, length[segment])):
        rest = b * (rows - y)
        bounds = np.stack([(least - rest) / a, (most - rest) / a]) + x
        level = abs(a) < 1e-12  # all columns of the row, or none
        none = level & ((rest <= least) | (rest >= most))
        first = np.where(level, np.where(none, np.inf, first), np.fmax(first, bounds.min(0)))
        last = np.where(level, np.where(none, -np.inf, last), np.fmin(last, bounds.max(0)))
    crossed = (first < last) & (length[segment] > 0)
    left = np.where(crossed, np.fmin(left, first), left)
    right = np.where(crossed, np.fmax(right, last), right)

    first = np.clip(np.floor(left) + 1, 0, width).astype(int)  # the pixels strictly between
    stop = np.clip(np.ceil(right), 0, width).astype(int)
    kept = first < stop
    return rows[kept], first[kept], stop[kept]


def _rows_of_each(top: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return one entry for each row of each segment, its number and the row; it has `counts` rows, from `top` on."""
    segment = np.repeat(np.arange(len(top)), counts)
    return segment, np.arange(len(segment)) + np.repeat(top - np.cumsum(counts) + counts, counts)


def inside_rings(
    rings: Sequence[Sequence[tuple[float, float]]], size: tuple[int, int], scale: tuple[float, float] = (1, 1)
) -> np.ndarray:
    """Draw the area between closed polygons.

    Parameters
    ----------
    rings : sequence of sequences of (float, float)
        Points (x, y) of each polygon; the last point is joined to the first.
    size : (int, int)
        Width and height of the map.
    scale : (float, float), default (1, 1)
        Factors for x and y, see `scale_points`.

    Returns
    -------
    ndarray, shape (H, W), bool
        True on pixels whose centre lies inside an odd number of the polygons.
    """
    width, height = size
    crossed = np.zeros((height, width + 1), bool)
    for ring in rings:
        start = np.clip(scale_points(ring, scale) + TIE, -1e7, 1e7)
        end = np.roll(start, -1, axis=0)
        first, last = (np.ceil(np.clip(f(start[:, 1], end[:, 1]), 0, height)) for f in (np.minimum, np.maximum))
        counts = (last - first).astype(int)  # an edge crosses the rows from its upper end on, to before its lower end
        edge, row = _rows_of_each(first.astype(int), counts)
        (x, y), along = start[edge].T, (end - start)[edge]
        column = np.ceil(np.clip(x + (row - y) * along[:, 0] / along[:, 1], 0, width)).astype(int)
        np.logical_xor.at(crossed, (row, column), True)
    return np.logical_xor.accumulate(crossed[:, :-1], axis=1)


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
