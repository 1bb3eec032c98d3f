"""A frozen body's maps on disk: the same network, computed once, never the wrong file."""

import numpy as np
import pytest
import torch

from toykit.models import build
from toykit.training.features import FeatureCache


def frozen(name="light_mobilenetv2", seed=0):
    torch.manual_seed(seed)
    return build(name, 3, image_size=32, weights=None, freeze_body=True)


def photos(*sizes):
    return [255 * torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(sum(size))) for size in sizes]


@pytest.fixture
def network():
    return frozen()


def files(folder):
    return sorted(folder.rglob("*.npy"))


@pytest.mark.parametrize("name", ["light_mobilenetv2", "light_mobilenetv2_fine", "deeplabv3plus_mobilenetv2"])
def test_the_head_on_stored_maps_is_the_network(name, tmp_path):
    network = frozen(name).eval()
    cache = FeatureCache(network, tmp_path)
    for image in photos((32, 32), (37, 50)):
        first, second = cache(image), cache(image)
        for a, b, own in zip(first, second, network.maps(image), strict=True):
            assert torch.equal(a, b)  # the rounding of float16 is there from the first
            assert torch.allclose(a, own, rtol=1e-3, atol=1e-3)
        assert torch.allclose(network(image, second), network(image), atol=1e-2)
    assert len(files(tmp_path)) == 4


def test_each_photo_is_computed_once(network, tmp_path, monkeypatch):
    (image,) = photos((32, 32))
    FeatureCache(network, tmp_path)(image)
    seen = []
    monkeypatch.setattr(
        network.body, "forward", lambda x, forward=network.body.forward: (seen.append(len(x)), forward(x))[1]
    )
    again = FeatureCache(network, tmp_path)
    again(image)
    again(image)
    assert seen == [1]  # once, to learn the maps' shapes
    again(torch.cat([image[:1], image[1:].flip(3)]))
    assert seen == [1, 1]  # the mirror image is another photo
    assert len(files(tmp_path)) == 3


def test_a_photos_maps_do_not_depend_on_its_batch(network, tmp_path, monkeypatch):
    (image,) = photos((32, 32))
    seen = []
    monkeypatch.setattr(
        network.body, "forward", lambda x, forward=network.body.forward: (seen.append(len(x)), forward(x))[1]
    )
    whole = FeatureCache(network, tmp_path / "whole")(image)
    for i in range(2):
        own = FeatureCache(network, tmp_path / f"{i}")(image[i : i + 1])
        assert all(torch.equal(a[i : i + 1], b) for a, b in zip(whole, own, strict=True))
    assert set(seen) == {1}


def test_whole_numbers_and_fractions_are_told_apart(network, tmp_path):
    (image,) = photos((32, 32))
    cache = FeatureCache(network, tmp_path)
    for other in (image.floor(), image, image.floor() + 1 / 4):
        assert torch.allclose(cache(other)[-1], network.maps(other)[-1], rtol=1e-3, atol=1e-3)
    assert len(files(tmp_path)) == 6


def test_other_weights_have_other_files(network, tmp_path):
    (image,) = photos((32, 32))
    FeatureCache(network, tmp_path)(image)
    other = frozen(seed=1)
    maps = FeatureCache(other, tmp_path)(image)
    assert len(files(tmp_path)) == 4
    assert torch.allclose(maps[-1], other.maps(image)[-1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("damage", [b"", b"not a map", None])
def test_a_damaged_file_is_made_again(network, tmp_path, damage):
    (image,) = photos((32, 32))
    cache = FeatureCache(network, tmp_path)
    expected = cache(image)
    path = files(tmp_path)[0]
    if damage is None:
        np.save(path, np.zeros(5, np.float16))
    else:
        path.write_bytes(damage)
    assert all(torch.equal(a, b) for a, b in zip(cache(image), expected, strict=True))


def test_maps_too_large_for_float16_are_an_error(network, tmp_path):
    network.head.select = lambda features, select=network.head.select: [1e5 * (1 + x.abs()) for x in select(features)]
    with pytest.raises(ValueError, match="do not fit float16"):
        FeatureCache(network, tmp_path)(photos((32, 32))[0])


def test_a_folder_that_cannot_be_written_costs_only_time(network, tmp_path):
    (tmp_path / "file").write_text("")
    cache = FeatureCache(network, tmp_path / "file" / "below")
    (image,) = photos((32, 32))
    assert all(torch.equal(a, b) for a, b in zip(cache(image), FeatureCache(network, tmp_path)(image), strict=True))


def test_maps_are_float32_inside_autocast_too(network, tmp_path):
    (image,) = photos((32, 32))
    with torch.autocast("cpu", torch.bfloat16):
        maps = FeatureCache(network, tmp_path)(image)
    assert all(x.dtype == torch.float32 for x in maps)
    assert all(torch.equal(a, b) for a, b in zip(maps, FeatureCache(network, tmp_path / "other")(image), strict=True))


def test_only_the_head_learns(network):
    network.train()
    assert not network.body.training
    network(photos((32, 32))[0]).square().sum().backward()
    assert all(p.grad is None for p in network.body.parameters())
    assert any(p.grad is not None for p in network.head.parameters())
