"""Simulated scribbles: inside objects, smooth, one per object, determined by seed and name; about 3% of real VOC masks."""

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from toykit._shared.resources import data_root
from toykit.datasets import load
from toykit.datasets.voc import CLASSES
from toykit.supervision import Supervision, simulate

NAMES = tuple("abcd")


def random_mask(seed, height=70, width=90, classes=4):
    """Blobs of all classes, uint8 (H, W)."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((classes, height, width)), (0, 6, 6))
    return noise.argmax(0).astype(np.uint8)


@given(st.integers(0, 10_000), st.integers(20, 90), st.integers(20, 90), st.sampled_from([1, 3, 5]))
def test_strokes_stay_inside_one_per_object(seed, height, width, pen):
    mask = random_mask(seed, height, width)
    scribbles = simulate(mask, NAMES, "x", seed, pen)
    seeds = scribbles.draw()
    drawn = seeds != 255
    assert np.array_equal(seeds[drawn], mask[drawn])
    objects = sum(ndimage.label(mask == k)[1] for k in range(4))
    assert len(scribbles.strokes) <= objects
    for k in range(4):
        parts, count = ndimage.label(mask == k)
        for part in range(1, count + 1):
            depth = ndimage.distance_transform_edt(np.pad(parts == part, 1)).max()
            if depth >= 6:  # room for any of these pens
                assert ndimage.label(drawn & (parts == part), np.ones((3, 3)))[1] == 1


def test_away_from_the_boundary_and_smooth():
    mask = random_mask(3, 200, 260, 3)
    scribbles = simulate(mask, NAMES, "x")
    drawn = scribbles.draw() != 255
    depth = sum(ndimage.distance_transform_edt(mask == k) for k in range(3))
    assert np.median(depth[drawn]) > np.median(depth)
    for stroke in scribbles.strokes:
        steps = np.diff(np.array(stroke.points), axis=0)
        turns = np.abs(np.diff(np.unwrap(np.arctan2(*steps.T))))
        if len(turns) > 20:
            assert (
                np.median(turns) < 0.3
            )  # most of a path hardly bends; sharp turns are where it continues to another place


def test_every_argument_matters():
    mask = random_mask(5, 120, 150)
    first = simulate(mask, NAMES, "x", seed=0)
    assert first == simulate(mask, NAMES, "x", seed=0)
    assert first.strokes != simulate(mask, NAMES, "y", seed=0).strokes
    assert first.strokes != simulate(mask, NAMES, "x", seed=1).strokes
    assert {s.width for s in simulate(mask, NAMES, "x", width=1).strokes} == {1.0}
    large = mask.repeat(3, axis=0).repeat(3, axis=1)
    less, more = ((simulate(large, NAMES, "x", share=s).draw() != 255).mean() for s in (0.01, 0.03))
    assert less < 0.6 * more
    assert {s.label for s in simulate(mask, NAMES[:2], "x").strokes} <= {"a", "b"}  # ids beyond the names are void


def test_small_and_thin_objects():
    mask = np.zeros((100, 100), np.uint8)
    mask[10:13, 10:90] = 1  # three pixels thick: a pen of one
    mask[50:52, 10:90] = 2  # two pixels thick: nothing
    mask[80:82, 80:82] = 3  # tiny: nothing
    strokes = simulate(mask, NAMES, "x").strokes
    assert [(s.label, s.width) for s in strokes] == [("a", 3.0), ("b", 1.0)]
    assert simulate(np.full((50, 50), 255, np.uint8), NAMES, "x").strokes == ()


def test_the_same_in_another_process_whatever_was_read_before():
    code = """
import numpy as np
from toykit.supervision import simulate
mask = np.zeros((60, 80), np.uint8); mask[20:50, 20:60] = 1
print([s.points for s in simulate(mask, ("a", "b"), "x", 3).strokes])
"""
    run = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": "1"},
                         capture_output=True, text=True, check=True)  # fmt: skip
    mask = np.zeros((60, 80), np.uint8)
    mask[20:50, 20:60] = 1
    simulate(mask, ("a", "b"), "another", 3)
    assert run.stdout.strip() == str([s.points for s in simulate(mask, ("a", "b"), "x", 3).strokes])


@pytest.mark.skipif(not (data_root() / "VOC2012").is_dir(), reason="VOC2012 not found under TOYKIT_DATA")
def test_three_percent_of_real_masks():
    dataset = load("voc", "train", supervision=Supervision("simulated"), limit=40)
    assert dataset.classes == CLASSES
    shares = []
    for sample in dataset:
        drawn = sample.seeds != 255
        assert np.array_equal(sample.seeds[drawn], sample.mask[drawn])
        shares.append(drawn.mean())
    assert 0.025 < np.mean(shares) < 0.035
