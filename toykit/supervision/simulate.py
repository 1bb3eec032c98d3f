"""Simulated scribbles: strokes drawn from a full mask, not by a person. State this with results obtained from them.

Each connected object of sufficient size gets one stroke, the background included. It is found on the distance transform D
(distance in pixels to the object's boundary or the image's frame) in two steps:

    1. A path of least cost, where a step costs more close to the boundary. It leads from one far end of the object to
       another, and on to the place farthest from the path, until it is long enough for `SHARE` of the object's pixels.
    2. The path is smoothed as much as its distance to the boundary allows.

Every drawn pixel lies inside the object: a path is accepted only after it was drawn and checked.
"""

from collections.abc import Iterator

import numpy as np

from toykit.supervision.rasterize import line
from toykit.supervision.spec import random_generator
from toykit.supervision.strokes import Scribbles, Stroke

#: Share of an object's pixels that its stroke aims at; on VOC the strokes then cover about 3% of the image.
SHARE = 0.035
#: The smallest object that gets a stroke, as a share of the image's pixels.
LEAST = 0.001
#: Largest number of way points of a path.
TURNS = 6


def simulate(
    mask: np.ndarray, classes: tuple[str, ...], name: str, seed: int = 0, width: int = 3, share: float = SHARE
) -> Scribbles:
    """Draw strokes inside the objects of a full mask, away from their boundaries.

    Parameters
    ----------
    mask : ndarray, shape (H, W), uint8
        Class ids; ids of len(classes) or more (void) get no stroke and count as outside.
    classes : tuple of str
        Class names by id.
    name : str
        The image's id; together with `seed` it determines the strokes.
    seed : int, default 0
        The run's seed.
    width : int, default 3
        Width of the pen in pixels. An object too thin for it gets a stroke of width 1; one thinner than 3 pixels gets none.
    share : float, default `SHARE`
        Share of an object's pixels to cover, reached where its shape has room.

    Returns
    -------
    Scribbles
        At most one stroke per connected object.
    """
    from scipy import ndimage

    generator = random_generator(seed, name)
    strokes = []
    for label in np.unique(mask[mask < len(classes)]):
        objects = _connected(mask == label)
        for number, box in enumerate(ndimage.find_objects(objects), start=1):
            inside = np.pad(objects[box] == number, 1)
            area = int(inside.sum())
            if area < LEAST * mask.size:
                continue
            depth = _distance(inside).astype(np.float32)
            pen = width if depth.max() >= width / 2 + 1 else 1
            if depth.max() < pen / 2 + 1:
                continue
            path = _path(depth, pen / 2 + 1, share * area / pen, generator)
            fitting = next((points for points in _smoothest_first(path, depth) if _fits(points, pen, inside)), None)
            if fitting is not None:
                points = fitting + np.array([box[1].start - 1, box[0].start - 1])
                strokes.append(Stroke(classes[label], float(pen), tuple(map(tuple, points.tolist()))))
    return Scribbles(name, (mask.shape[1], mask.shape[0]), tuple(classes), tuple(strokes))


def _connected(inside: np.ndarray) -> np.ndarray:
    """Number the connected parts of a mask (H, W) from 1; 0 is outside."""
    from scipy import ndimage

    numbers, _ = ndimage.label(inside)  # pyright: ignore[reportGeneralTypeIssues] # scipy's stub returns int, not a pair
    return numbers


def _distance(inside: np.ndarray) -> np.ndarray:
    """Compute the distance, in pixels, to the nearest place outside a mask (H, W)."""
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(inside))


def _path(depth: np.ndarray, margin: float, length: float, generator: np.random.Generator) -> np.ndarray:
    """Find a path of about `length` pixels where depth >= margin - 1/2: float (N, 2) of (row, column).

    The search uses every n-th pixel. D changes by at most one per pixel, so along a step of n or n sqrt(2) pixels it falls at
    most n / sqrt(2) below its values at both ends.
    """
    from scipy import ndimage
    from skimage.graph import MCP_Geometric

    deepest = float(depth.max())
    step = int(np.clip(min((deepest - margin) / 2, max(depth.shape) / 40), 1, None))
    start = np.unravel_index(depth.argmax(), depth.shape)
    origin = [s % step for s in start]  # the deepest pixel is on the coarse grid
    coarse = depth[origin[0] :: step, origin[1] :: step]
    free = coarse >= margin - 0.5 + step / np.sqrt(2)
    here = tuple(s // step for s in start)
    if not free[here]:
        return np.array([start], float)
    noise = ndimage.gaussian_filter(generator.standard_normal(coarse.shape), 3, mode="reflect")
    cost = (deepest / np.maximum(coarse, 1)) * np.exp(4 * noise)
    way, used = [here], np.zeros(coarse.shape, bool)
    for turn in range(TURNS):
        search = MCP_Geometric(np.where(free, cost * (1 + 9 * used), -1))
        far, _ = search.find_costs([way[-1]])
        reachable = np.isfinite(far)
        if turn == 0:  # the path starts at one far end
            way = [_farthest(np.where(reachable, far, -1), generator)]
            used[way[0]] = True
            continue
        away = _distance(~used)
        goal = _farthest(np.where(reachable, away, -1), generator)
        if away[goal] * step < 6:
            break
        way += search.traceback(goal)[1:]
        used[tuple(np.transpose(way))] = True
        if len(way) * step > length:
            break
    return _cut(np.array(way, float) * step + origin, length)


def _smoothest_first(path: np.ndarray, depth: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the path of (row, column) as points (x, y): smoothed less and less, then as it is, then the deepest pixel alone."""
    from scipy import ndimage

    every = _evenly(path, 1.0)
    for pixels in (16, 8, 4, 2):
        yield _evenly(ndimage.gaussian_filter1d(every, pixels, axis=0, mode="nearest"), 3.0)[:, ::-1].round(1)
    yield path[:, ::-1]
    yield np.array([np.unravel_index(depth.argmax(), depth.shape)[::-1]], float)


def _fits(points: np.ndarray, pen: int, inside: np.ndarray) -> bool:
    """Check that the drawn polyline lies inside the object."""
    return bool(inside[line(points.tolist(), pen, (inside.shape[1], inside.shape[0]))].all())


def _farthest(distance: np.ndarray, generator: np.random.Generator) -> tuple[int, int]:
    """Choose one of the places whose distance is within a tenth of the largest."""
    places = np.argwhere(distance >= 0.9 * distance.max())
    row, column = places[generator.integers(len(places))].tolist()
    return row, column


def _cut(path: np.ndarray, length: float) -> np.ndarray:
    """Return the first `length` pixels of a path."""
    along = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    return path[: int(np.searchsorted(along, length)) + 1]


def _evenly(path: np.ndarray, spacing: float) -> np.ndarray:
    """Resample the path by points about `spacing` pixels apart."""
    along = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
    where = np.linspace(0, along[-1], max(1, int(along[-1] / spacing)) + 1)
    return np.stack([np.interp(where, along, path[:, axis]) for axis in (0, 1)], axis=1)
