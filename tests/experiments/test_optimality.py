"""The gradient solver's way to the closed-form optimum (section A)."""

import pytest
import torch

from toykit import datasets
from toykit.experiments.optimality import change_left, to_optimum
from toykit.neighborhoods import NearestNeighbors


def test_trajectories_end_at_the_optimum_and_arguments_matter():
    sample = datasets.photo("chelsea", 48)
    gd, adam = to_optimum(sample, steps=150)
    assert (gd.optimizer, adam.optimizer, adam.name) == ("gd", "adam", "chelsea")
    assert len(adam.energies) == len(adam.jaccard) == 151
    assert adam.excess[-1] < 1e-2 < gd.excess[-1] < gd.excess[0]
    assert adam.jaccard[-1] > 0.995 > adam.jaccard[0]
    assert (adam.excess > -1e-9).all()
    for change in ({"eta": 1.0}, {"lam": 1.0}, {"neighborhood": NearestNeighbors(20.0)}):
        (changed,) = to_optimum(sample, ("adam",), steps=2, **change)
        assert changed.optimum != pytest.approx(adam.optimum, rel=1e-3)
    _, seeds = sample.tensors()
    logits = torch.zeros(1, len(sample.classes), *seeds.shape[1:])
    assert to_optimum(sample, ("adam",), steps=2, logits=logits)[0].optimum != pytest.approx(adam.optimum, rel=1e-3)


def test_change_left_is_shares():
    sample = datasets.photo("chelsea", 48)
    left, share = change_left(sample, "gd", steps=40)
    assert share.nansum() == pytest.approx(1)
    assert left[3] > left[1]  # the most confident change last
    assert left[3] > 0.9
    assert (change_left(sample, "adam", steps=150)[0] < left).all()
    nothing_done, _ = change_left(sample, "gd", steps=1, lr=1e-9)
    assert torch.allclose(nothing_done, torch.ones(4).double(), atol=1e-6)
