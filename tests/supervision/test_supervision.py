"""Scribbles: the JSON format, drawing, indexed PNGs, and files that are not what they should be."""

import json

import numpy as np
import pytest
from PIL import Image

from toykit._shared.palette import voc_palette
from toykit.supervision import Scribbles, Stroke, read_scribbles, read_seeds, write_seeds

CONTENT = {
    "photo": "cat",
    "size": [40, 20],
    "classes": ["background", "cat"],
    "strokes": [
        {"class": "cat", "width": 3, "points": [[5, 10], [15, 10]]},
        {"class": "background", "width": 1, "points": [[30, 5]]},
    ],
}


@pytest.fixture
def scribble_file(tmp_path):
    def write(**changes):
        path = tmp_path / "cat.json"
        path.write_text(json.dumps(CONTENT | changes))
        return path

    return write


def test_strokes_are_drawn_where_they_are(scribble_file):
    seeds = read_scribbles(scribble_file()).draw()
    assert seeds.shape == (20, 40)
    assert (seeds[9:12, 5:16] == 1).all()
    assert (seeds[[7, 13]] == 255).all()
    assert seeds[5, 30] == 0
    assert set(np.unique(seeds)) == {0, 1, 255}


def test_strokes_scale_with_the_photo(scribble_file):
    seeds = read_scribbles(scribble_file()).draw((80, 40))
    assert seeds.shape == (40, 80)
    assert (seeds[18:22, 12:30] == 1).all()
    assert 3 <= (seeds[:, 20] == 1).sum() <= 8  # about twice as wide


def test_later_strokes_cover_earlier_ones():
    strokes = (Stroke("a", 5, ((2, 5), (8, 5))), Stroke("b", 5, ((2, 5), (8, 5))))
    assert set(np.unique(Scribbles("x", (10, 10), ("a", "b"), strokes).draw())) == {1, 255}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ["cat"]}, "expected 2 to 254 different classes"),
        ({"classes": ["cat", "cat"]}, "expected 2 to 254 different classes"),
        ({"size": [0, 5]}, "expected a size"),
        ({"size": None}, "not a scribble file"),
        ({"size": [float("inf"), 3]}, "not a scribble file .OverflowError"),
        ({"classes": [["a"], ["b"]]}, "is not a list of names"),
        ({"classes": "ab"}, "is not a list of names"),
        ({"classes": {"a": 1, "b": 2}}, "is not a list of names"),
        ({"strokes": [{"class": "dog", "width": 3, "points": [[1, 1]]}]}, "stroke 0 is of class 'dog'"),
        ({"strokes": [{"class": "cat", "width": 0, "points": [[1, 1]]}]}, "stroke 0 needs a positive width"),
        ({"strokes": [{"class": "cat", "width": 1e9, "points": [[1, 1]]}]}, "at most the photo's 40 pixels"),
        ({"strokes": [{"class": "cat", "width": 3, "points": []}]}, "at least one finite point"),
        ({"strokes": [{"class": "cat", "width": 3, "points": [[1, float("nan")]]}]}, "at least one finite point"),
        ({"strokes": [{"class": "cat", "width": 3, "points": [[1, 2, 3]]}]}, "not a scribble file"),
        ({"strokes": [{"class": "cat", "points": [[1, 2]]}]}, "not a scribble file .KeyError"),
    ],
)
def test_bad_scribbles_name_the_file(scribble_file, changes, message):
    path = scribble_file(**changes)
    with pytest.raises(ValueError, match=message) as error:
        read_scribbles(path)
    assert str(path) in str(error.value)


def test_broken_and_missing_files_are_named(tmp_path):
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(ValueError, match=r"broken\.json: not a scribble file"):
        read_scribbles(broken)
    for read in (read_scribbles, lambda path: read_seeds(path, (5, 5))):
        with pytest.raises(FileNotFoundError, match=r"absent\.json"):
            read(tmp_path / "absent.json")
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"broken\.png: cannot be read"):
        read_seeds(broken, (5, 5))
    with pytest.raises(FileNotFoundError):
        read_seeds(tmp_path / "absent.png", (5, 5))


def test_indexed_png_round_trip(tmp_path):
    seeds = np.full((6, 9), 255, np.uint8)
    seeds[1, 2], seeds[3, 4], seeds[5] = 3, 0, 254
    write_seeds(tmp_path / "new" / "seeds.png", seeds)
    back, classes = read_seeds(tmp_path / "new" / "seeds.png", (9, 6))
    assert np.array_equal(back, seeds)
    assert classes == ("class 0", "class 1", "class 2", "class 3")
    with Image.open(tmp_path / "new" / "seeds.png") as file:
        assert file.mode == "P"
        assert np.allclose(np.array(file.convert("RGB"))[1, 2] / 255, voc_palette(4)[3], atol=1 / 255)


def test_a_truncated_png_is_named(tmp_path):
    path = tmp_path / "seeds.png"
    write_seeds(path, np.random.default_rng(0).integers(0, 3, (60, 60)).astype(np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(ValueError, match=r"seeds\.png: cannot be read"):
        read_seeds(path, (60, 60))


def test_strokes_for_a_photo_of_another_shape_are_refused(scribble_file):
    path = scribble_file()
    assert read_seeds(path, (60, 30))[0].shape == (30, 60)
    assert read_seeds(path, (13, 7))[0].shape == (7, 13)  # rounding
    with pytest.raises(ValueError, match=r"cat\.json: the strokes are for a photo of 40 x 20 pixels"):
        read_seeds(path, (20, 40))


def test_deep_nesting_is_no_crash(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"deep\.json: not a scribble file"):
        read_scribbles(path)


def test_colours_and_wrong_sizes_are_refused(tmp_path):
    Image.new("RGB", (9, 6)).save(tmp_path / "colours.png")
    with pytest.raises(ValueError, match=r"colours\.png: expected an indexed PNG .* got mode RGB"):
        read_seeds(tmp_path / "colours.png", (9, 6))
    write_seeds(tmp_path / "seeds.png", np.zeros((6, 9), np.uint8))
    with pytest.raises(ValueError, match=r"the seeds are 9 x 6 pixels, the photo 10 x 6"):
        read_seeds(tmp_path / "seeds.png", (10, 6))


def test_pictures_that_are_no_maps_of_ids_are_named(tmp_path, monkeypatch):
    path = tmp_path / "seeds.png"
    grey = Image.new("L", (9, 6))
    for picture, options, message in (
        (grey, {"format": "JPEG"}, "cannot be read as a PNG"),
        (Image.new("1", (9, 6)), {}, "got mode 1; save it with 8 bits"),
        (Image.fromarray(np.zeros((6, 9), np.uint16)), {}, "got mode I;16; save it with 8 bits"),
    ):
        picture.save(path, **options)
        with pytest.raises(ValueError, match=rf"seeds\.png: .*{message}"):
            read_seeds(path, (9, 6))
    grey.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + b"\0\0\0\5" + whole[12:])  # the header says that it is shorter than headers are
    with pytest.raises(ValueError, match=r"seeds\.png: cannot be read as a PNG"):
        read_seeds(path, (9, 6))
    path.write_bytes(whole)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(ValueError, match=r"seeds\.png: cannot be read as a PNG .*decompression bomb"):
        read_seeds(path, (9, 6))
