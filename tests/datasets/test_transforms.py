"""Joint augmentation: photo, seeds and mask stay aligned, padding is marked, one generator controls everything."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from toykit.datasets import Sample, augment


def coded(height, width, mask=True):
    """Return a photo whose red and green encode a pixel's place; its blue, seeds and mask encode the same class."""
    y, x = np.mgrid[:height, :width]
    blue = (x // 8 + y // 8) % 5
    image = np.stack([x, y, blue], axis=-1).astype(np.uint8)
    return Sample("x", image, blue.astype(np.uint8), tuple("abcde"), blue.astype(np.uint8) if mask else None)


@given(st.integers(8, 70), st.integers(8, 70), st.integers(1, 80), st.integers(0, 1000), st.booleans())
def test_shapes_padding_and_determinism(height, width, crop, seed, flip):
    sample = coded(height, width)
    before = torch.random.get_rng_state()
    image, seeds, mask = augment(sample, crop, torch.Generator().manual_seed(seed), flip=flip)
    assert torch.equal(before, torch.random.get_rng_state())
    assert image.dtype == seeds.dtype == mask.dtype == torch.uint8
    assert image.shape == (3, crop, crop)
    assert seeds.shape == mask.shape == (crop, crop)
    assert type(image) is type(seeds) is torch.Tensor
    assert 0 <= image.min() <= image.max() <= 255
    padding = seeds == 254
    assert torch.equal(padding, mask == 255)
    assert torch.equal(seeds[~padding], mask[~padding])
    inside = (~padding).nonzero()
    if padding.any():
        mean = torch.from_numpy(sample.image.mean((0, 1))).float()
        assert (image[:, padding].float() - mean[:, None]).abs().max() <= 0.501
        assert len(inside) == (inside.amax(0) + 1).prod()  # at the right and at the bottom
    again = augment(sample, crop, torch.Generator().manual_seed(seed), flip=flip)
    assert all(torch.equal(a, b) for a, b in zip((image, seeds, mask), again, strict=True))


@given(st.integers(0, 1000), st.booleans())
def test_at_scale_one_it_is_a_cut(seed, flip):
    sample = coded(50, 60)
    image, seeds, _ = augment(sample, 32, torch.Generator().manual_seed(seed), (1, 1), flip)
    x, y, blue = image.long()
    assert torch.equal(seeds.long(), blue)
    assert torch.equal(seeds, torch.from_numpy(sample.seeds)[y, x])
    step = int(x[0, 1] - x[0, 0])
    assert step in ((1, -1) if flip else (1,))
    assert (x.diff(dim=1) == step).all()
    assert (y.diff(dim=0) == 1).all()


def test_scales_stretch_photo_and_labels_alike():
    sample = coded(64, 64)
    for factor in (0.5, 2.0):
        image, seeds, _ = augment(sample, 32, torch.Generator().manual_seed(1), (factor, factor), flip=False)
        spacing = image[0].float().diff(dim=1)[:, 2:-2].mean()
        assert abs(spacing - 1 / factor) < 0.05
        own = torch.from_numpy(sample.seeds).long()[image[1].round().long(), image[0].round().long()]
        assert (own == seeds).float().mean() > 0.85  # nearest pixels against rounded means: borders differ


@pytest.mark.parametrize("factor", [0.6, 0.75, 1.3])
def test_labels_lie_on_the_photo_without_a_shift(factor):
    """On a ramp, labels and photo have the same mean place; nearest pixels chosen by their corners would be shifted."""
    ramp = np.arange(100, 200, dtype=np.uint8)
    columns = np.broadcast_to(ramp, (100, 100))
    for seeds, channel in ((columns, 0), (columns.T, 1)):
        image = np.stack([columns, columns.T, columns], axis=-1)
        sample = Sample("x", image, np.array(seeds), ("a",) * 200, np.array(seeds))
        resized = round(100 * factor)
        image, labels, mask = augment(sample, resized, torch.Generator(), (factor, factor), flip=False)
        middle = (slice(10, -10), slice(10, -10))
        for values in (labels, mask):
            assert abs((values.float() - image[channel].float())[middle].mean()) < 0.1


def test_everything_is_random():
    """Scale, mirror and place vary from draw to draw of one generator; each argument matters."""
    g = torch.Generator().manual_seed(0)
    sample = coded(100, 120)
    drawn = [augment(sample, 24, g)[0] for _ in range(40)]
    slopes = torch.stack([d[0].float().diff(dim=1).mean() for d in drawn])
    assert 0.25 < (slopes < 0).float().mean() < 0.75
    assert slopes.abs().min() < 0.75
    assert slopes.abs().max() > 1.2
    assert len({(round(float(d[0].float().mean())), round(float(d[1].float().mean()))) for d in drawn}) > 30


def test_no_mask_no_seeds_and_bad_arguments():
    g = torch.Generator().manual_seed(0)
    sample = coded(20, 20, mask=False)
    assert (augment(sample, 16, g)[2] == 255).all()
    bare = Sample("x", sample.image, np.full((20, 20), 255, np.uint8), sample.classes)
    assert (augment(bare, 8, g, (1, 1))[1] == 255).all()
    with pytest.raises(ValueError, match="crop: expected a whole number, at least 1; got 0"):
        augment(sample, 0, g)
    for scale in ((0, 1), (2, 1)):
        with pytest.raises(ValueError, match=r"scale: expected 0 < scale\[0\] <= scale\[1\]"):
            augment(sample, 8, g, scale)
