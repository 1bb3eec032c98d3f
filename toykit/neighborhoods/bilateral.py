"""Sums over all pairs of points, out_i = sum_{j != i} exp(-||f_i - f_j||^2 / 2) v_j: brute force, and a bilateral grid.

The grid (`BilateralGrid`) is a product of three steps, S B S^T: splat the values on the nodes of a grid in the space of
features (hat functions, 32 nodes a point in five dimensions), blur along each axis, slice with the splat's own adjoint.
So the approximation is symmetric, as the weights are. Four choices make it accurate on a coarse grid, cells of 0.7
standard deviations:

- the blur is narrower than the Gaussian by the variance that splat and slice add;
- each point is scaled so that its weight with itself is 1 exactly: what is left of the error cancels between near points;
- two grids, shifted by half a cell along all axes, are averaged: where one is too steep the other is too flat;
- nothing is negative, neither hats nor blur: no pair's weight is below zero, so that no loss made of them is.

Measured on 64 x 64 photos (seven, resized and cropped), relative error of the filtered values in the 2-norm: at most 0.6%
with the bandwidths 100 / 9 and 50 / 15, mean 0.5%. One grid of quadratic splines with cells of 0.8 had 0.8% with 108 nodes
a point instead of 64; one grid of hats needs cells of 0.4 for that, up to eight times as many nodes in all. Without the
second choice the single grids erred by up to 2-11%. A permutohedral lattice was not tried: its kernel is fixed, and a cell is a
standard deviation wide.

Three choices make it quick. Splat and slice are sums of weighted rows, torch's `embedding_bag`, over lists made once: of
nodes by point, and of points by node. Few cells of the box of colours hold a point, a quarter on the photos: only these are
kept and blurred in space. And the blur in colours, which does cross the empty ones, takes a few columns at a time, so that
the box stays in the processor's cache. Colours should come in their own principal axes, where a photo's box is small.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

#: Side of a cell in standard deviations; shifts of the two grids in cells.
CELL, SHIFTS = 0.7, (0.0, 0.5)
#: Nodes of a grid at most, with those not in use; values on those in use at one time (classes come in groups).
MOST_NODES, MOST_VALUES = 2**27, 2**26
#: Values of the box of colours at one time: what fits in a cache, or what keeps a GPU busy.
BOX_VALUES = {"cpu": 2**20, "cuda": 2**26}


class BruteForce:
    """The sums themselves, O(N^2), in blocks of rows; all weights are kept where they are one block."""

    def __init__(self, features: Tensor, block: int = 2**24):
        """features: (D, N), in standard deviations. block: pairs at one time."""
        self.points, self.dtype, self.block = features.T.contiguous(), features.dtype, block
        self.kept = self.weights(self.points, self.points) if len(self.points) ** 2 <= block else None

    def __call__(self, values: Tensor) -> Tensor:
        """values: (N, K). Returns (N, K)."""
        if self.kept is not None:
            return self.kept @ values - values
        says = values.any(1)  # the others add nothing: one pixel's affinities cost O(N)
        speakers, words = (self.points, values) if says.all() else (self.points[says], values[says])
        return torch.cat([self.weights(some, speakers) @ words for some in self.blocks(len(speakers))]) - values

    def blocks(self, others: int) -> tuple[Tensor, ...]:
        """The points (N, D) in parts that may meet so many others at one time."""
        return self.points.split(max(1, self.block // max(1, others)))

    @staticmethod
    def weights(some: Tensor, others: Tensor) -> Tensor:
        """Of points (n, D) with others (m, D): (n, m)."""
        distances = torch.cdist(some, others, compute_mode="donot_use_mm_for_euclid_dist")
        return distances.square_().mul_(-0.5).exp_()


class BilateralGrid:
    """The sums by splat, blur, slice; on photos within 1% of `BruteForce`. Of about 1 kB a point; it filters any classes."""

    def __init__(self, features: Tensor, places: int = 2):
        """features: (D, N), in standard deviations. places: so many axes, the first, are few cells wide and kept whole.

        Raises: ValueError if the features' box has more than `MOST_NODES` nodes.
        """
        self.dtype = features.dtype
        cells = (features - features.amin(1, keepdim=True)) / CELL
        self.grids = [_Grid(cells + shift, places) for shift in SHIFTS]

    def __call__(self, values: Tensor) -> Tensor:
        """values: (N, K). Returns (N, K)."""
        group = max(1, MOST_VALUES // max(grid.nodes for grid in self.grids))
        return torch.cat([self._filter(some.contiguous()) for some in values.split(group, 1)], 1)

    def _filter(self, values: Tensor) -> Tensor:
        out = -values
        for grid in self.grids:
            out.add_(grid(values), alpha=1 / len(self.grids))
        return out


class _Grid:
    """S B S^T of one grid, for points (D, N) in cells from its lowest node, >= 0. A node's number: its cell, then its place."""

    def __init__(self, points: Tensor, places: int):
        corner = points.floor()
        x = points - corner
        sizes = [int(last) + 2 for last in corner.amax(1).tolist()]
        self.box, area = math.prod(sizes[places:]), math.prod(sizes[:places])
        count = max(self.box * area, max(sizes) ** 2)  # all colours may lie on a line, whose blur is a matrix
        if count > MOST_NODES:
            raise ValueError(
                f"the dense neighbourhood's grid would have {count:.1e} nodes, at most {MOST_NODES:.1e} are "
                "possible; take larger bandwidths, or exact=True on a small image"
            )
        variance = 1 - CELL**2 / 3  # splat and slice add CELL^2 / 6 each
        distances = torch.arange(max(sizes), dtype=points.dtype, device=points.device) * CELL
        blur = (-(distances[:, None] - distances).square() / (2 * variance)).exp() / math.sqrt(variance)
        self.places, self.colors = (
            [blur[:size, :size].contiguous() for size in some] for some in (sizes[:places], sizes[places:])
        )
        # a point's weight with itself is a product over axes of a quadratic form in its hats 1 - x and x
        itself = (blur[0, 0] * ((1 - x).square() + x.square()) + 2 * blur[0, 1] * x * (1 - x)).prod(0)

        colors, color_hats = _corners(corner[places:].long(), x[places:], sizes[places:])
        spots, spot_hats = _corners(corner[:places].long(), x[:places], sizes[:places])
        used = torch.zeros(self.box, dtype=torch.bool, device=x.device)
        used[colors.flatten()] = True
        #: (C,), those cells of the box of colours that hold a point's node, in order
        self.cells = used.nonzero()[:, 0]
        self.nodes = len(self.cells) * area
        compact = used.cumsum(0).sub_(1)[colors] * area
        #: (N, 2^D), the nodes of each point, and the values of the hats there, scaled
        self.nodes_of = (compact.int()[:, :, None] + spots.int()[:, None]).flatten(1)
        self.hats = (color_hats[:, :, None] * (spot_hats * itself.rsqrt()[:, None])[:, None]).flatten(1)
        self._transpose()

    def _transpose(self) -> None:
        """The points of each node and their hats, in order of the nodes, and where each node's begin.

        Points in one cell share their nodes: sorting the cells is quicker than sorting the points' nodes.
        """
        first, order = self.nodes_of[:, 0].sort(stable=True)
        count = first.unique_consecutive(return_counts=True)[1]
        begin = count.cumsum(0) - count
        # a run: the points of a cell, at one of its corners
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
        """values: (N, K). Returns (N, K)."""
        splat = embedding_bag(self.points_of, values, self.starts, mode="sum", per_sample_weights=self.hats_by_node)
        return embedding_bag(self.nodes_of, self._blur(splat), mode="sum", per_sample_weights=self.hats)

    def _blur(self, values: Tensor) -> Tensor:
        """Of values (nodes, K): along the axes of place in each cell by itself, then along those of colour, through the box."""
        shape = values.shape
        values = _along(self.places, values, shape[1]).view(len(self.cells), -1)
        columns = max(1, BOX_VALUES.get(values.device.type, BOX_VALUES["cuda"]) // self.box)
        for some in values.split(columns, 1):
            box = values.new_zeros(self.box, some.shape[1])
            box[self.cells] = some
            some.copy_(_along(self.colors, box, some.shape[1]).view(box.shape)[self.cells])
        return values.view(shape)


def _corners(corner: Tensor, x: Tensor, sizes: list[int]) -> tuple[Tensor, Tensor]:
    """The nodes of the points' cells along some axes: their numbers, the last axis running first, and hats, (N, 2^axes)."""
    nodes, hats = corner.new_zeros(corner.shape[1], 1), x.new_ones(x.shape[1], 1)
    for low, along, size in zip(corner, x, sizes, strict=True):
        nodes = (nodes[:, :, None] * size + torch.stack([low, low + 1], 1)[:, None]).flatten(1)
        hats = (hats[:, :, None] * torch.stack([1 - along, along], 1)[:, None]).flatten(1)
    return nodes, hats


def _along(blurs: list[Tensor], values: Tensor, width: int) -> Tensor:
    """Blur rows of so many values along axes, the last running first."""
    for axis, blur in enumerate(blurs):
        stride = math.prod(len(other) for other in blurs[axis + 1 :])
        values = blur @ values.view(-1, len(blur), stride * width)
    return values
