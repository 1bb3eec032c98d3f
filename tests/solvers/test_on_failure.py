"""What happens when a solver does not converge: a warning, nothing, or an error, as the caller chooses."""

import copy
import pickle
import warnings

import pytest
import torch

from toykit import ConvergenceError, ConvergenceWarning, Energy, random_walker, solve
from toykit.solvers import ON_FAILURE

REMEDY = "2 of 2 images had not converged .* take a larger max_steps or tolerance"
#: Options with which each solver stops too early.
TOO_SHORT = [
    ("fast", Energy(), {"max_steps": 1, "kernel": "torch"}),
    ("gradient", Energy(), {"steps": 1}),
    ("closed_form", Energy("Q", "Q"), {"tolerance": 1e-30}),
    ("mean_field", Energy("CE", "BL"), {"steps": 1}),
]
every_solver = pytest.mark.parametrize(("method", "energy", "options"), TOO_SHORT, ids=[case[0] for case in TOO_SHORT])


@every_solver
def test_all_three_ways_give_the_same_solution(method, energy, options, make_problem):
    problem = make_problem()
    with pytest.warns(ConvergenceWarning) as seen:
        warned = solve(*problem, energy, method, **options)
    assert [str(warning.message) for warning in seen] == [warned.message]
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        silent = solve(*problem, energy, method, on_failure="ignore", **options)
        with pytest.raises(ConvergenceError) as error:
            solve(*problem, energy, method, on_failure="raise", **options)
    assert str(error.value) == warned.message
    for solution in (silent, error.value.solution):
        assert torch.equal(solution.labels, warned.labels)
        assert not solution.converged


@pytest.mark.parametrize("on_failure", ON_FAILURE)
def test_convergence_is_no_failure(on_failure, make_problem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert solve(*make_problem(), Energy("Q", "Q"), "closed_form", on_failure=on_failure).converged


def test_the_random_walker_has_the_same_choice(make_problem):
    problem = make_problem()
    with pytest.warns(ConvergenceWarning, match="relative residual") as seen:
        random_walker(*problem, tolerance=1e-30)
    assert seen[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert not random_walker(*problem, tolerance=1e-30, on_failure="ignore").converged
        with pytest.raises(ConvergenceError, match="relative residual"):
            random_walker(*problem, tolerance=1e-30, on_failure="raise")


def test_the_error_names_the_remedy_and_survives_a_copy(make_problem):
    with pytest.raises(ConvergenceError, match=REMEDY) as error:
        solve(*make_problem(), max_steps=1, kernel="torch", on_failure="raise")
    for twin in (copy.copy(error.value), pickle.loads(pickle.dumps(error.value))):
        assert str(twin) == str(error.value)
        assert torch.equal(twin.solution.labels, error.value.solution.labels)


def test_a_callback_is_called_so_it_must_be_callable(make_problem):
    logits, image, seeds = make_problem()
    with pytest.raises(TypeError, match="callback: expected a callable or None, got int"):
        solve(logits, image, seeds.where(seeds > 2, 9), callback=3)


def test_other_values_are_refused_before_any_work(make_problem):
    logits, image, seeds = make_problem()
    message = "on_failure: expected one of warn, ignore, raise; got 'stop'"
    with pytest.raises(ValueError, match=message):
        solve(logits, image, seeds, on_failure="stop", callback=lambda *_: pytest.fail("worked"))
    with pytest.raises(ValueError, match=message):
        random_walker(logits, image, seeds.where(seeds > 2, 9), on_failure="stop")
