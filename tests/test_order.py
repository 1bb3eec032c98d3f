"""Tests may run in any order: each starts from the same global state, and the cells of a notebook keep their order."""

import itertools
import os
import random
import re
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch

ROOT = Path(__file__).parent.parent


def global_state():
    """Return the state that `fresh_state` restores, as comparable values."""
    return {
        "folder": os.getcwd(),
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "python": random.getstate(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "torch": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "benchmark": torch.backends.cudnn.benchmark,
        "matplotlib": dict(mpl.rcParams),
    }


def change_global_state(folder):
    os.chdir(folder)
    os.environ["TOYKIT_DATA"] = "elsewhere"
    os.environ.pop("PATH")
    random.random()
    np.random.rand()  # noqa: NPY002
    torch.rand(1)
    torch.set_num_threads(2)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = not torch.backends.cudnn.benchmark
    mpl.rcParams.update({"figure.constrained_layout.use": True, "font.size": 31})
    raise RuntimeError("a test that fails")


def test_no_test_leaves_global_state_behind(fresh_state, tmp_path):
    before = global_state()
    with pytest.raises(RuntimeError, match="a test that fails"), fresh_state():
        change_global_state(tmp_path)
    assert global_state() == before


def test_each_test_starts_from_the_same_random_numbers(fresh_state):
    draws = []
    for _ in range(2):
        with fresh_state():
            draws.append((random.random(), float(np.random.rand()), float(torch.rand(1))))  # noqa: NPY002
        torch.rand(3)
    assert draws[0] == draws[1]


def test_cells_of_a_notebook_stay_in_order_in_a_shuffled_run():
    pytest.importorskip("pytest_randomly")
    names = ["notebooks/01_moves.ipynb", "notebooks/02_relaxations.ipynb"]
    command = [sys.executable, "-m", "pytest", *names, "-o", "addopts=", "--nbval-lax", "-p", "no:cacheprovider"]
    command += ["--collect-only", "-q", "--randomly-seed=1"]  # without the hook this seed shuffles the cells
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    cells_run = [(name, int(cell)) for name, cell in re.findall(r"^(\S+)::Cell (\d+)$", run.stdout, re.MULTILINE)]
    groups = {
        name: [cell for _, cell in group] for name, group in itertools.groupby(cells_run, key=lambda pair: pair[0])
    }
    assert sorted(groups) == names
    assert len(cells_run) == sum(map(len, groups.values()))  # the cells of each notebook are consecutive
    for cells in groups.values():
        assert cells == list(range(len(cells)))
        assert len(cells) > 5
