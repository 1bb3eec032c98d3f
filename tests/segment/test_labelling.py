"""One photo's labels: ids with gaps, and large photos on cells."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates

from toykit import Energy, NearestNeighbors, SparseNonLocal
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


def test_a_large_photo_has_cells_and_a_looser_tolerance_and_its_message_says_so(tmp_path, monkeypatch):
    """What is given is kept."""
    monkeypatch.setattr(labelling, "LARGE", 100)
    monkeypatch.setattr(labelling, "CELLS", 60)
    calls = []

    def solve(*inputs, tolerance=None, **_):
        calls.append((tolerance, inputs[0].shape[2:], inputs[3].lam))
        labels = torch.full(inputs[0].shape, 0.5)
        return Solution(labels, torch.zeros(1, 1), 0, torch.zeros(1), True, "solved")

    monkeypatch.setattr(labelling, "solve", solve)
    monkeypatch.setattr(labelling, "write_picture", lambda *_: None)
    loose, messages = labelling.LARGE_TOLERANCE, []
    given = {"tolerance": 1e-5, "stride": 1}
    for width, options in (
        (10, {}),
        (11, {}),
        (11, given),
        (31, {}),
        (4, {"stride": np.int64(4)}),
        (11, {"start": torch.ones(1)}),
    ):
        seeds = np.full((10, width), 255, np.uint8)
        seeds[2, 2:4] = 0, 1
        sample = Sample("a", np.zeros((10, width, 3), np.uint8), seeds, ("x", "y"))
        result = segment(sample, tmp_path, Energy(eta=0, lam=6), **options)
        messages.append(result.solution.message)
        assert result.solution.labels.shape == (1, 2, 10, width)
        if "cells of" in messages[-1]:  # the stub above sets no seeds
            assert torch.equal(result.solution.labels[0, :, 2, 2:4], torch.eye(2))
    # with the stride s, an edge between cells stands for s edges and a cell for s^2 pixels
    assert calls == [
        (None, (10, 10), 6),
        (loose, (5, 6), 3),
        (1e-5, (10, 11), 6),
        (loose, (4, 11), 2),
        (None, (3, 1), 1.5),
        (loose, (10, 11), 6),
    ]
    assert [message == "solved" for message in messages] == [True, False, True, False, False, False]
    loose_ones = [text for text in messages if "0.10%" in text and "megapixels" in text]
    assert loose_ones == [messages[1], messages[3], messages[5]]
    assert ["cells of" in text for text in messages] == [False, True, False, True, True, False]
    assert "3 x 3 pixels" in messages[3]
    calls.clear()  # other solvers and neighbourhoods keep the pixels
    segment(sample, tmp_path, Energy(eta=0), "gradient")
    segment(sample, tmp_path, Energy(eta=0, neighborhood=SparseNonLocal()))
    assert [size for _, size, _ in calls] == [(10, 11)] * 2


def blocky_photo():
    """A photo of 2 x 2 equal pixels, its small version, and strokes likewise."""
    generator = np.random.default_rng(0)
    small = generator.integers(0, 256, (9, 12, 3), np.uint8)
    seeds = np.full((9, 12), 255, np.uint8)
    seeds[2, 1:4], seeds[6, 7:11], seeds[0, :] = 0, 1, 254
    samples = [
        Sample("photo", image.repeat(n, 0).repeat(n, 1), seeds.repeat(n, 0).repeat(n, 1), ("x", "y"))
        for n, image in ((1, small), (2, small))
    ]
    return samples, generator.normal(size=(1, 2, 9, 12))


def bilinear(x, factor):
    """Interpolate (H, W) between the centres of cells; beyond them the nearest cell's value holds."""
    grids = [np.clip((np.arange(n * factor) + 0.5) / factor - 0.5, 0, n - 1) for n in x.shape]
    return map_coordinates(x, np.meshgrid(*grids, indexing="ij"), order=1)


@pytest.mark.parametrize("given", [False, True])
def test_labels_of_cells_are_those_of_the_smaller_photo(given, tmp_path):
    """With lam / 2, bilinear between the cells, and exact on the seeds; for a model of the seeds and for a network's logits."""
    (small, large), scores = blocky_photo()
    energy = Energy(lam=4.0, neighborhood=NearestNeighbors(40, 8))
    logits = torch.from_numpy(scores) if given else None
    expected = segment(small, tmp_path / "small", replace(energy, lam=2.0), logits=logits)
    whole = None if logits is None else logits.repeat_interleave(2, 2).repeat_interleave(2, 3)
    result = segment(large, tmp_path / "large", energy, logits=whole, stride=2)
    of_cells = expected.solution.labels[0].double().numpy()
    labels = np.stack([bilinear(plane, 2) for plane in of_cells])
    for k in range(2):
        labels[:, large.seeds == k] = np.eye(2)[k][:, None]
    clear = slice(3, None)  # beside padding, the labels of its cells mix in
    assert np.allclose(result.solution.labels[0, :, clear].numpy(), labels[:, clear], atol=1e-6)
    assert torch.equal(result.solution.energies, expected.solution.energies)
    assert np.array_equal(result.mask[clear], labels.argmax(0)[clear])
    assert (result.mask[large.seeds == 254] == 254).all()
    with np.load(result.files["labels.npz"]) as archive:
        assert np.array_equal(archive["labels"], result.solution.labels[0].float().numpy())


def test_a_class_whose_cell_another_one_wins_keeps_its_id(tmp_path):
    """Its only seed keeps its label at the pixel, and the message names the class."""
    (_, sample), _ = blocky_photo()
    seeds = sample.seeds.copy()
    seeds[seeds == 1] = 5
    seeds[4, 2] = 3  # three of the cell's four pixels are of class 0
    result = segment(replace(sample, seeds=seeds, classes=tuple("abcdef")), tmp_path, Energy(), stride=2)
    assert result.mask[4, 2] == 3
    assert {0, 3, 5, 254} == set(np.unique(result.mask))
    assert "no cell has the seeds of d," in result.solution.message


@pytest.mark.parametrize(
    ("logits", "message"),
    [
        (torch.zeros(1, 2, 9, 12), r"expected \(1, K, 18, 24\) like the photo, got \(1, 2, 9, 12\)"),
        (torch.zeros(2, 18, 24), "logits"),
        (torch.zeros(1, 2, 18, 24, dtype=torch.int64), "logits"),
        (torch.full((1, 2, 18, 24), torch.nan), "864"),
        (torch.zeros(1, 2, 18, 24).numpy(), "logits"),
    ],
)
@pytest.mark.parametrize("stride", [1, 2])
def test_logits_are_checked_at_the_pixels(logits, message, stride, tmp_path):
    """Before any work, for each stride. Reversed and read-only seeds are no fault."""
    (_, sample), scores = blocky_photo()
    with pytest.raises((TypeError, ValueError), match=message):
        segment(sample, tmp_path / "new", Energy(), logits=logits, stride=stride)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="seeds"):  # a class that the logits lack
        segment(replace(sample, seeds=sample.seeds | 2), tmp_path / "new", Energy(), logits=torch.zeros(1, 2, 18, 24))
    seeds = sample.seeds[::-1]
    seeds.flags.writeable = False
    whole = torch.from_numpy(scores).repeat_interleave(2, 2).repeat_interleave(2, 3)
    segment(replace(sample, image=sample.image[::-1], seeds=seeds), tmp_path, Energy(), logits=whole, stride=stride)


def test_cells_are_for_adjacent_pixels_only(tmp_path):
    """The weight of the pairwise term is known there; no file is written, and the default stride of others is 1."""
    (_, sample), _ = blocky_photo()
    with pytest.raises(ValueError, match=r"stride=2: needs NearestNeighbors, got SparseNonLocal"):
        segment(sample, tmp_path / "new", Energy(neighborhood=SparseNonLocal()), stride=2)
    assert not (tmp_path / "new").exists()
    with pytest.raises(ValueError, match="stride"):
        segment(sample, tmp_path / "new", Energy(), stride=0)
