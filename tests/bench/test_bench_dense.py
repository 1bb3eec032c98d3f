"""The dense neighbourhoods' benchmark measures what it says: no timings here, only that each case runs and is honest."""

import importlib.util

import pytest
import torch

from toykit.bench import dense as bench_dense
from toykit.neighborhoods import Dense, bilateral


def test_the_error_is_the_largest_of_the_photos():
    measured_errors = bench_dense.errors()
    assert set(measured_errors) == set(bench_dense.PRESETS)
    assert all(1e-4 < error < 0.01 for error in measured_errors.values())


@pytest.mark.parametrize("preset", bench_dense.PRESETS)
def test_all_pairs_are_the_neighborhoods_own(preset, monkeypatch):
    """The pairs whose product is timed have the weights that the exact neighbourhood has."""
    neighborhood, (image, y) = bench_dense.PRESETS[preset], bench_dense.inputs(12, 16)
    made = []

    class Watched(bilateral.BruteForce):
        def __init__(self, features):
            super().__init__(features)
            made.append(self)

    monkeypatch.setattr(bench_dense, "BruteForce", Watched)
    row = bench_dense.all_pairs_case(neighborhood, image, y)
    assert row["forward"] > 0
    exact = Dense(neighborhood.bandwidth, neighborhood.spatial_bandwidth, neighborhood.downscale, exact=True)
    kept = exact.edges(image).filters[0].kept
    assert torch.allclose(made[0].kept, kept, atol=1e-4)


def test_the_filter_and_what_is_not_installed():
    row = bench_dense.measure("grid", "15 / 100, half", (12, 16), torch.get_num_threads())
    assert set(row) == {"build", "forward", "backward", "megabytes"}
    assert all(value >= 0 for value in row.values())
    if importlib.util.find_spec("pydensecrf") is None:
        assert bench_dense.measure("pydensecrf", "9 / 100", (12, 16), torch.get_num_threads()) is None
