"""One photo's labels: ids with gaps."""

import numpy as np
import pytest
import torch

from toykit import Energy
from toykit.datasets.sample import Sample
from toykit.segment import class_shares, hard_mask, labelling, occurring_classes, segment
from toykit.solvers import Solution


@pytest.mark.parametrize("ids", [(7, 253), (253,)])
def test_ids_with_gaps_are_solved_as_those_without(ids, tmp_path):
    """No array is kept for an id that does not occur, except in the file, where a class keeps its number."""
    generator = np.random.default_rng(0)
    image = generator.integers(0, 256, (10, 12, 3), np.uint8)
    plain = np.full((10, 12), 255, np.uint8)
    for number, k in enumerate(range(2 - len(ids), 2)):  # a single class is the second of two
        plain[2:-2, 3 + 5 * number] = k
    gaps = np.array([ids[0] if len(ids) > 1 else 0, ids[-1], *range(2, 256)], np.uint8)[plain]
    samples = [Sample("a", image, plain, ("x", "y")), Sample("b", image, gaps, tuple(f"class {k}" for k in range(254)))]
    first, second = (segment(sample, tmp_path, Energy("Q", "Q"), "closed_form", rounds=0) for sample in samples)
    assert second.solution.labels.shape == first.solution.labels.shape == (1, 2, 10, 12)
    assert torch.equal(second.solution.labels, first.solution.labels)
    assert set(np.unique(second.mask)) == set(ids)
    assert np.array_equal(hard_mask(samples[1], second.solution), second.mask)
    assert list(occurring_classes(samples[1], second.solution)) == list(ids)
    assert list(class_shares(samples[1], second.solution).values()) == list(
        class_shares(samples[0], first.solution).values()
    )
    with np.load(second.files["labels.npz"]) as archive:
        assert archive["labels"].dtype == np.float32
        assert archive["labels"].shape == (254, 10, 12)
        assert np.flatnonzero(archive["labels"].any((1, 2))).tolist() == list(ids)
        assert np.array_equal(archive["labels"][ids[-1]], first.solution.labels[0, 1].float().numpy())
        assert archive["classes"].tolist() == list(samples[1].classes)


def test_a_large_photo_has_a_looser_default_tolerance_and_its_message_says_so(tmp_path, monkeypatch):
    """What is given is kept."""
    monkeypatch.setattr(labelling, "LARGE", 100)
    tolerances = []

    def solve(*inputs, tolerance=None, **_):
        tolerances.append(tolerance)
        labels = torch.full(inputs[0].shape, 0.5)
        return Solution(labels, torch.zeros(1, 1), 0, torch.zeros(1), True, "solved")

    monkeypatch.setattr(labelling, "solve", solve)
    monkeypatch.setattr(labelling, "_write_picture", lambda *_: None)
    messages = []
    for size, options in ((10, {}), (11, {}), (11, {"tolerance": 1e-5})):
        seeds = np.full((10, size), 255, np.uint8)
        seeds[2, 2:4] = 0, 1
        sample = Sample("a", np.zeros((10, size, 3), np.uint8), seeds, ("x", "y"))
        messages.append(segment(sample, tmp_path, Energy(eta=0), **options).solution.message)
    assert tolerances == [None, labelling.LARGE_TOLERANCE, 1e-5]
    assert [message == "solved" for message in messages] == [True, False, True]
    assert "0.10%" in messages[1]
    assert "megapixels" in messages[1]
