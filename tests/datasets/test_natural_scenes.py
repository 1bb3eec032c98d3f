"""Natural Scenes: a generated tree in its layout, the real set where it is available, and the generated substitute."""

import numpy as np
import pytest
import torch
from PIL import Image

from toykit._shared.resources import data_root
from toykit.datasets import scenes
from toykit.datasets.natural_scenes import TEXTURES

CLASSES = ("buildings", "forest", "glacier")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Write three classes of five photos, one colour per class, one photo shorter than the others; a smaller test split."""
    root = tmp_path / "natural_scenes"
    for split, count in (("train", 5), ("test", 2)):
        for k, name in enumerate(CLASSES):
            folder = root / f"seg_{split}" / name
            folder.mkdir(parents=True)
            for number in range(count):
                height = 113 if number == 1 else 150
                image = np.full((height, 150, 3), (80 * k, 30 * number, 200), np.uint8)
                Image.fromarray(image).save(folder / f"{number}.jpg")
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    return root


def test_photos_of_the_published_layout(tree):
    loaded = scenes("train", side=24)
    assert loaded.images.shape == (15, 3, 24, 24)
    assert loaded.images.dtype == torch.uint8
    assert loaded.labels.tolist() == [0] * 5 + [1] * 5 + [2] * 5
    assert loaded.classes == CLASSES
    assert loaded.source == "photos"
    red = loaded.images[:, 0].float().mean((1, 2))
    assert (red - 80 * loaded.labels).abs().max() < 3  # each image under its own label, RGB
    assert (loaded.images[:, 2].float() - 200).abs().max() < 6
    assert len(scenes("test", 24).labels) == 6


def test_a_choice_per_class_depends_on_the_seed(tree):
    first, again, other = (scenes("train", 16, per_class=2, seed=seed) for seed in (0, 0, 1))
    assert first.labels.bincount().tolist() == [2, 2, 2]
    assert torch.equal(first.images, again.images)
    assert not torch.equal(first.images, other.images)
    with pytest.raises(ValueError, match=r"buildings: 5 photos, but per_class = 6"):
        scenes("train", 16, per_class=6)


def test_errors_name_the_file(tree):
    broken = tree / "seg_train" / "forest" / "3.jpg"
    whole = broken.read_bytes()
    for damage in (whole[: len(whole) // 2], b"", b"not a picture"):
        broken.write_bytes(damage)
        with pytest.raises(ValueError, match=r"forest.3\.jpg: cannot be read as a picture"):
            scenes("train", 16)
    assert len(scenes("test", 16).labels) == 6
    for path in (tree / "seg_test" / "glacier").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="glacier"):
        scenes("test", 16)


def test_generated_where_the_set_is_missing(tmp_path, monkeypatch):
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    loaded = scenes("train", 24, per_class=3)
    assert loaded.source == "generated"
    assert loaded.classes == tuple(TEXTURES)
    assert loaded.images.shape == (18, 3, 24, 24)
    assert loaded.labels.bincount().tolist() == [3] * 6
    assert torch.equal(loaded.images, scenes("train", 24, 3).images)
    assert not torch.equal(loaded.images, scenes("train", 24, 3, seed=1).images)
    assert not torch.equal(loaded.images, scenes("test", 24, 3).images)
    with pytest.raises(FileNotFoundError):
        scenes("train", 24, source="photos")


def test_generated_on_demand_and_not_separable_by_colour_alone(tree):
    loaded = scenes("train", 24, per_class=60, source="generated")
    assert loaded.source == "generated"
    color = loaded.images.double().mean((2, 3)).reshape(6, 60, 3)
    nearest = torch.cdist(color.reshape(-1, 3), color.mean(1)).argmin(1)
    assert 0.4 < (nearest == loaded.labels).double().mean() < 0.8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "split: expected one of train, test; got 'val'"),
        ({"side": 4}, "side: expected a whole number, at least 8; got 4"),
        ({"side": 24.0}, "side: expected a whole number, at least 8; got 24.0"),
        ({"per_class": 0}, "per_class: expected a whole number, at least 1; got 0"),
        ({"source": "toy"}, "source: expected one of photos, generated; got 'toy'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        scenes(**{"split": "train"} | arguments)


@pytest.mark.skipif(not (data_root() / "natural_scenes").is_dir(), reason="natural_scenes is not under TOYKIT_DATA")
def test_the_real_set():
    loaded = scenes("test", 32, per_class=20)
    assert loaded.classes == ("buildings", "forest", "glacier", "mountain", "sea", "street")
    assert loaded.images.shape == (120, 3, 32, 32)
    assert loaded.source == "photos"
