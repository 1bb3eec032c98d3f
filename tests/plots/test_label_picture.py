"""The picture of labels: the photo in grey, tinted by class, the stronger the surer; readable without colour vision."""

from itertools import combinations

import numpy as np
import pytest
import torch
from skimage.color import deltaE_cie76, rgb2gray, rgb2lab

from toykit.plots.images import overlay_seeds
from toykit.plots.label_picture import CERTAIN, OPACITY, certainty, class_shades, label_picture, shaded_classes
from toykit.plots.tints import APART, BACKGROUND, HUES, background_class, class_tints
from toykit.plots.vision import VIEWS, seen


def labels_of(*pixels):
    """Labels (K, 1, N) of N pixels."""
    return torch.from_numpy(np.array(pixels, dtype=float)).T[:, None]


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(0, 256, (1, 3, 3), dtype=np.uint8)


def test_the_class_called_background():
    assert background_class(("cat", "background")) == 1
    assert background_class({3: "cat", 7: "background"}) == 7
    assert background_class(("cat", "dog")) is None


def test_certainty_is_the_lead_of_the_most_likely_class():
    y = labels_of([1, 0, 0], [0.5, 0.5, 0], [0.2, 0.7, 0.1], [1 / 3, 1 / 3, 1 / 3])
    assert certainty(y)[0] == pytest.approx([1, 0, 0.5, 0])
    many = torch.zeros(150, 1, 1)
    many[[3, 140]] = 0.5  # two classes of 150: as undecided as two of two
    assert certainty(many) == 0
    assert certainty(torch.ones(1, 2, 2)).tolist() == [[1, 1], [1, 1]]
    with pytest.raises(ValueError, match=r"labels: expected \(K, H, W\)"):
        certainty(torch.ones(2, 2))


def test_an_undecided_pixel_shows_the_bare_photo_and_a_certain_one_its_tint(photo):
    labels = labels_of([1, 0, 0], [0.5, 0.5, 0], [0, 1, 0])
    picture = label_picture(photo, labels)
    grey, tints = rgb2gray(photo)[0], class_tints(3)
    for pixel, k in ((0, 0), (2, 1)):
        assert picture[0, pixel] == pytest.approx((1 - OPACITY) * grey[pixel] + OPACITY * tints[k])
    assert picture[0, 1] == pytest.approx([grey[1]] * 3)
    assert label_picture(photo, labels, opacity=1)[0, [0, 2]] == pytest.approx(tints[:2])
    assert label_picture(photo, labels_of(*np.eye(3)), opacity=0)[0] == pytest.approx(grey[:, None].repeat(3, 1))


def test_a_line_dark_then_light_separates_decided_classes():
    """Compared with a loop over pixels; the shades with their formula."""
    generator = torch.Generator().manual_seed(0)
    labels = (6 * torch.randn(3, 6, 5, generator=generator)).softmax(0)
    lead, classes = certainty(labels), labels.argmax(0).numpy()
    expected = classes.copy()
    for shade, wins in ((2, np.greater), (1, np.less)):
        for row, column in np.ndindex(6, 5):
            for r, c in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
                inside = 0 <= r < 6 and 0 <= c < 5
                if (
                    inside
                    and wins(classes[row, column], classes[r, c])
                    and min(lead[row, column], lead[r, c]) >= CERTAIN
                ):
                    expected[row, column] = shade * 3 + classes[row, column]
    assert set(np.unique(expected) // 3) == {0, 1, 2}
    assert shaded_classes(labels, lead).tolist() == expected.tolist()
    tints = class_tints(3)
    assert class_shades(tints) == pytest.approx(np.concatenate([tints, 0.4 * tints, 0.4 * tints + 0.6]))
    column = torch.eye(2).repeat(1, 2)[..., None]  # 0, 1, 0, 1 in a picture of one column
    assert shaded_classes(column, certainty(column)).ravel().tolist() == [2, 5, 2, 5]
    picture = label_picture(np.full((6, 5, 3), 99, np.uint8), labels)
    shades, opacity = class_shades(tints)[expected], OPACITY * lead[..., None]
    assert picture == pytest.approx((1 - opacity) * 99 / 255 + opacity * shades)


def test_the_tint_grows_with_certainty_and_takes_given_colours(photo):
    image = photo[:, :1].repeat(3, 1)
    picture = label_picture(image, labels_of([0.6, 0.4], [0.8, 0.2], [1, 0]), np.array([[1.0, 0, 0], [0, 0, 1.0]]))
    grey = rgb2gray(image)[0, 0]
    away = np.abs(picture[0] - grey)
    assert away == pytest.approx(np.array([0.2, 0.6, 1])[:, None] / 1 * away[2], abs=1e-12)
    assert picture[0, 2] == pytest.approx((1 - OPACITY) * grey + OPACITY * np.array([1, 0, 0]))


def test_few_classes_have_fixed_hues_on_a_light_grey_background():
    tints = class_tints(8)
    assert tints[0] == pytest.approx(BACKGROUND)
    assert len(np.unique(tints, axis=0)) == 8
    assert class_tints(7, background=None) == pytest.approx(tints[1:])
    assert class_tints(4, background=2)[[0, 1, 3]] == pytest.approx(tints[1:4])
    mask = np.random.default_rng(0).integers(0, 8, (9, 9))
    assert class_tints(8, mask=mask) == pytest.approx(tints)
    for classes, background in ((0, None), (3, 3), (3, -1)):
        with pytest.raises(ValueError, match="at least one class, and a background among them"):
            class_tints(classes, background)


@pytest.mark.parametrize(("classes", "apart"), [(8, 24), (15, 22), (22, 12)])
def test_tints_without_a_mask_are_far_apart_for_many_classes(classes, apart):
    lab = rgb2lab(class_tints(classes)[None])[0]
    distances = np.linalg.norm(lab[:, None] - lab, axis=2)
    assert distances[~np.eye(classes, dtype=bool)].min() > apart


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("grey", [0.15, 0.5, 0.85])
def test_classes_are_told_apart_by_every_reader(view, grey):
    """In grey the background and the first three objects as well as by colour, the other four less; lines between all."""
    tints = class_tints(8)
    shades = rgb2lab(seen((1 - OPACITY) * grey + OPACITY * class_shades(tints), view))
    for i, j in combinations(range(8), 2):
        assert deltaE_cie76(shades[i], shades[j]) > (4 if view == "grey" and j > 3 else 7), (view, i, j)
        across = shades[[i, 8 + i, 16 + j, j]]  # from the lower class over the line to the higher
        assert deltaE_cie76(across[1:], across[:-1]).max() > 30, (view, i, j)


@pytest.mark.parametrize("num_classes", [21, 150])
def test_classes_that_meet_have_colours_apart(num_classes):
    """Regions of a random map, in blocks of 4 pixels, so that a class meets up to eight others per block."""
    generator = np.random.default_rng(num_classes)
    mask = np.kron(generator.integers(0, num_classes, (4, 5)), np.ones((4, 4), int))
    mask[0, 0] = 255  # unlabelled: ignored
    tints = class_tints(num_classes, mask=mask)
    lab = rgb2lab(tints)
    met = set()
    for a, b in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1]), (mask[1:, 1:], mask[:-1, :-1])):
        met |= {
            tuple(sorted(pair)) for pair in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True) if 255 not in pair
        }
    met = {pair for pair in met if pair[0] != pair[1]}
    assert len(met) > len(HUES)
    for i, j in met:
        assert deltaE_cie76(lab[i], lab[j]) >= APART, (i, j)
    if num_classes == 150:  # without the mask some that meet look the same
        plain = class_tints(num_classes)
        assert any(np.allclose(plain[i], plain[j]) for i, j in combinations(range(1, 150), 2))


def test_errors_name_the_shapes(photo):
    y = labels_of(*np.eye(3))
    for arguments, message in (
        ((photo[:, :2], y), r"image: expected \(1, 3, 3\) like the labels, got \(1, 2, 3\)"),
        ((photo, y, np.zeros((2, 3))), r"tints: expected \(3, 3\), one colour per class, got \(2, 3\)"),
        ((photo, y, None, 1.5), "opacity: expected a number from 0 to 1, got 1.5"),
    ):
        with pytest.raises(ValueError, match=message):
            label_picture(*arguments)


def test_strokes_in_light_colours_have_a_dark_rim():
    seeds = np.full((3, 7), 255)
    seeds[1, 1], seeds[1, 5] = 0, 1
    picture = overlay_seeds(np.full((3, 7, 3), 128, np.uint8), seeds, 2, colors=class_tints(2))
    assert picture[1, 1] == pytest.approx(BACKGROUND)
    assert picture[1, 2].max() < 0.3
    assert picture[1, 6].min() == picture[0, 5].min() == 1
