"""The grid in four colours: the layout in which the fast solver holds a sub-problem.

Pixels are split by the parity of their row and column into four quarters. No pixel is a neighbour of another of its own
quarter, neither among 4 nor among 8 neighbours. A quarter can therefore be updated all at once, in place, given the other
three: block Gauss-Seidel. The neighbour (dy, dx) away from quarter (r, c) lies in quarter (r + dy, c + dx) mod 2, shifted by
at most one. So each quarter has a border of one pixel: zeros, without edges.

    labels   (B, 2, 2, h + 2, K, w + 2)    y, border included; quarter [:, r, c] holds the pixels (2 i + r, 2 j + c)
    target   (B, 2, 2, h, K, w)            sigma; ln sigma where the cross-entropy is CE
    weights  (B, 2, 2, D, h, w)            lam w_ij to the neighbour at each of D = 4 or 8 directed offsets
    free     (B, 2, 2, h, w)               1 for unlabelled pixels that the solver may move, else 0

Classes lie between rows and columns: a row of one class is contiguous, and one row of all classes fits a CPU's cache.
Edges between two seeds have weight 0 here: they are the constant of `Subproblem.constant`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.neighborhoods import GridEdges
from toykit.simplex import extended_log


@dataclass(frozen=True)
class FourColourGrid:
    """A sub-problem in the layout above.

    Attributes
    ----------
    labels, target, weights, free : Tensor
        As above.
    offsets : tuple of (int, int)
        The D directed (dy, dx).
    size : tuple of int
        Height and width of each image.
    images : int, default 1
        Number of images side by side in each row, see `side_by_side`; 1 in the layout above.
    notes : dict
        For a kernel to keep what it knows about the labels. Shared with copies that `dataclasses.replace` makes, so a note must
        say of which labels it is.
    """

    labels: Tensor
    target: Tensor
    weights: Tensor
    free: Tensor
    offsets: tuple[tuple[int, int], ...]
    size: tuple[int, int]
    images: int = 1
    notes: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def __getitem__(self, images) -> "FourColourGrid":
        """Return the sub-problem of some images (a slice or index tensor; a slice shares memory)."""
        return FourColourGrid(
            self.labels[images], self.target[images], self.weights[images], self.free[images], self.offsets, self.size
        )

    def neighbor(self, row: int, column: int, offset: tuple[int, int]) -> Tensor:
        """Return the labels (B, h, K, w) of the pixels `offset` away from those of quarter (row, column); a view."""
        (down, r), (right, c) = divmod(row + offset[0], 2), divmod(column + offset[1], 2)
        height, width = self.free.shape[-2:]
        rows, columns = slice(1 + down, 1 + down + height), slice(1 + right, 1 + right + width)
        return self.labels[:, r, c, rows, :, columns]

    def blocks(self) -> Iterator["QuarterBlock"]:
        """Iterate over the quarters, each a `toykit.solvers.layouts.blocks.Block`."""
        for row in (0, 1):
            for column in (0, 1):
                yield QuarterBlock(self, row, column)

    def side_by_side(self) -> "FourColourGrid":
        """Return the B images as one: each row holds that row of all images, one after another, without edges between them.

        Long rows suit the CPU's vector instructions: small images are solved about twice as fast as one by one.
        """
        batch, width = self.target.shape[0], self.target.shape[-1]
        labels = self.labels.new_zeros(1, *self.labels.shape[1:-1], batch * width + 2)
        labels[..., 1:-1] = _in_a_row(self.labels[..., 1:-1])
        target, weights, free = map(_in_a_row, (self.target, self.weights, self.free))
        return FourColourGrid(labels, target, weights, free, self.offsets, self.size, batch)

    def at_pixels(self, x: Tensor) -> Tensor:
        """Return numbers per image (B,), shaped to multiply `free`."""
        if self.images == 1:
            return x.view(-1, 1, 1, 1, 1)
        return x.repeat_interleave(self.free.shape[-1] // self.images)

    def _inner(self) -> Tensor:
        """Return the labels (B, 2, 2, h, K, w) without the border; a view."""
        inner = self.labels[:, :, :, 1:-1, :, 1:-1]
        return inner if self.images == 1 else inner[0].unflatten(-1, (self.images, -1)).movedim(-2, 0)

    def restore(self, labels: Tensor, images: Tensor) -> None:
        """Replace the labels of some images, bool (B,), by those of others (B, K, H, W)."""
        inner = self._inner()
        for image in images.nonzero()[:, 0].tolist():
            inner[image] = _quarters(labels[image : image + 1])[0]

    def unpack(self) -> Tensor:
        """Return a copy of the labels (B, K, H, W)."""
        inner = self._inner()
        whole = inner.new_empty(len(inner), inner.shape[4], *self.size)
        for row, column in product((0, 1), (0, 1)):
            pixels = whole[:, :, row::2, column::2]
            pixels.copy_(inner[:, row, column].transpose(1, 2)[..., : pixels.shape[2], : pixels.shape[3]])
        return whole


class QuarterBlock:
    """A `toykit.solvers.layouts.blocks.Block`: views of one quarter and its neighbours; numbers per edge are (B, D, h, w)."""

    def __init__(self, x: FourColourGrid, row: int, column: int):
        self.labels, self.target = x.neighbor(row, column, (0, 0)), x.target[:, row, column]
        self.weights, self.free = x.weights[:, row, column], x.free[:, row, column]
        self.neighbors = [x.neighbor(row, column, offset) for offset in x.offsets]

    def neighbors_impurity(self) -> Tensor:
        return torch.stack([(q * (1 - q)).sum(2) for q in self.neighbors], 1)

    def products(self, y: Tensor) -> Tensor:
        return torch.stack([(y * q).sum(2) for q in self.neighbors], 1)

    def spread(self, x: Tensor) -> Tensor:
        return x[:, None]

    def total(self, x: Tensor) -> Tensor:
        return x.sum(1)

    def pull(self, x: Tensor) -> Tensor:
        out = torch.zeros_like(self.labels)
        for number, q in zip(x.unbind(1), self.neighbors, strict=True):
            out += number[:, :, None] * q
        return out

    def move(self, labels: Tensor) -> None:
        self.labels.copy_(labels)


def pack(problem: Subproblem, start: Tensor, lam: float | None = None) -> FourColourGrid:
    """Return a sub-problem in this layout.

    Parameters
    ----------
    problem : Subproblem
        Of B images, on the edges of a grid.
    start : Tensor, shape (B, K, H, W)
        Labels to start from.
    lam : float, optional
        Weight of the pairwise term; default: the energy's.

    Raises
    ------
    TypeError
        For edges other than a grid's.
    """
    energy, edges, sigma = problem.energy, problem.edges, problem.sigma
    if not isinstance(edges, GridEdges):
        raise TypeError(f"expected the edges of a grid, got {type(edges).__name__}")
    inner = _quarters(start)
    _, _, _, h, classes, w = inner.shape
    labels = start.new_zeros(len(start), 2, 2, h + 2, classes, w + 2)
    labels[:, :, :, 1:-1, :, 1:-1] = inner
    del start, inner  # of a large photo every copy counts
    target = extended_log(sigma) if energy.cross_entropy == "CE" else sigma
    lam = energy.lam if lam is None else lam
    batch, _, height, width = sigma.shape
    offsets = tuple((sign * dy, sign * dx) for dy, dx in edges.offsets for sign in (1, -1))
    weights = sigma.new_zeros(batch, 2, 2, len(offsets), h, w)
    for n, (p, q, weight) in enumerate(edges.pairs(problem.is_seed[:, None])):
        _spread((lam * weight).masked_fill_((p & q)[:, 0], 0), edges.offsets[n], weights[:, :, :, 2 * n : 2 * n + 2])
    return FourColourGrid(
        labels,
        _quarters(target).contiguous(),
        weights,
        _quarters(problem.unlabelled[:, None].to(sigma.dtype))[:, :, :, :, 0].contiguous(),
        offsets,
        (height, width),
    )


def _spread(weight: Tensor, offset: tuple[int, int], out: Tensor) -> None:
    """Put the weights of one offset, as in `GridEdges`, at both ends of each edge: out (B, 2, 2, 2, h, w), zeros before."""
    dy, dx = offset
    for end, (top, left) in enumerate(((0, max(0, -dx)), (dy, max(0, dx)))):
        for row, column in product((0, 1), (0, 1)):
            i, j = (top - row + 1) // 2, (left - column + 1) // 2  # the first pixel with such an edge, in its quarter
            part = weight[:, 2 * i + row - top :: 2, 2 * j + column - left :: 2]
            out[:, row, column, end, i : i + part.shape[1], j : j + part.shape[2]] = part


def _in_a_row(x: Tensor) -> Tensor:
    """Return (B, ..., w) as (1, ..., B w)."""
    return x.movedim(0, -2).flatten(-2)[None].contiguous()


def _quarters(x: Tensor) -> Tensor:
    """Return (B, C, H, W) as (B, 2, 2, h, C, w), odd sizes padded with zeros."""
    batch, channels, height, width = x.shape
    if height % 2 or width % 2:
        x = torch.nn.functional.pad(x, (0, width % 2, 0, height % 2))
    h, w = x.shape[2] // 2, x.shape[3] // 2
    return x.view(batch, channels, h, 2, w, 2).permute(0, 3, 5, 2, 1, 4)
