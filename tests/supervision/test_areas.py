"""Areas: rings that redraw a mask, the JSON format with areas and erasures, and class names in PNG files."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from toykit.supervision import Scribbles, Stroke, read_scribbles, read_seeds, write_scribbles, write_seeds
from toykit.supervision.areas import Area, map_areas, trace
from toykit.supervision.rasterize import inside_rings

SQUARE = ((2.0, 2.0), (7.0, 2.0), (7.0, 7.0), (2.0, 7.0))


@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_rings_redraw_their_mask(mask):
    height, width = mask.shape
    assert (inside_rings(trace(mask), (width, height)) == mask).all()


@given(arrays(np.uint8, (7, 8), elements=st.sampled_from([0, 1, 2, 255])))
def test_a_map_becomes_areas_and_back(seeds):
    names = ("a", "b", "c")
    assert (Scribbles("x", (8, 7), names, map_areas(seeds, names)).draw() == seeds).all()


corner = st.tuples(st.integers(-30, 120), st.integers(-30, 120)).map(lambda p: (p[0] / 10 + 0.03, p[1] / 10 + 0.03))


@given(st.lists(corner, min_size=3, max_size=6))
def test_inside_is_where_a_ray_crosses_an_odd_number_of_edges(points):
    drawn = inside_rings([points], (10, 9))
    for y in range(9):
        for x in range(10):
            crossings = 0
            for (x0, y0), (x1, y1) in zip(points, [*points[1:], points[0]], strict=True):
                if (y0 > y) != (y1 > y):
                    crossings += x0 + (y - y0) * (x1 - x0) / (y1 - y0) > x
            assert drawn[y, x] == crossings % 2


def test_an_area_scales_has_holes_and_stays_whole_when_strokes_are_shortened(tmp_path):
    hole = ((4.0, 4.0), (5.0, 4.0), (5.0, 5.0), (4.0, 5.0))
    marks = (Area("b", (SQUARE, hole)), Stroke("a", 1, ((0, 9), (9, 9))), Stroke(None, 1, ((2, 2),)))
    scribbles = Scribbles("x", (10, 10), ("a", "b"), marks)
    write_scribbles(tmp_path / "x.json", scribbles)
    again = read_scribbles(tmp_path / "x.json")
    assert again == scribbles
    seeds = again.draw()
    assert seeds[2, 2] == 255
    assert seeds[3, 3] == 1
    assert (again.draw((30, 30))[14:16, 14:16] == 255).all()  # the hole
    assert (again.draw((30, 30))[9:12, 9:12] == 1).all()
    short = again.shorten(0).draw()
    assert 0 < (short == 0).sum() < (seeds == 0).sum()
    assert ((short == 1) == (seeds == 1)).all()
    assert short[2, 2] == 255


@pytest.mark.parametrize(
    "mark",
    [
        {"class": "b", "rings": []},
        {"class": "b", "rings": [[[0, float("nan")]]]},
        {"class": "moon", "rings": [SQUARE]},
        {"class": "b", "rings": 3},
        {"class": "b", "rings": [[1]]},
    ],
)
def test_a_faulty_area_is_named(tmp_path, mark):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"size": [10, 10], "classes": ["a", "b"], "strokes": [mark]}))
    with pytest.raises(ValueError, match=r"x\.json"):
        read_scribbles(path)


def test_class_names_lie_in_the_png(tmp_path):
    seeds = np.full((9, 12), 255, np.uint8)
    seeds[0], seeds[5] = 0, 1
    write_seeds(tmp_path / "x.png", seeds, ("Gebäude", "天空"))
    assert read_seeds(tmp_path / "x.png", (12, 9))[1] == ("Gebäude", "天空")
    seeds[8] = 3
    write_seeds(tmp_path / "x.png", seeds, ("a", "b"))
    assert read_seeds(tmp_path / "x.png", (12, 9))[1] == ("a", "b", "class 2", "class 3")
    write_seeds(tmp_path / "x.png", seeds)
    assert read_seeds(tmp_path / "x.png", (12, 9))[1] == ("class 0", "class 1", "class 2", "class 3")
