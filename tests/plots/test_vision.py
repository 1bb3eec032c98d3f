"""Pictures as other readers see them, and how far apart classes are in them."""

import numpy as np
import pytest
import torch
from skimage.color import rgb2gray, rgb2lab

from toykit.plots.vision import MACHADO, VIEWS, before_after, class_difference, seen


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((4, 5, 3))


def test_views_change_what_they_should(picture):
    assert seen(picture, "usual") is picture
    assert seen(picture, "grey") == pytest.approx(rgb2gray(picture)[..., None].repeat(3, -1))
    for view in MACHADO:
        changed = seen(picture, view)
        assert changed.shape == picture.shape
        assert changed.min() >= 0
        assert changed.max() <= 1
        assert np.abs(changed - picture).max() > 0.1
    with pytest.raises(ValueError, match="view: expected one of usual, grey"):
        seen(picture, "blue")


def test_the_difference_is_that_of_the_most_similar_classes():
    colors = np.array([[1.0, 0, 0], [0, 0, 1.0], [0, 0.1, 1.0], [1, 1, 1]])
    labels = torch.eye(4).T[:, None]
    labels[:, :, 3] = 0.25  # undecided: left out, whatever its colour
    for view in VIEWS:
        lab = rgb2lab(seen(colors, view))
        expected = min(np.linalg.norm(lab[a] - lab[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
        assert class_difference(colors[None], labels, view) == pytest.approx(expected)
    assert np.isnan(class_difference(colors[None], torch.full((4, 1, 4), 0.25), "usual"))


def test_the_figure_of_the_how_to_page_can_be_made_anew():
    figure = before_after(("chelsea",), long_side=40, views=("usual", "grey"))
    shown = [axis for axis in figure.axes if axis.get_images()]
    assert [axis.get_title().split("\n")[1].split(":")[0] for axis in shown] == ["usual", "grey"] * 2
    for axis in shown[1::2]:
        grey = axis.get_images()[0].get_array()
        assert np.ptp(grey, axis=-1).max() == pytest.approx(0, abs=1e-12)
