"""Position: how far each pixel lies from each class's strokes along a path through the photo.

The geodesic distance of two neighbouring cells is their difference in colour plus a small step. A stroke therefore reaches all
of a uniform region, however far it extends, and stops at edges (Bai and Sapiro 2007). As a class's share falls with a power of
its distance, only ratios of distances count: beside a stroke its class is sure, and far from all strokes the ratio is near 1
and no class is. Nothing is extrapolated along the direction of a stroke.

Distances are computed on cells, so that texture adds up alike in small and large photos, and interpolated at the pixels.
"""

import math
from dataclasses import dataclass
from typing import Any

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
    outside = seeds == PADDING
    graph = GeodesicGraph.of(colours, cells_of(~outside, stride) if bool(outside.any()) else None)
    distances = np.stack([graph.distances(cells_of(seeds == k, stride)) for k in classes])
    farthest = np.max(distances, initial=0.0, where=np.isfinite(distances))
    distances[:, ~np.isfinite(distances).all(0)] = farthest
    return torch.from_numpy(distances).to(colours.device)


@dataclass(frozen=True)
class GeodesicGraph:
    """The cells of one photo as a graph, for several calls with other strokes.

    Parameters
    ----------
    matrix : scipy.sparse.csr_matrix
        The length of the step between neighbouring cells, in both directions.
    size : (int, int)
        h and w.
    """

    matrix: Any
    size: tuple[int, int]

    @classmethod
    def of(cls, colours: Tensor, inside: np.ndarray | None = None) -> "GeodesicGraph":
        """Build the graph.

        Parameters
        ----------
        colours : Tensor, float (C, h, w)
            The cells' colours.
        inside : ndarray of int64, optional
            The numbers of the cells that paths may cross. Default: all.
        """
        from scipy.sparse import coo_matrix

        values = colours.double().cpu().numpy()
        height, width = values.shape[1:]
        number = np.arange(height * width).reshape(height, width)
        free = np.full(height * width, inside is None)
        if inside is not None:
            free[inside] = True
        step = DIAGONAL / math.hypot(height, width)
        starts, ends, lengths = [], [], []
        for dy, dx in OFFSETS:
            left, right = max(0, -dx), width - max(0, dx)
            here = (slice(0, height - dy), slice(left, right))
            there = (slice(dy, height), slice(left + dx, right + dx))
            both = (free[number[here]] & free[number[there]]).ravel()
            change = np.sqrt(np.square(values[(slice(None), *here)] - values[(slice(None), *there)]).sum(0)).ravel()
            starts.append(number[here].ravel()[both])
            ends.append(number[there].ravel()[both])
            lengths.append(change[both] + step * math.hypot(dy, dx))
        pairs = (np.concatenate(starts + ends), np.concatenate(ends + starts))
        matrix = coo_matrix((np.concatenate(lengths + lengths), pairs), shape=(number.size, number.size)).tocsr()
        return cls(matrix, (height, width))

    def distances(self, cells: np.ndarray) -> np.ndarray:
        """Compute the distance from each cell to the nearest of some cells, given by number: float64 (h, w), perhaps inf."""
        from scipy.sparse.csgraph import dijkstra

        return dijkstra(self.matrix, indices=cells, min_only=True).reshape(self.size)


def cells_of(mask: Tensor, stride: int) -> np.ndarray:
    """Return the numbers of the cells that contain a pixel of a mask (H, W), rising: int64."""
    rows, columns = mask.nonzero(as_tuple=True)
    width = -(-mask.shape[1] // stride)
    return (rows // stride * width + columns // stride).unique().cpu().numpy()
