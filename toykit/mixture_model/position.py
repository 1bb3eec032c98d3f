"""Position: how far each pixel lies from each class's strokes along a path through the photo.

The geodesic distance of two neighbouring cells is their difference in colour plus a small step. A stroke therefore reaches all
of a uniform region, however far it extends, and stops at edges (Bai and Sapiro 2007). As a class's share falls with a power of
its distance, only ratios of distances count: beside a stroke its class is sure, and far from all strokes the ratio is near 1
and no class is. Nothing is extrapolated along the direction of a stroke.

Distances are computed on cells, so that texture adds up alike in small and large photos, and interpolated at the pixels.
"""

import math

import numpy as np
import torch
from torch import Tensor

from toykit.conventions import PADDING

#: Largest number of cells along a photo's longer side.
CELLS = 192
#: A step's length where the colour does not change, for a path along the photo's diagonal.
DIAGONAL = 2.0
#: Offsets that reach each of the eight neighbours once.
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1))


def stride_of(height: int, width: int) -> int:
    """Return the side of a cell in pixels."""
    return -(-max(height, width) // CELLS)


def geodesic_distances(colours: Tensor, seeds: Tensor, classes: list[int], stride: int) -> Tensor:
    """Compute the distance from each cell to the strokes of each class.

    Parameters
    ----------
    colours : Tensor, float (C, h, w)
        The cells' colours.
    seeds : Tensor, int64 (H, W)
        The pixels' seeds. A cell is at distance 0 from each class with a seed in it.
    classes : list of int
        The classes, each with a seed.
    stride : int
        Side of a cell in pixels.

    Returns
    -------
    Tensor, float64 (len(classes), h, w)
        Cells that no path reaches, behind padding, are as far from all classes as the photo's farthest cell.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra

    values = colours.double().cpu().numpy()
    height, width = values.shape[1:]
    number = np.arange(height * width).reshape(height, width)
    outside = seeds == PADDING
    inside = np.ones(height * width, bool)
    if bool(outside.any()):
        inside[:] = False
        inside[_cells(~outside, stride, width)] = True
    step = DIAGONAL / math.hypot(height, width)
    starts, ends, lengths = [], [], []
    for dy, dx in OFFSETS:
        left, right = max(0, -dx), width - max(0, dx)
        here = (slice(0, height - dy), slice(left, right))
        there = (slice(dy, height), slice(left + dx, right + dx))
        both = (inside[number[here]] & inside[number[there]]).ravel()
        change = np.sqrt(np.square(values[(slice(None), *here)] - values[(slice(None), *there)]).sum(0)).ravel()
        starts.append(number[here].ravel()[both])
        ends.append(number[there].ravel()[both])
        lengths.append(change[both] + step * math.hypot(dy, dx))
    edges = (np.concatenate(lengths), (np.concatenate(starts), np.concatenate(ends)))
    graph = coo_matrix(edges, shape=(number.size, number.size)).tocsr()
    distances = np.stack(
        [dijkstra(graph, directed=False, indices=_cells(seeds == k, stride, width), min_only=True) for k in classes]
    )
    farthest = np.max(distances, initial=0.0, where=np.isfinite(distances))
    distances[:, ~np.isfinite(distances).all(0)] = farthest
    return torch.from_numpy(distances.reshape(-1, height, width)).to(colours.device)


def _cells(mask: Tensor, stride: int, width: int) -> np.ndarray:
    """Return the numbers of the cells that contain a pixel of a mask (H, W)."""
    rows, columns = mask.nonzero(as_tuple=True)
    return (rows // stride * width + columns // stride).unique().cpu().numpy()
