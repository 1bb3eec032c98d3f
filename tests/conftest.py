"""Shared by all tests: fresh global state, one thread, a maker of small sub-problems, the checker of a Solution."""

import contextlib
import os
import random
import sys

# Two test workers (and the notebooks' kernels and the servers, which inherit this) share two cores: one thread each, and
# threads that wait should sleep. Threads of two processes that wait for each other took three times as long on a loaded
# machine. Read once, when torch and numba are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from hypothesis import settings

from toykit import PADDING, UNLABELLED, solve

torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _fresh_state():
    """Give each test the same global state, whichever tests ran before it."""
    with _fresh_global_state():
        yield


@pytest.fixture
def fresh_state():
    """The context manager that restores global state, for the test of it."""
    return _fresh_global_state


@contextlib.contextmanager
def _fresh_global_state():
    """Seed the random generators; at the end, restore the settings that a test may change for the whole process.

    These are the working directory, the environment, the random states of Python, numpy and torch, torch's threads, default
    dtype and deterministic flags, numba's threads and matplotlib's settings. Open figures are closed.
    """
    folder, environment = os.getcwd(), dict(os.environ)
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    deterministic = _deterministic()
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    numba_threads = sys.modules["numba"].get_num_threads() if "numba" in sys.modules else None
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
        if _deterministic() != deterministic:  # setting them imports much of torch
            torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
        if "numba" in sys.modules:
            numba = sys.modules["numba"]
            numba.set_num_threads(numba_threads or numba.config.NUMBA_NUM_THREADS)
        torch.set_num_threads(threads)  # after numba, which may change it
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
    """Close all figures; restore the settings, or those of matplotlib's first import. The backend stays."""
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
    return _make_problem


@pytest.fixture
def check_solution():
    return _check_solution


@pytest.fixture
def check_fast():
    return _check_fast


def _make_problem(batch=2, classes=3, height=6, width=7, dtype=torch.float64, seed=0, padding=False):
    """(logits, image, seeds): noisy logits, a smooth image in 0..255, one pixel in six a seed, the rest unlabelled."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, height, width, generator=g, dtype=torch.float64) * 2
    coarse = torch.rand(batch, 3, 3, 3, generator=g, dtype=torch.float64) * 120
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    image = image + 4 * torch.rand(image.shape, generator=g, dtype=torch.float64)
    seeds = torch.randint(0, classes, (batch, height, width), generator=g)
    keep = torch.rand(seeds.shape, generator=g) < 1 / 6
    seeds = seeds.where(keep, UNLABELLED)
    if padding:
        seeds[:, -1], seeds[:, :, -1] = PADDING, PADDING
    return logits.to(dtype), image.to(dtype), seeds


def _check_solution(solution, energy, logits, image, seeds, tolerance=1e-6):
    """What every solver owes: labels in the simplex, vertices on seeds, predictions on padding, an honest trace."""
    labels, batch = solution.labels, len(logits)
    assert labels.shape == logits.shape
    assert not labels.requires_grad
    assert labels.isfinite().all()
    assert (labels >= 0).all()
    assert (labels.sum(1) - 1).abs().max() < tolerance
    is_seed = seeds < PADDING
    expected = torch.nn.functional.one_hot(seeds.where(is_seed, 0), logits.shape[1]).movedim(-1, 1)
    assert torch.equal(labels.where(is_seed[:, None], 0), expected.where(is_seed[:, None], 0).to(labels))
    prediction = logits.to(labels.dtype).softmax(1)
    padding = (seeds == PADDING)[:, None]
    assert torch.allclose(labels.where(padding, 0), prediction.where(padding, 0), rtol=0, atol=tolerance)
    assert solution.energies.shape == (solution.steps + 1, batch)
    assert solution.residual.shape == (batch,)
    value = energy(labels, logits.to(labels.dtype), image, seeds)
    assert torch.allclose(solution.energies[-1], value, rtol=tolerance, atol=tolerance)
    assert isinstance(solution.converged, bool)
    assert solution.message


def _check_fast(energy, *problem):
    """What the fast solver owes on every neighbourhood: it arrives, never goes up, and ends no higher than the paper's."""
    solution = solve(*problem, energy, tolerance=1e-5)
    _check_solution(solution, energy, *problem)
    assert solution.converged
    assert (solution.energies.diff(dim=0) <= 0).all()
    adam = solve(*problem, energy, "gradient", tolerance=0.9)
    assert solution.energies[-1].mean() < 1.001 * adam.energies[-1].mean()
