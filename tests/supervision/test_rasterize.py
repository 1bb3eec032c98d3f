"""Polylines on a grid: whole numbers are pixel centres, at any size, against distances computed pixel by pixel."""

import numpy as np
import pytest

from toykit.supervision import Scribbles, Stroke
from toykit.supervision.rasterize import TIE, line


def columns(points, width, own=(40, 40), size=None):
    seeds = Scribbles("p", own, ("a", "b"), (Stroke("b", width, points),)).draw(size)
    return np.nonzero((seeds == 1).any(0))[0]


@pytest.mark.parametrize(
    ("width", "first", "last"), [(1, 20, 20), (2, 20, 21), (3, 19, 21), (4, 19, 22), (5, 18, 22), (0.2, 20, 20)]
)
def test_a_click_lies_about_its_pixel(width, first, last):
    x = columns(((20, 20),), width)
    assert (x.min(), x.max()) == (first, last)
    assert np.array_equal(columns(((20, 5), (20, 30)), width), x)


def test_scaling_keeps_the_place_of_a_pixels_area():
    assert columns(((20, 20),), 5, size=(400, 400)).mean() == 204.5  # the middle of the columns 200..209
    x = columns(((21, 5), (21, 25)), 3, (40, 30), (320, 240))
    assert (x.min(), x.max()) == (160, 183)  # columns 20..22, eight times as large
    assert columns(((204.5, 200),), 10, (400, 400), (40, 40)).tolist() == [20]


def test_every_pixel_by_its_distance():
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:30, :36].astype(float)
    for trial in range(60):
        points = rng.uniform(-8, 40, (rng.integers(1, 5), 2))
        points = points.round() if trial % 3 == 0 else points
        width = float(rng.choice([1, 2, 3, 4.5, 9]))
        moved, distance = points + TIE, np.full(x.shape, np.inf)
        for start, end in zip(moved, moved[1:] if len(moved) > 1 else moved, strict=False):
            way = end - start
            share = np.clip(((x - start[0]) * way[0] + (y - start[1]) * way[1]) / max(way @ way, 1e-30), 0, 1)
            distance = np.minimum(distance, np.hypot(x - start[0] - share * way[0], y - start[1] - share * way[1]))
        expected = distance < width / 2
        for column, row in np.floor(moved + 0.5).astype(int):
            if 0 <= column < 36 and 0 <= row < 30:
                expected[row, column] = True
        differs = (line(points.tolist(), width, (36, 30)) != expected) & (abs(distance - width / 2) > 1e-9)
        assert not differs.any(), (trial, points, width)


def test_huge_coordinates_and_thin_strokes():
    assert line([(-1e9, 4), (1e9, 4)], 3, (20, 10)).sum() == 60
    assert line([(1e300, 4), (-1e300, 4)], 3, (20, 10)).shape == (10, 20)
    slanted = line([(2.3, 2.4), (17.1, 6.2)], 1, (20, 10))
    assert slanted.any(0)[2:18].all()  # no gap
    assert line([(5.5, 5.5)], 1, (20, 10)).sum() == 1
