"""The set of human scribbles: generated in its published layout, and the real one where it is available."""

import numpy as np
import pytest
from PIL import Image

from toykit._shared.resources import data_root
from toykit.datasets import grabcut_seeds


@pytest.fixture
def scribble_set(tmp_path, monkeypatch):
    """Write the published layout with one generated photo, and point TOYKIT_DATA at it."""
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
    assert grabcut_seeds() == []  # a missing set is an empty list, not an error


@pytest.mark.skipif(not (data_root() / "grabcut_seeds").is_dir(), reason="grabcut_seeds not found under TOYKIT_DATA")
def test_the_real_set_of_human_scribbles():
    samples = grabcut_seeds()
    assert len(samples) == 24
    agree = [(s.mask == s.seeds)[(s.seeds != 255) & (s.mask != 255)].mean() for s in samples]
    assert min(agree) > 0.75  # one map has a stroke that leaves the object
    assert sorted(agree)[2] > 0.9
