"""Tiles, views and rows against whole predictions and an independent interpolation."""

import dataclasses
import itertools
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from lightning_fabric import Fabric
from scipy.ndimage import map_coordinates

from toykit.datasets.sample import Sample
from toykit.models import MULTIPLE
from toykit.simplex import most_likely
from toykit.training import evaluation
from toykit.training import predict as module
from toykit.training.predict import Views, predict, predict_mask, predict_rows, tile_spans


class Local(torch.nn.Module):
    """Three classes on cells of 4 pixels; a cell's logits depend on its own pixels, so that tiles change nothing."""

    stride = 4

    def __init__(self):
        super().__init__()
        self.weight = torch.randn(3, 3, 1, 1, generator=torch.Generator().manual_seed(0)) / 50
        self.seen = []

    def forward(self, image, maps=None, coarse=False):
        height, width = image.shape[-2:]
        self.seen.append((height, width))
        image = F.pad(image, (0, -width % MULTIPLE, 0, -height % MULTIPLE))
        logits = F.conv2d(F.avg_pool2d(image, 4) - 127.5, self.weight)
        if coarse:
            return logits[..., : -(-height // 4), : -(-width // 4)]
        pixels = F.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=False)
        return pixels[..., :height, :width]


@pytest.fixture
def network():
    return Local().eval()


def photo(height, width):
    return torch.randint(0, 256, (1, 3, height, width), generator=torch.Generator().manual_seed(height)).float()


def whole(network, image, views):
    return torch.cat([scores for _, scores in predict_rows(network, image, views)], 1)


@given(st.integers(1, 3000), st.integers(8, 40))
def test_tiles_cover_a_length_and_overlap_equally(length, sixteenths):
    tile = 16 * sixteenths
    overlap = 16 * (tile // 128)
    spans = tile_spans(length, tile)
    assert spans[0][0] == 0
    assert spans[-1][1] == length
    assert all(start % 16 == 0 and 0 < end - start <= tile for start, end in spans)
    for (_, end), (start, _) in itertools.pairwise(spans):
        assert end - start == overlap
    if len(spans) > 1:
        assert spans[-1][1] - spans[-1][0] > overlap
        assert len(spans) <= -(-(length - overlap) // (tile - overlap))


@pytest.mark.parametrize("size", [(160, 368), (400, 96), (128, 128)])
def test_tiles_are_the_whole_photo(network, size):
    image = photo(*size)
    expected = predict(network, image)[0]
    network.seen.clear()
    assert torch.allclose(whole(network, image, Views(tile=128)), expected, atol=1e-5)
    assert all(max(seen) <= 128 for seen in network.seen)
    assert (len(network.seen) > 1) == (size != (128, 128))
    assert torch.equal(predict_mask(network, image, Views(tile=128)), most_likely(expected))


def test_tiles_of_any_size_are_blended_without_seams(network):
    """A constant photo has constant logits, whatever the tiles; at the far edges of other sizes lies padding."""
    image = torch.full((1, 3, 301, 275), 90.0)
    scores = whole(network, image, Views(tile=128))
    assert scores.shape == (3, 301, 275)
    inside = scores[:, :290, :270]
    assert torch.allclose(inside, inside[:, :1, :1].expand_as(inside), atol=1e-4)


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("factors", [(1.0,), (0.5, 1.5)])
def test_views_are_averaged(network, flip, factors):
    image, (height, width) = photo(48, 64), (48, 64)
    views = Views(0.8, factors, flip)
    expected = []
    for factor in factors:
        size = [round(0.8 * factor * side) for side in (height, width)]
        seen = F.interpolate(image, size, mode="bilinear", align_corners=False, antialias=0.8 * factor < 1)
        for mirrored in (False, True)[: 1 + flip]:
            cells = network(seen.flip(3) if mirrored else seen, coarse=True)[0].double().numpy()
            places = np.meshgrid(
                *((np.arange(n) + 0.5) * (m / n) / 4 - 0.5 for n, m in zip((height, width), size, strict=True)),
                indexing="ij",
            )
            logits = np.stack([map_coordinates(own, places, order=1, mode="nearest") for own in cells])
            p = np.exp(logits - logits.max(0))
            p /= p.sum(0)
            expected.append(p[..., ::-1] if mirrored else p)
    if len(expected) > 1:
        assert torch.allclose(whole(network, image, views).double(), torch.tensor(np.mean(expected, 0)), atol=1e-4)
    else:
        assert torch.equal(whole(network, image, views), predict(network, image, 0.8)[0])


def test_a_large_photo_seen_small_is_interpolated_some_rows_at_a_time(network, monkeypatch):
    image, views = photo(200, 240), Views(0.4, tile=128)
    monkeypatch.setattr(module, "BAND", 3 * 240 * 16)
    parts = list(predict_rows(network, image, views))
    assert max(scores.shape[1] for _, scores in parts) == 16
    scores = torch.cat([scores for _, scores in parts], 1)
    expected = predict(network, image, 0.4)[0]
    assert torch.allclose(scores, expected, atol=1e-5)
    assert network.seen == [(80, 96)] * 2  # the view at once, as before
    differ = predict_mask(network, image, views) != most_likely(expected)
    best = expected.topk(2, 0).values
    assert (best[0] - best[1])[differ].numel() == 0 or (best[0] - best[1])[differ].max() < 1e-5


def test_an_evaluation_has_the_same_tiles(network, monkeypatch):
    sample = Sample(
        "tiled", photo(160, 240)[0].permute(1, 2, 0).byte().numpy(), np.zeros((160, 240), np.uint8), ("a", "b", "c")
    )
    mask = predict_mask(network, sample.tensors()[0], Views(tile=128))
    assert len(mask.unique()) == 3
    sample = dataclasses.replace(sample, mask=mask.byte().numpy())
    monkeypatch.setattr(evaluation, "Views", partial(Views, tile=128))
    network.seen.clear()
    counts = evaluation.evaluate(Fabric(accelerator="cpu", devices=1), network, [sample], 3).sum(0)
    assert torch.equal(counts.diag(), mask.flatten().bincount())
    assert len(network.seen) > 1


def test_rows_do_not_depend_on_how_many_there_are_at_once(network, monkeypatch):
    image, views = photo(100, 90), Views(flip=True)
    expected = whole(network, image, views)
    monkeypatch.setattr(module, "BAND", 3 * 90 * 7)
    parts = list(predict_rows(network, image, views))
    assert [first for first, _ in parts] == list(range(0, 100, 7))
    assert torch.allclose(torch.cat([scores for _, scores in parts], 1), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"tile": 100}, "tile: expected a whole number, at least 128"),
        ({"tile": 136}, "tile: expected a multiple of 16, got 136"),
        ({"scale": 0}, "scale: expected a number"),
        ({"factors": ()}, "factors: expected different numbers"),
        ({"factors": (1.0, 1.0)}, "factors: expected different numbers"),
        ({"factors": (1.0, -1.0)}, "factors: expected a number"),
    ],
)
def test_views_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Views(**arguments)
