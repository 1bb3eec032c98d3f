"""Sums over all pairs of points, out_i = sum_{j != i} exp(-||f_i - f_j||^2 / 2) v_j: brute force, and a bilateral grid.

The grid (`BilateralGrid`) is a product of three steps, S B S^T: splat the values on the nodes of a grid in the space of
features (hat functions, 32 nodes per point in five dimensions), blur along each axis, slice with the splat's adjoint.
So the approximation is symmetric, as the weights are. Four choices make it accurate on a coarse grid, with cells of 0.7
standard deviations:

- the blur is narrower than the Gaussian by the variance that splat and slice add;
- each point is scaled so that its weight with itself is exactly 1: the remaining error cancels between near points;
- two grids, half a cell apart along all axes, are averaged: where one is too steep the other is too flat;
- neither hats nor blur are negative: no pair has a negative weight, so no loss made of the weights is negative.

Measured on 64 x 64 photos (seven, resized and cropped), relative error of the filtered values in the 2-norm: at most 0.6%
with the bandwidths 100 / 9 and 50 / 15, mean 0.5%. One grid of quadratic splines with cells of 0.8 had 0.8% with 108 nodes
per point instead of 64; one grid of hats needs cells of 0.4 for that, up to eight times as many nodes in all. Without the
second choice the single grids erred by up to 2-11%. A permutohedral lattice was not tried: its kernel is fixed, and its cells
are a standard deviation wide.

The blur is cut off at `TAPS` cells. In 14 cases (photos of 64 x 64 to 320 x 240 pixels, bandwidths 30 / 20, 50 / 15, 60 / 5
and 100 / 9; five classes, compared at 600 pixels) the error of the worst class was 0.5-0.7%, and with 20 cells the
same to 0.002%. Cells of 0.8 had up to 1.1%.

On the CPU, `toykit.neighborhoods.compiled_grids` filters. Elsewhere, and without numba, torch does (`TorchGrid`).
There, splat and slice are sums of weighted rows, torch's `embedding_bag`, over lists built once: of nodes by point, and of
points by node. Few cells of the box of colours contain a point, a quarter on the photos: only these are kept, and blurred in
space. The blur in colours crosses the empty cells, too, and takes a few columns at a time, so that the box stays in the cache.
Colours should be given along their own principal axes, where a photo's box is small.
"""

import importlib.util
import math
from types import ModuleType

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from toykit.neighborhoods.lattice import CELL, TAPS, Lattice

#: Shifts of the two grids in cells.
SHIFTS = (0.0, 0.5)
#: The most values on used nodes at one time: `TorchGrid` takes classes in groups.
MOST_VALUES = 2**26
#: Values of the box of colours at one time: as many as fit in a CPU's cache, or keep a GPU busy.
BOX_VALUES = {"cpu": 2**20, "cuda": 2**26}


class BruteForce:
    """The sums themselves, O(N^2), in blocks of rows. The weights are kept if they fit in one block.

    Parameters
    ----------
    features : Tensor, float (D, N)
        Points, in standard deviations.
    block : int, default 2**24
        The most pairs at one time.
    """

    def __init__(self, features: Tensor, block: int = 2**24):
        self.points, self.dtype, self.block = features.T.contiguous(), features.dtype, block
        self.kept = self.weights(self.points, self.points) if len(self.points) ** 2 <= block else None

    def __call__(self, values: Tensor) -> Tensor:
        """Sum values (N, K) over all other points: (N, K)."""
        if self.kept is not None:
            return self.kept @ values - values
        used = values.any(1)  # the other points add nothing: the affinities of one pixel cost O(N)
        points, values_used = (self.points, values) if used.all() else (self.points[used], values[used])
        return torch.cat([self.weights(some, points) @ values_used for some in self.blocks(len(points))]) - values

    def blocks(self, others: int) -> tuple[Tensor, ...]:
        """Split the points (N, D) in parts, each with at most `block` pairs with `others` points."""
        return self.points.split(max(1, self.block // max(1, others)))

    @staticmethod
    def weights(some: Tensor, others: Tensor) -> Tensor:
        """Compute the weights (n, m) of points (n, D) with others (m, D)."""
        distances = torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
        return distances.square_().mul_(-0.5).exp_()


class BilateralGrid:
    """The sums by splat, blur and slice; on photos within 1% of `BruteForce`.

    On the CPU, float32 and float64 are filtered by compiled loops where numba is installed, otherwise by torch.

    Parameters
    ----------
    features : Tensor, float (D, N)
        Points, in standard deviations.
    spatial_axes : int, default 2
        The first `spatial_axes` axes are few cells wide and stored densely.

    Raises
    ------
    ValueError
        If the features' box has more than `MOST_NODES` nodes.
    """

    def __init__(self, features: Tensor, spatial_axes: int = 2):
        self.dtype = features.dtype
        cells = (features - features.amin(1, keepdim=True)) / CELL
        lattices = [Lattice(cells + shift, spatial_axes) for shift in SHIFTS]
        compiled = (len(features), spatial_axes) == (5, 2) and _can_be_compiled(features)
        self.grids = _compiled().CompiledGrids(lattices) if compiled else [TorchGrid(lattice) for lattice in lattices]

    def __call__(self, values: Tensor) -> Tensor:
        """Sum values (N, K) over all other points: (N, K). K may differ between calls."""
        if not isinstance(self.grids, list):
            return self.grids(values.T.to(self.dtype).contiguous()).T.to(values.dtype)
        group = max(1, MOST_VALUES // max(grid.nodes for grid in self.grids))
        return torch.cat([self._filter(some.contiguous()) for some in values.split(group, 1)], 1)

    def _filter(self, values: Tensor) -> Tensor:
        """Average the grids' sums (N, K), less each point's own value."""
        out = -values
        for grid in self.grids:
            out.add_(grid(values), alpha=1 / len(self.grids))
        return out


class TorchGrid:
    """S B S^T of one grid, for any device. Uses about 500 bytes per point.

    The number of a node counts cells of the box of colours, and within each of them the nodes in space.

    Parameters
    ----------
    lattice : Lattice
    """

    def __init__(self, lattice: Lattice):
        axes, x, sizes = lattice.spatial_axes, lattice.x, lattice.sizes
        self.box, area = math.prod(sizes[axes:]), math.prod(sizes[:axes])
        every = torch.arange(max(sizes), device=x.device)
        taps = torch.cat([lattice.taps, lattice.taps.new_zeros(1)])
        blur = taps[(every[:, None] - every).abs().clamp_max(TAPS + 1)]
        blurs = [blur[:size, :size].contiguous() for size in sizes]
        self.spatial_blurs, self.color_blurs = blurs[:axes], blurs[axes:]
        colors, color_hats = _corners(lattice.corner[axes:].long(), x[axes:], sizes[axes:])
        spots, spot_hats = _corners(lattice.corner[:axes].long(), x[:axes], sizes[:axes])
        used = torch.zeros(self.box, dtype=torch.bool, device=x.device)
        used[colors.flatten()] = True
        #: (C,), the cells of the box of colours that contain a node of a point, in order
        self.cells = used.nonzero()[:, 0]
        self.nodes = len(self.cells) * area
        compact = used.cumsum(0).sub_(1)[colors] * area
        #: (N, 2^D), the nodes of each point, and the values of the hats there, scaled
        self.nodes_of = (compact.int()[:, :, None] + spots.int()[:, None]).flatten(1)
        self.hats = (color_hats[:, :, None] * (spot_hats * lattice.scale[:, None])[:, None]).flatten(1)
        self._transpose()

    def _transpose(self) -> None:
        """List the points of each node and their hats, in order of the nodes, and where each node's list starts.

        Points in one cell share their nodes: sorting the cells is faster than sorting the points' nodes.
        """
        first, order = self.nodes_of[:, 0].sort(stable=True)
        count = first.unique_consecutive(return_counts=True)[1]
        begin = count.cumsum(0) - count
        # a run is the points of a cell, at one of its corners
        nodes, runs = self.nodes_of[order[begin]].flatten().sort(stable=True)
        cell, corner = runs // self.hats.shape[1], runs % self.hats.shape[1]
        count, end = count[cell], count[cell].cumsum(0)
        run = torch.repeat_interleave(count, output_size=self.hats.numel())
        place = torch.arange(len(run), dtype=torch.int32, device=run.device).add_(
            (begin[cell] + count - end).int()[run]
        )
        entries = (order.int() * self.hats.shape[1])[place].add_(corner.int()[run])
        del run  # the longest of the lists
        self.points_of, self.hats_by_node = entries // self.hats.shape[1], self.hats.flatten()[entries]
        every = torch.arange(self.nodes, dtype=torch.int32, device=first.device)
        self.starts = torch.cat([end.new_zeros(1), end])[torch.searchsorted(nodes, every)].int()

    def __call__(self, values: Tensor) -> Tensor:
        """Sum values (N, K) over all points, each with itself included: (N, K)."""
        splat = embedding_bag(self.points_of, values, self.starts, mode="sum", per_sample_weights=self.hats_by_node)
        return embedding_bag(self.nodes_of, self._blur(splat), mode="sum", per_sample_weights=self.hats)

    def _blur(self, values: Tensor) -> Tensor:
        """Blur values (nodes, K) along the spatial axes in each cell of colours, then along the others through the box."""
        shape = values.shape
        values = _along(self.spatial_blurs, values, shape[1]).view(len(self.cells), -1)
        columns = max(1, BOX_VALUES.get(values.device.type, BOX_VALUES["cuda"]) // self.box)
        for some in values.split(columns, 1):
            box = values.new_zeros(self.box, some.shape[1])
            box[self.cells] = some
            some.copy_(_along(self.color_blurs, box, some.shape[1]).view(box.shape)[self.cells])
        return values.view(shape)


def _corners(corner: Tensor, x: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
    """Number the nodes of the points' cells along some axes, the last axis fastest; return numbers and hats (N, 2^axes)."""
    nodes, hats = corner.new_zeros(corner.shape[1], 1), x.new_ones(x.shape[1], 1)
    for low, along, size in zip(corner, x, sizes, strict=True):
        nodes = (nodes[:, :, None] * size + torch.stack([low, low + 1], 1)[:, None]).flatten(1)
        hats = (hats[:, :, None] * torch.stack([1 - along, along], 1)[:, None]).flatten(1)
    return nodes, hats


def _along(blurs: list[Tensor], values: Tensor, width: int) -> Tensor:
    """Blur rows of `width` values along axes, the last axis fastest."""
    for axis, blur in enumerate(blurs):
        stride = math.prod(len(other) for other in blurs[axis + 1 :])
        values = blur @ values.view(-1, len(blur), stride * width)
    return values


def _can_be_compiled(features: Tensor) -> bool:
    """Report whether the compiled loops filter this device and type, and numba is installed."""
    plain = features.device.type == "cpu" and features.dtype in (torch.float32, torch.float64)
    return plain and importlib.util.find_spec("numba") is not None


def _compiled() -> ModuleType:
    """Return the module of grids with compiled loops."""
    from toykit.neighborhoods import compiled_grids

    return compiled_grids
