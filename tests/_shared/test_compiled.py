"""Compiled loops: kept on disk, compiled again when a source changes, and compiled without the disk where none is writable."""

import subprocess
import sys

import numba
import numpy as np

from toykit._shared.compiled import outer


def sum_of(sources):
    """Return a new compiled loop whose code depends, so to say, on some sources."""

    @outer(sources)
    def loop(digest):
        def add(x, out):
            _ = digest
            for value in x:
                out[0] += value

        return add

    return loop


def test_a_changed_source_compiles_the_loop_again(tmp_path, monkeypatch):
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    source, hits = tmp_path / "source.py", []
    for text in ("1", "1", "2", "2"):
        source.write_text(text)
        loop, out = sum_of([source]), np.zeros(1)
        loop(np.arange(4.0), out)
        assert out == 6
        hits.append(sum(loop.stats.cache_hits.values()))
    assert hits == [0, 1, 0, 1]


def test_all_loops_are_compiled_where_no_folder_can_be_written():
    """There, numba refuses to cache."""
    code = """
import numba
from numba.core import caching
caching.CacheImpl._locator_classes = []
from toykit.neighborhoods import bilateral_loops
from toykit.solvers.block_descent.numba_kernel import edge_list, grid
from toykit.solvers.random_walker import over_relaxation
try:
    numba.njit(cache=True)(lambda x: x)
except RuntimeError as error:
    assert "cannot cache function" in str(error)
else:
    raise AssertionError("numba found a folder")
loops = [grid.survey, grid.sweep, grid.energy, edge_list.sweep, edge_list.energy]
loops += [bilateral_loops.weigh, bilateral_loops.filter_classes, over_relaxation._sweep, over_relaxation._subtract]
assert all(loop.targetoptions["nogil"] for loop in loops)
"""
    subprocess.run([sys.executable, "-c", code], check=True)
