"""The study of labels from human scribbles: its score, its rows and its table, on generated photos."""

import numpy as np
import pytest

from toykit.datasets.sample import Sample
from toykit.experiments.photo_labels import format_table, measure, object_iou, other_tools, predictions
from toykit.experiments.results import MEASURED


def square(name="a/1"):
    image, mask = np.full((24, 32, 3), 60, np.uint8), np.zeros((24, 32), np.uint8)
    mask[6:18, 8:24] = 1
    image[mask == 1] = 180
    seeds = np.full_like(mask, 255)
    seeds[2, 2:30], seeds[12, 10:22] = 0, 1
    return Sample(name, image, seeds, ("background", "object"), mask)


def test_the_score_leaves_void_pixels_out():
    mask = np.array([[1, 1, 0, 255]])
    assert object_iou(np.array([[1, 0, 1, 1]]), mask) == pytest.approx(1 / 3)
    assert object_iou(np.array([[0, 0, 0, 1]]), mask) == 0
    with pytest.raises(ValueError, match="expected a sample with a mask"):
        object_iou(mask, None)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_every_method_gets_a_row_and_a_line():
    predict = {name: f for name, f in predictions().items() if name in ("stand-in", "colour, position")}
    rows = measure(square(), predict, other_tools()) + measure(square("326038/1"), predict, {})
    assert all(list(row) == list(MEASURED["photo_labels"]) for row in rows)
    assert {row["split"] for row in rows} == {"unseen", "chosen on"}
    scores = {row["method"]: row["iou"] for row in rows if row["split"] == "unseen"}
    assert scores["colour, position: solved"] == scores["colour, position: alpha-expansion"] == 100
    assert "stand-in: solved, old weights" in scores
    both = rows + [row | {"map": "b", "iou": 50.0} for row in rows]
    line = next(line for line in format_table(both).splitlines() if line.startswith("colour, position: solved"))
    assert "75.0 ±" in line
