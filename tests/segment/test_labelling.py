"""One photo's labels: ids with gaps."""

import numpy as np
import pytest
import torch

from toykit import Energy
from toykit.datasets.sample import Sample
from toykit.segment import class_shares, hard_mask, occurring_classes, segment


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
