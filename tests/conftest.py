"""Shared by all tests: fresh global state, one thread, and fixtures from tests/helpers."""

import contextlib
import os
import random
import subprocess
import sys
from pathlib import Path

# Two test workers share two cores, as do the notebooks' kernels and the servers, which inherit these settings. So each gets
# one thread, and waiting threads sleep: busy waiting took three times as long on a loaded machine. torch reads the settings
# once, when it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from helpers import checks, problems
from hypothesis import settings

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("repeatable")


def pytest_sessionstart(session):
    """Compile numba's loops before several workers start, one data type per core; quick where the cache on disk has them."""
    is_worker = hasattr(session.config, "workerinput")
    if is_worker or session.config.option.collectonly or not getattr(session.config.option, "numprocesses", None):
        return
    script = Path(__file__).parent / "helpers" / "compiled.py"
    runs = [subprocess.Popen([sys.executable, script, dtype]) for dtype in ("float32", "float64")]
    for run in runs:
        run.wait()


#: Folders and files that take long.
LONG = (
    "tests/browser",
    "tests/training",
    "notebooks",
    "tests/test_fuzz",
    "tests/test_input_fuzz",
    "tests/test_faults",
    "tests/test_reader_fuzz",
)


def pytest_collection_modifyitems(config, items):
    """Start the long files first, in the random order among them, so that no worker waits for another's at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.fixture(autouse=True)
def _fresh_state():
    """Give each test the same global state, whichever tests ran before it."""
    with _fresh_global_state():
        yield


@pytest.fixture
def fresh_state():
    """Return the context manager that restores global state, to test it."""
    return _fresh_global_state


@contextlib.contextmanager
def _fresh_global_state():
    """Seed the random generators; at the end, restore the settings that a test may change for the whole process.

    These are the working directory, the environment, the random states of Python, numpy and torch, torch's threads, default
    dtype and deterministic flags, and matplotlib's settings. Open figures are closed.
    """
    folder, environment = os.getcwd(), dict(os.environ)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    deterministic = _deterministic()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    settings = dict.copy(sys.modules["matplotlib"].rcParams) if "matplotlib" in sys.modules else None
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    torch.manual_seed(0)
    try:
        yield
    finally:
        os.chdir(folder)
        _restore_environment(environment)
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
        torch.set_default_dtype(dtype)
        if _deterministic() != deterministic:  # setting them imports a large part of torch
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        torch.set_num_threads(threads)
        if "matplotlib" in sys.modules:
            _restore_matplotlib(settings)


def _deterministic():
    return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()


def _restore_environment(environment):
    ours = "PYTEST_CURRENT_TEST"  # pytest sets it, and removes it itself
    for name in set(os.environ) - set(environment) - {ours}:
        del os.environ[name]
    os.environ.update({name: value for name, value in environment.items() if name != ours})


def _restore_matplotlib(settings):
    """Close all figures; restore the settings, or those of matplotlib's first import, except the backend."""
    matplotlib = sys.modules["matplotlib"]
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    settings = dict.copy(matplotlib.rcParamsOrig if settings is None else settings)
    settings.pop("backend", None)
    dict.update(matplotlib.rcParams, settings)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


@pytest.fixture
def make_problem():
    return problems.make_problem


@pytest.fixture
def check_solution():
    return checks.check_solution


@pytest.fixture
def check_fast():
    return checks.check_fast
