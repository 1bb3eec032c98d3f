"""Lines stay apart for colour-blind readers and in grey: by colour, or else by the look of the line."""

from itertools import combinations

import numpy as np
import pytest
from skimage.color import deltaE_cie76, rgb2lab

from toykit._shared.palette import LINE_COLORS, LINE_STYLES, NEUTRAL_COLORS
from toykit.plots.vision import VIEWS, seen
from toykit.potts import RELAXATIONS

#: CIE Lab distance of two line colours. On large patches about 2 is just seen; a line two points wide is seen under a much
#: smaller angle, where several times that is needed: we ask for seven times.
APART = 15


def rgb(colors) -> np.ndarray:
    return np.array([[int(color[k : k + 2], 16) / 255 for k in (1, 3, 5)] for color in colors])


def strokes(style) -> tuple[float, ...]:
    """A Matplotlib line style's strokes and gaps of one period, in line widths; () for a solid line."""
    named = {"-": (), "--": (3.7, 1.6), "-.": (6.4, 1.6, 1, 1.6), ":": (1, 1.65)}
    return named[style] if isinstance(style, str) else tuple(style[1])


def look_different(a, b) -> bool:
    """Another number of strokes a period, or a longest stroke that is twice as long."""
    a, b = strokes(a), strokes(b)
    if len(a) != len(b):
        return True
    return bool(a) and max(max(a) / max(b), max(b) / max(a)) >= 2


def test_the_simulation_keeps_grey_and_merges_what_it_should():
    greys = np.linspace(0, 1, 5)[:, None].repeat(3, 1)
    red_green = rgb(["#b25a3c", "#6b7a3c"])
    for view in VIEWS:
        assert rgb2lab(seen(greys, view)) == pytest.approx(rgb2lab(greys), abs=0.5)
    usual, blind = (deltaE_cie76(*rgb2lab(seen(red_green, view))) for view in ("usual", "deuteranopia"))
    assert blind < usual / 2


@pytest.mark.parametrize("view", VIEWS)
def test_lines_stay_apart(view):
    assert len(LINE_COLORS) == len(LINE_STYLES)
    lab = rgb2lab(seen(rgb(LINE_COLORS), view))
    for i, j in combinations(range(len(LINE_COLORS)), 2):
        distance = deltaE_cie76(lab[i], lab[j])
        assert distance >= APART or look_different(LINE_STYLES[i], LINE_STYLES[j]), (i, j, distance)
    for color in lab:  # and from the paper
        assert deltaE_cie76(color, [100, 0, 0]) >= APART


def test_neutral_lines_have_no_relaxations_colour_and_stay_apart():
    assert not set(NEUTRAL_COLORS) & set(LINE_COLORS[: len(RELAXATIONS)])
    lab = rgb2lab(rgb(NEUTRAL_COLORS))
    for i, j in combinations(range(len(NEUTRAL_COLORS)), 2):
        assert deltaE_cie76(lab[i], lab[j]) >= APART, (i, j)
        assert look_different(LINE_STYLES[i], LINE_STYLES[j])
    assert max(lab[:, 0]) <= 75  # and from the paper


def test_the_six_relaxations_can_be_told_by_their_lines_alone():
    for a, b in combinations(LINE_STYLES[: len(RELAXATIONS)], 2):
        assert look_different(a, b), (a, b)
