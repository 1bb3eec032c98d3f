"""Strokes: drawing and shortening them, their JSON format, and files with faults."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toykit.supervision import Scribbles, SeedWarning, Stroke, read_scribbles, read_seeds, write_scribbles

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


coordinate = st.integers(-20, 400).map(lambda v: v / 10) | st.integers(0, 36).map(float)


strokes = st.builds(
    Stroke,
    label=st.sampled_from("abc"),
    width=st.sampled_from([1.0, 2.0, 3.0, 4.5, 9.0]),
    points=st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6).map(tuple),
)


ratios = st.sampled_from([0.0, 0.3, 0.5, 0.8, 1.0]) | st.floats(0, 1)


@given(st.lists(strokes, min_size=1, max_size=4), ratios, ratios, st.sampled_from([None, (60, 45), (24, 20)]))
def test_a_shorter_scribble_is_part_of_a_longer_one(lines, one, other, size):
    whole = Scribbles("x", (36, 30), tuple("abc"), tuple(lines))
    short, long = (whole.shorten(r).draw(size) for r in sorted((one, other)))
    labelled = short != 255
    assert np.array_equal(short[labelled], long[labelled])
    assert np.array_equal(whole.shorten(1).draw(size), whole.draw(size))


@given(strokes)
def test_a_click_is_small_and_in_the_middle(stroke):
    whole = Scribbles("x", (36, 30), tuple("abc"), (stroke,))
    rows, columns = np.nonzero(whole.shorten(0).draw() != 255)
    points = np.array(stroke.points)
    lengths = np.hypot(
        *np.diff(points, axis=0).T
    )  # computed independently: walk along the points to half of the length
    left = lengths.sum() / 2
    middle = points[0]
    for length, start, end in zip(lengths, points[:-1], points[1:], strict=True):
        if length >= left > 0:
            middle, left = start + (end - start) * left / length, 0
        left -= length
    distance = np.hypot(columns - middle[0], rows - middle[1])
    assert (distance <= max(stroke.width / 2 + 1, 2) + 1e-6).all()
    if 5 < middle[0] < 31 and 5 < middle[1] < 25:
        assert len(rows)


def test_half_the_ratio_is_half_the_length():
    line = Scribbles("x", (200, 9), ("a", "b"), (Stroke("b", 3, ((10, 4), (90, 4), (190, 4))),))
    lengths = {ratio: (line.shorten(ratio).draw()[4] == 1).sum() for ratio in (1.0, 0.8, 0.5, 0.3, 0.0)}
    for ratio, length in lengths.items():
        assert abs(length - 180 * ratio) <= 5
    assert (line.shorten(0.5).shorten(0.5).draw() == line.shorten(0.25).draw()).all()
    with pytest.raises(ValueError, match=r"ratio: expected a number in \[0, 1\], got 1\.5"):
        line.shorten(1.5)


def test_far_away_coordinates_cost_nothing():
    far = Scribbles("x", (20, 10), ("a", "b"), (Stroke("b", 3, ((-1e9, 4), (1e9, 4))),))
    assert (far.shorten(0).draw()[4] == 1).any()
    assert far.shorten(0.5).draw().shape == (10, 20)


def test_strokes_survive_writing(tmp_path):
    whole = Scribbles("x", (36, 30), ("a", "b"), (Stroke("a", 3, ((1.5, 2), (20, 9))), Stroke("b", 1, ((3, 3),), 0.5)))
    write_scribbles(tmp_path / "new" / "x.json", whole.shorten(0.4))
    assert read_scribbles(tmp_path / "new" / "x.json") == whole.shorten(0.4)
    content = json.loads((tmp_path / "new" / "x.json").read_text())
    content["strokes"][0]["kept"] = 2
    (tmp_path / "x.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r'x\.json: stroke 0: expected "kept" in \[0, 1\], got 2'):
        read_scribbles(tmp_path / "x.json")


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


def test_deep_nesting_does_not_crash(tmp_path):
    path = tmp_path / "deep.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ValueError, match=r"deep\.json: not a scribble file"):
        read_scribbles(path)


def test_strokes_for_a_photo_of_another_shape_are_refused(scribble_file):
    path = scribble_file()
    with pytest.warns(
        SeedWarning, match=r"cat\.json: the strokes on 40 x 20 pixels were scaled to the photo.s 60 x 30"
    ):
        assert read_seeds(path, (60, 30))[0].shape == (30, 60)
    with pytest.warns(SeedWarning, match=r"scaled to the photo.s 13 x 7"):  # rounding
        assert read_seeds(path, (13, 7))[0].shape == (7, 13)
    with pytest.raises(ValueError, match=r"cat\.json: the strokes are for a photo of 40 x 20 pixels"):
        read_seeds(path, (20, 40))
