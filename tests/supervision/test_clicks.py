"""Human clicks: read as strokes of one point; other files are refused with the file's name."""

import json

import pytest

from toykit.datasets.voc import CLASSES
from toykit.supervision import Stroke, read_clicks


def test_clicks_are_strokes_of_one_point(tmp_path):
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"a": [{"x": 3.4, "y": 5, "cls": 8, "rank": 1}, {"x": 9, "y": 1, "cls": 0}], "b": []}))
    clicks = read_clicks(path, CLASSES, width=1)
    assert clicks == {"a": (Stroke("cat", 1, ((3.4, 5),)), Stroke("background", 1, ((9, 1),))), "b": ()}
    for bad in ({"a": [{"x": 1, "y": 2, "cls": 21}]}, {"a": [{"x": 1, "cls": 2}]}, {"a": [{"x": None, "y": 2, "cls": 2}]},
                {"a": 5}, [1], {"a": [{"x": float("nan"), "y": 1, "cls": 1}]},
                {"a": [{"x": 10**400, "y": 2, "cls": 1}]}, {"a": [{"x": 1, "y": 2, "cls": True}]}):  # fmt: skip
        path.write_text(json.dumps(bad))
        with pytest.raises(ValueError, match=r"points\.json.*: not a file of clicks"):
            read_clicks(path, CLASSES)
