"""Simulated seeds on disk: drawn once, equal to those drawn again, never those of another mask or supervision."""

import zlib

import numpy as np
import pytest

from toykit.supervision import Supervision, seed_files, simulate
from toykit.supervision.seed_files import simulated_seeds

CLASSES = ("background", "cat", "dog")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "toykit" / "seeds"


@pytest.fixture
def mask():
    mask = np.zeros((60, 80), np.uint8)
    mask[10:40, 20:60] = 1
    return mask


def seeds(compressed, mask):
    return np.frombuffer(zlib.decompress(compressed), np.uint8).reshape(mask.shape)


def test_they_are_the_generators_and_drawn_once(folder, mask, monkeypatch):
    supervision = Supervision("simulated", ratio=0.5, seed=3)
    expected = simulate(mask, CLASSES, "a", 3, supervision.width).shorten(0.5).draw()
    assert np.array_equal(seeds(simulated_seeds(mask, CLASSES, "a", supervision), mask), expected)
    monkeypatch.setattr(seed_files, "simulate", None)  # not called again
    assert np.array_equal(seeds(simulated_seeds(mask, CLASSES, "a", supervision), mask), expected)


def test_all_that_decides_the_strokes_is_in_the_name(folder, mask):
    supervision = Supervision("simulated")
    other = mask.copy()
    other[50:, :20] = 2
    cases = [
        (mask, CLASSES, "a", supervision),
        (other, CLASSES, "a", supervision),
        (mask, CLASSES[:2], "a", supervision),
        (mask, CLASSES, "b", supervision),
        (mask, CLASSES, "a", Supervision("simulated", ratio=0)),
        (mask, CLASSES, "a", Supervision("simulated", seed=1)),
        (mask, CLASSES, "a", Supervision("simulated", width=5)),
    ]
    for number, case in enumerate(cases, start=1):
        simulated_seeds(*case)
        assert len([p for p in folder.rglob("*") if p.is_file()]) == number


def test_a_damaged_file_is_made_again(folder, mask):
    supervision = Supervision("simulated")
    expected = simulated_seeds(mask, CLASSES, "a", supervision)
    (path,) = (p for p in folder.rglob("*") if p.is_file())
    for damage in (b"", b"seeds", zlib.compress(b"short")):
        path.write_bytes(damage)
        assert simulated_seeds(mask, CLASSES, "a", supervision) == expected


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path, mask, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert seeds(simulated_seeds(mask, CLASSES, "a", Supervision("simulated")), mask).max() == 255
