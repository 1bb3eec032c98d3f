"""Shortened strokes, ScribbleSup's XML, human clicks, blocks, and the choice between them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toykit.datasets.voc import CLASSES
from toykit.supervision import (
    Scribbles,
    Stroke,
    Supervision,
    blocks,
    read_clicks,
    read_scribbles,
    read_scribblesup,
    write_scribbles,
)

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
    lengths = np.hypot(*np.diff(points, axis=0).T)  # an independent walk to half of the length
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
    with pytest.raises(ValueError, match=r"ratio: expected a share of the length in \[0, 1\], got 1\.5"):
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


XML = """<annotation><filename>2007_1.jpg</filename><size><width>40</width><height>30</height></size>
<polygon><tag>cat</tag><point><X>5</X><Y>10</Y></point><point><X>5</X><Y>10</Y></point><point><X>15</X><Y>10</Y></point>
<point><X>40</X><Y>10</Y></point><point><X>-1</X><Y>4</Y></point></polygon>
<polygon><tag>background</tag><point><X>30</X><Y>25</Y></point></polygon>
<polygon><tag>dog</tag><point><X>50</X><Y>99</Y></point></polygon></annotation>"""


def test_scribblesup_drops_repeated_points_and_those_outside(tmp_path):
    path = tmp_path / "2007_1.xml"
    path.write_text(XML)
    found = read_scribblesup(path, CLASSES)
    assert found.size == (40, 30)
    assert found.strokes == (Stroke("cat", 3, ((5, 10), (15, 10))), Stroke("background", 3, ((30, 25),)))
    seeds = found.draw()
    assert (seeds[9:12, 5:16] == CLASSES.index("cat")).all()
    assert seeds[25, 30] == 0
    thin = read_scribblesup(path, CLASSES, width=1).draw()
    assert (thin[10, 5:16] == 8).all()
    assert (thin[[9, 11], 7:14] == 255).all()


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (XML[:200], "not a ScribbleSup file"),
        ('<?xml version="1.0" encoding="foo"?>' + XML, "not a ScribbleSup file"),
        ('<?xml version="1.0" encoding="hex"?>' + XML, "not a ScribbleSup file"),
        ("", "not a ScribbleSup file"),
        (XML.replace("cat", "unicorn"), "unknown tag 'unicorn'"),
        (XML.replace("<width>40</width>", ""), "not a ScribbleSup file"),
        (XML.replace("<width>40", "<width>0"), "at least 1 x 1"),
        (XML.replace("<X>5</X>", "<X>five</X>"), "not a ScribbleSup file"),
        (XML.replace("<X>5</X>", ""), "not a ScribbleSup file"),
        (BOMB + XML.replace("2007_1.jpg", "&b;"), "declares a document type or entities"),
        ('<!DOCTYPE a SYSTEM "http://example.org/a.dtd">' + XML, "declares a document type or entities"),
        (
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + XML.replace("2007_1.jpg", "&x;"),
            "which is refused",
        ),
    ],
)
def test_bad_xml_is_named(tmp_path, content, message):
    path = tmp_path / "2007_1.xml"
    path.write_text(content)
    with pytest.raises(ValueError, match=message) as error:
        read_scribblesup(path, CLASSES)
    assert str(path) in str(error.value)


def test_missing_and_unreadable_xml_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.xml"):
        read_scribblesup(tmp_path / "absent.xml", CLASSES)
    (tmp_path / "folder.xml").mkdir()
    with pytest.raises(ValueError, match=r"folder\.xml: not a ScribbleSup file"):
        read_scribblesup(tmp_path / "folder.xml", CLASSES)


def test_clicks_are_strokes_of_one_point(tmp_path):
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"a": [{"x": 3.4, "y": 5, "cls": 8, "rank": 1}, {"x": 9, "y": 1, "cls": 0}], "b": []}))
    found = read_clicks(path, CLASSES, width=1)
    assert found == {"a": (Stroke("cat", 1, ((3.4, 5),)), Stroke("background", 1, ((9, 1),))), "b": ()}
    for bad in ({"a": [{"x": 1, "y": 2, "cls": 21}]}, {"a": [{"x": 1, "cls": 2}]}, {"a": [{"x": None, "y": 2, "cls": 2}]},
                {"a": 5}, [1], {"a": [{"x": float("nan"), "y": 1, "cls": 1}]},
                {"a": [{"x": 10**400, "y": 2, "cls": 1}]}, {"a": [{"x": 1, "y": 2, "cls": True}]}):  # fmt: skip
        path.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match=r"points\.json.*: not a file of clicks"):
            read_clicks(path, CLASSES)


@given(
    st.integers(5, 60), st.integers(5, 60), st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 9), st.integers(2, 9)
)
def test_blocks_cover_their_share(height, width, share, other, seed, side):
    mask = np.arange(height * width).reshape(height, width).astype(np.uint8) % 7
    seeds = blocks(mask, share, "x", seed, side)
    inside = seeds != 255
    assert share * mask.size - 1e-9 <= inside.sum() < share * mask.size + side**2
    assert np.array_equal(seeds[inside], mask[inside])
    small, large = (blocks(mask, s, "x", seed, side) != 255 for s in sorted((share, other)))
    assert not (small & ~large).any()


def test_blocks_are_squares_that_seed_and_name_choose():
    mask = np.zeros((48, 60), np.uint8)
    mask[:, 30:] = 255
    seeds = blocks(mask, 0.5, "x", 0)
    assert (seeds[mask == 255] == 255).all()  # void stays
    whole = [blocks(np.zeros((48, 60), np.uint8), 0.2, name, seed) for name, seed in (("x", 0), ("y", 0), ("x", 1))]
    assert len({w.tobytes() for w in whole}) == 3
    edges = np.diff((whole[0] == 0).astype(int), axis=1)
    assert len(set(np.nonzero(edges)[1] % 4)) == 1  # all columns where a block begins or ends are on one grid
    assert (blocks(mask, 1, "x") == mask).all()
    for bad in ({"share": 0}, {"share": 1.2}, {"share": 0.5, "block": 0}):
        with pytest.raises(ValueError, match="blocks: expected a share"):
            blocks(mask, name="x", **bad)


@pytest.mark.parametrize(
    "bad", [{"kind": "boxes"}, {"ratio": -0.1}, {"ratio": 1.1}, {"width": 0}, {"share": 0}, {"share": 2}]
)
def test_an_impossible_choice_is_refused(bad):
    with pytest.raises(ValueError, match=f"supervision {next(iter(bad))}: expected"):
        Supervision(**bad)
