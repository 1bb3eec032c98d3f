"""Photos with the project's scribbles: labels of every class, in the right places, at every size."""

import numpy as np
import pytest

from toykit.datasets import PHOTOS, photo, photos


@pytest.mark.parametrize("name", PHOTOS)
def test_every_photo_has_scribbles_of_its_classes(name):
    sample = photo(name)
    assert sample.image.dtype == np.uint8
    assert sample.image.shape == (*sample.seeds.shape, 3)
    assert set(np.unique(sample.seeds)) == {*range(len(sample.classes)), 255}
    assert 0.01 < sample.seeded_share() < 0.06


def test_scribbled_classes_differ_in_colour_or_place():
    """Most seeds of each photo are nearest to the mean of their own class; misplaced scribbles would blur this."""
    from toykit.seed_model import seed_logits

    for sample in photos(200):
        image, seeds = sample.tensors()
        predicted = seed_logits(image, seeds, len(sample.classes)).argmax(1)
        assert (predicted == seeds)[seeds != 255].float().mean() > 0.8, sample.name


def test_photos_scale_with_their_seeds():
    sample = photo("coffee", long_side=150)
    assert sample.seeds.shape == (100, 150)
    assert sample.image.shape == (100, 150, 3)
    assert photo("coffee", long_side=10_000).image.shape == photo("coffee").image.shape  # never enlarged
    with pytest.raises(ValueError, match=r"photo: expected one of chelsea, .* got 'dog'"):
        photo("dog")
