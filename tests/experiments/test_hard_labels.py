"""Rounded soft labels against the graph cut."""

import dataclasses

import numpy as np
import pytest
import torch

from toykit import datasets
from toykit.experiments import hard_labels
from toykit.potts import RELAXATIONS


def test_hard_labels_against_rounded_soft_ones():
    pytest.importorskip("maxflow")
    samples = datasets.photos(32, ("chelsea", "coins"))
    samples[1] = dataclasses.replace(samples[1], mask=np.zeros_like(samples[1].seeds))
    rows = hard_labels.compare(samples, "CE", eta=0.3, lam=6.0)
    by_way = {(row.method, row.relaxation, row.rounding): row for row in rows}
    assert len(by_way) == 2 + 2 * 7
    assert next(iter(by_way)) == ("graph_cut", "BL", None)
    assert (rows[0].excess == 0).all()
    for row in rows:
        assert row.energies.shape == row.excess.shape == row.accuracy.shape == (2,)
        assert row.accuracy[0].isnan()  # no ground truth
        assert 0 <= row.accuracy[1] <= 1
        assert row.excess[1] >= -1e-9  # two classes: the cut is the optimum
    assert any(by_way["fast", name, "greedy"].excess[1] > 0 for name in RELAXATIONS)
    assert any(
        not torch.equal(by_way["fast", name, "argmax"].energies, by_way["fast", name, "greedy"].energies)
        for name in RELAXATIONS
    )
    text = hard_labels.format_roundings(rows)
    assert len(text.splitlines()) == 1 + len(rows)
    other = hard_labels.compare(samples[:1], "CCE", eta=1.0, lam=1.0)
    assert other[0].energies[0] != rows[0].energies[0]
