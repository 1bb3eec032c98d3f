"""Apply a network to whole photos: the one way in which evaluation, pictures and `toykit predict` do it.

A photo may be seen several times, at other scales and mirrored; then the probabilities of its views are averaged. A view of
more than `Views.tile` squared pixels is computed in overlapping tiles: the logits of their cells are joined by weights that
fall linearly to 0 across each overlap and sum to 1. Pixels are interpolated from the cells a few rows at a time, so that no
array of all classes at all pixels is needed.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from toykit._shared.arguments import check_flag, check_number, check_whole
from toykit.energy.cells import cell_size
from toykit.models import MULTIPLE
from toykit.simplex import most_likely

#: Side of the largest square that is computed at once, in pixels.
TILE = 2048
#: Least side: its overlap, an eighth, is then `MULTIPLE` pixels.
LEAST_TILE = 8 * MULTIPLE
#: The most values (class, row, column) that are interpolated at once.
BAND = 2**24

#: From photos to the maps of a frozen body.
Features = Callable[[Tensor], list[Tensor]]


@dataclass(frozen=True)
class Views:
    """How a network sees a photo.

    Parameters
    ----------
    scale : float, default 1
        The network sees the photo this many times as large. It classifies objects best at the size they had in training.
    factors : tuple of float, default (1.0,)
        Further factors of the scale; the probabilities of all views are averaged.
    flip : bool, default False
        See each view mirrored, too.
    tile : int, default `TILE`
        Views of more than tile x tile pixels are computed in tiles of at most this side; a multiple of 16, at least 128.

    Raises
    ------
    ValueError, TypeError
        For a value out of range, or of the wrong type.
    """

    scale: float = 1.0
    factors: tuple[float, ...] = (1.0,)
    flip: bool = False
    tile: int = TILE

    def __post_init__(self):
        check_number("scale", self.scale, "(0, inf)")
        if not self.factors or len(set(self.factors)) < len(self.factors):
            raise ValueError(f"factors: expected different numbers, at least one, got {self.factors}")
        for factor in self.factors:
            check_number("factors", factor, "(0, inf)")
        check_flag("flip", self.flip)
        check_whole("tile", self.tile, LEAST_TILE)
        if self.tile % MULTIPLE:
            raise ValueError(f"tile: expected a multiple of {MULTIPLE}, got {self.tile}")

    @property
    def count(self) -> int:
        """Number of views."""
        return len(self.factors) * (1 + self.flip)


@torch.no_grad()
def predict(network, image: Tensor, scale: float = 1.0, features: Features | None = None) -> Tensor:
    """Predict whole photos at once in evaluation mode; the network's mode is restored afterwards.

    Parameters
    ----------
    network : Network
    image : Tensor, shape (B, 3, H, W), in 0..255
    scale : float, default 1
        See `Views`.
    features : callable, optional
        For a network with a frozen body: `FeatureCache`, or `rounded_maps` of the network.

    Returns
    -------
    Tensor, shape (B, K, H, W)
        Logits.
    """
    was_training = network.training
    if was_training:
        network.eval()
    size = image.shape[-2:]
    seen = _resized(image, scale)
    logits = network(seen) if features is None else network(seen, features(seen))
    if was_training:
        network.train()
    return logits if scale == 1 else F.interpolate(logits, size, mode="bilinear", align_corners=False)


@torch.no_grad()
def predict_rows(
    network, image: Tensor, views: Views | None = None, features: Features | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Predict one photo, some rows at a time.

    Parameters
    ----------
    network : Network
        In evaluation mode.
    image : Tensor, shape (1, 3, H, W), in 0..255
    views : Views, optional
        Default: one view at scale 1.
    features : callable, optional
        See `predict`.

    Yields
    ------
    first, scores : int and Tensor, shape (K, rows, W)
        The first row, and its and the following rows' logits; with several views, the mean probabilities.
    """
    views = Views() if views is None else views
    height, width = image.shape[-2:]
    scale, most = views.scale * views.factors[0], views.tile**2
    at_once = views.count == 1 and _pixels((height, width), scale) <= most
    if at_once and height * width <= most:
        yield 0, predict(network, image, scale, features)[0]
        return
    if at_once:  # a large photo seen small: its pixels are interpolated from those of the view, not from cells
        logits = predict(network, _resized(image, scale), features=features)[0].float()
        seen = [(_Cells(logits, 1, (logits.shape[1], logits.shape[2]), (height, width)), False)]
    else:
        seen = [
            (
                _cell_logits(network, image.flip(3) if mirrored else image, views.scale * factor, views.tile, features),
                mirrored,
            )
            for factor in views.factors
            for mirrored in (False, True)[: 1 + views.flip]
        ]
    rows = max(1, BAND // (len(seen[0][0].logits) * width))
    for first in range(0, height, rows):
        last = min(first + rows, height)
        total = None
        for cells, mirrored in seen:
            scores = cells.rows(first, last)
            scores = scores if views.count == 1 else scores.softmax(0) / views.count
            scores = scores.flip(2) if mirrored else scores
            total = scores if total is None else total.add_(scores)
        assert total is not None
        yield first, total


def predict_mask(network, image: Tensor, views: Views | None = None, features: Features | None = None) -> Tensor:
    """Predict the most likely class at each pixel of one photo.

    Parameters
    ----------
    network, image, views, features
        See `predict_rows`.

    Returns
    -------
    Tensor, int64, shape (H, W)
    """
    return torch.cat([most_likely(scores) for _, scores in predict_rows(network, image, views, features)])


def tile_spans(length: int, tile: int) -> list[tuple[int, int]]:
    """Cut a length into equal tiles that overlap by an eighth of `tile`.

    Parameters
    ----------
    length : int, in pixels
    tile : int
        Largest length of a tile.

    Returns
    -------
    list of (int, int)
        Start and end of each tile; starts and overlaps are multiples of `MULTIPLE`. The last tile may be shorter,
        but is longer than an overlap.
    """
    if length <= tile:
        return [(0, length)]
    overlap = _overlap(tile)
    count = -(-(length - overlap) // (tile - overlap))
    side = -(-(length + (count - 1) * overlap) // (count * MULTIPLE)) * MULTIPLE
    return [(start, min(start + side, length)) for start in range(0, length - overlap, side - overlap)]


@dataclass(frozen=True)
class _Cells:
    """The logits of a view on the network's cells, (K, h, w), and what they are interpolated to.

    `seen` is the view's size in pixels, `stride` the side of a cell in them, `size` the photo's.
    """

    logits: Tensor
    stride: int
    seen: tuple[int, int]
    size: tuple[int, int]

    def rows(self, first: int, last: int) -> Tensor:
        """Interpolate bilinearly at the pixels of the photo's rows first..last-1: (K, last - first, W)."""
        low, high, share = self._places(0, first, last)
        band = self.logits[:, low].lerp(self.logits[:, high], share[:, None])
        low, high, share = self._places(1, 0, self.size[1])
        return band[..., low].lerp(band[..., high], share)

    def _places(self, axis: int, first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the two cells beside each pixel along an axis, and the second one's share in [0, 1]."""
        count = self.logits.shape[1 + axis]
        pixels = torch.arange(first, last, device=self.logits.device, dtype=torch.float64) + 0.5
        place = (pixels * (self.seen[axis] / self.size[axis]) / self.stride - 0.5).clamp(0, count - 1)
        low = place.long()
        return low, (low + 1).clamp_max(count - 1), (place - low).to(self.logits.dtype)


def _cell_logits(network, image: Tensor, scale: float, tile: int, features: Features | None) -> _Cells:
    """Compute the logits of a view on the network's cells, in tiles if it is large."""
    size, image = (image.shape[-2], image.shape[-1]), _resized(image, scale)
    seen = (image.shape[-2], image.shape[-1])
    stride = network.stride
    if seen[0] * seen[1] <= tile**2:
        return _Cells(_on_cells(network, image, features), stride, seen, size)
    joined = None
    spans = [tile_spans(length, tile) for length in seen]
    weights = [_weights(own, _overlap(tile), stride, image.device) for own in spans]
    for (top, bottom), by_row in zip(spans[0], weights[0], strict=True):
        for (left, right), by_column in zip(spans[1], weights[1], strict=True):
            part = _on_cells(network, image[..., top:bottom, left:right], features)
            if joined is None:
                joined = part.new_zeros(len(part), *cell_size(seen, stride))
            inside = joined[:, top // stride :, left // stride :][:, : part.shape[1], : part.shape[2]]
            inside += part * (by_row[:, None] * by_column)
    assert joined is not None
    return _Cells(joined, stride, seen, size)


def _on_cells(network, image: Tensor, features: Features | None) -> Tensor:
    """Return the network's logits on its cells, float32 (K, h, w)."""
    return network(image, None if features is None else features(image), True)[0].float()


def _weights(spans: list[tuple[int, int]], overlap: int, stride: int, device: torch.device) -> list[Tensor]:
    """Return the weights of each tile's cells along an axis; where tiles overlap, they sum to 1."""
    ramp = (torch.arange(overlap // stride, device=device) + 0.5) / (overlap // stride)
    weights = [torch.ones(-(-(end - start) // stride), device=device) for start, end in spans]
    for before, after in itertools.pairwise(weights):
        before[-len(ramp) :] = 1 - ramp
        after[: len(ramp)] = ramp
    return weights


def _overlap(tile: int) -> int:
    """Return the overlap of tiles in pixels: an eighth of their side, as a multiple of `MULTIPLE`."""
    return tile // (8 * MULTIPLE) * MULTIPLE


def _resized(image: Tensor, scale: float) -> Tensor:
    """Return the photos as the network sees them."""
    if scale == 1:
        return image
    size = [max(1, round(scale * length)) for length in image.shape[-2:]]
    return F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=scale < 1)


def _pixels(size: tuple[int, int], scale: float) -> int:
    """Return the number of pixels of a view."""
    return max(1, round(scale * size[0])) * max(1, round(scale * size[1]))
