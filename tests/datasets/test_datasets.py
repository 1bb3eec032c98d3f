"""Photos with their scribbles, the set of human scribbles (generated in its layout, and real where it is), samples."""

import numpy as np
import pytest
import torch
from PIL import Image

from toykit._shared.resources import data_root, shipped
from toykit.datasets import PHOTOS, Sample, grabcut_seeds, photo, photos, read_image


@pytest.mark.parametrize("name", PHOTOS)
def test_every_photo_has_scribbles_of_its_classes(name):
    sample = photo(name)
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == (*sample.seeds.shape, 3)
    assert set(np.unique(sample.seeds)) == {*range(len(sample.classes)), 255}
    assert 0.01 < sample.seeded_share() < 0.06


def test_scribbled_classes_differ_in_colour_or_place():
    """A scribble in the wrong place would blur this: per photo, most seeds are nearest to their own class' mean."""
    from toykit.seed_model import seed_logits

    for sample in photos(200):
        image, seeds = sample.tensors()
        found = seed_logits(image, seeds, len(sample.classes)).argmax(1)
        assert (found == seeds)[seeds != 255].float().mean() > 0.8, sample.name


def test_photos_scale_with_their_seeds():
    sample = photo("coffee", long_side=150)
    assert sample.seeds.shape == (100, 150)
    assert sample.image.shape == (100, 150, 3)
    assert photo("coffee", long_side=10_000).image.shape == photo("coffee").image.shape  # never enlarged
    with pytest.raises(ValueError, match=r"photo: expected one of chelsea, .* got 'dog'"):
        photo("dog")


def test_sample_as_tensors_and_accuracy():
    seeds = np.array([[0, 255, 255, 255]], np.uint8)
    mask = np.array([[0, 1, 0, 255]], np.uint8)
    sample = Sample("x", np.zeros((1, 4, 3), np.uint8), seeds, ("a", "b"), mask)
    image, tensor = sample.tensors()
    assert image.shape == (1, 3, 1, 4)
    assert image.dtype == torch.float32
    assert tensor.dtype == torch.int64
    assert sample.seeded_share() == 0.25
    labels = torch.tensor([[[[1.0, 0.2, 0.3, 0.5]], [[0.0, 0.8, 0.7, 0.5]]]])
    assert sample.accuracy(labels) == 0.5  # the seed and the void pixel are not judged
    with pytest.raises(ValueError, match="x: no ground truth"):
        Sample("x", sample.image, seeds, ("a", "b")).accuracy(labels)


@pytest.fixture
def scribble_set(tmp_path, monkeypatch):
    """The published layout with one generated photo; TOYKIT_DATA points at it."""
    root = tmp_path / "grabcut_seeds"
    rng = np.random.default_rng(0)
    strokes = np.zeros((24, 30), np.uint8)
    strokes[10:14, 5:9], strokes[2:4] = 1, 2
    truth = np.zeros((24, 30), np.uint8)
    truth[8:16], truth[16] = 255, 128
    for folder in ("images", "ground-truth", "scribbles-set-1", "scribbles-set-2"):
        (root / folder).mkdir(parents=True)
    Image.fromarray(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8)).save(root / "images" / "7.jpg")
    Image.fromarray(truth).save(root / "ground-truth" / "7.png")
    for number in (1, 2):
        Image.fromarray(strokes).save(root / f"scribbles-set-{number}" / "7-anno.png")
    monkeypatch.setenv("TOYKIT_DATA", str(tmp_path))
    return root


def test_human_scribbles_are_read_as_classes(scribble_set):
    first, second = grabcut_seeds()
    assert (first.name, second.name, first.classes) == ("7/1", "7/2", ("background", "object"))
    assert (first.seeds[10:14, 5:9] == 1).all()
    assert (first.seeds[2:4] == 0).all()
    assert (first.seeds[20:] == 255).all()
    assert (first.mask[8:16] == 1).all()
    assert (first.mask[16] == 255).all()
    assert (first.mask[:8] == 0).all()
    small = grabcut_seeds(long_side=15)[0]
    assert small.image.shape == (12, 15, 3)
    assert small.seeds.shape == small.mask.shape == (12, 15)
    assert set(np.unique(small.seeds)) == {0, 1, 255}


def test_bad_files_of_the_set_are_named(scribble_set, monkeypatch):
    anno = scribble_set / "scribbles-set-2" / "7-anno.png"
    Image.fromarray(np.full((24, 30), 9, np.uint8)).save(anno)
    with pytest.raises(ValueError, match=r"scribbles-set-2.7-anno\.png: expected values 0, 1, 2"):
        grabcut_seeds()
    anno.write_bytes(b"")
    with pytest.raises(ValueError, match=r"7-anno\.png: cannot be read"):
        grabcut_seeds()
    anno.unlink()
    with pytest.raises(FileNotFoundError, match=r"7-anno\.png"):
        grabcut_seeds()
    monkeypatch.setenv("TOYKIT_DATA", str(scribble_set))
    assert grabcut_seeds() == []  # the set is not there: an empty list, not an error


def test_data_root_defaults_to_the_project(monkeypatch):
    monkeypatch.delenv("TOYKIT_DATA", raising=False)
    assert data_root() == shipped("data")
    with pytest.raises(FileNotFoundError, match="nothing-like-this"):
        shipped("nothing-like-this")


def test_sixteen_bits_are_scaled_and_ranges_unknown_refused(tmp_path):
    Image.fromarray(np.array([[0, 257 * 100, 65535]], np.uint16)).save(tmp_path / "deep.png")
    assert read_image(tmp_path / "deep.png")[0].tolist() == [[0] * 3, [100] * 3, [255] * 3]
    Image.fromarray(np.ones((2, 2), np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(ValueError, match=r"float\.tif: .* mode F has no fixed range"):
        read_image(tmp_path / "float.tif")


def test_unreadable_pictures_are_named(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"photo\.jpg: cannot be read as a picture"):
        read_image(path)
    with pytest.raises(FileNotFoundError):
        read_image(tmp_path / "absent.jpg")


@pytest.mark.skipif(not (data_root() / "grabcut_seeds").is_dir(), reason="grabcut_seeds not found under TOYKIT_DATA")
def test_the_real_set_of_human_scribbles():
    samples = grabcut_seeds()
    assert len(samples) == 24
    agree = [(s.mask == s.seeds)[(s.seeds != 255) & (s.mask != 255)].mean() for s in samples]
    assert min(agree) > 0.75  # object is object: one map has a stroke that leaves it
    assert sorted(agree)[2] > 0.9
