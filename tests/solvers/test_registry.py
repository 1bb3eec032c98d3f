"""The registry of solvers: frozen dataclasses of options, checked and documented one by one; `solve` is their face."""

import dataclasses
import inspect
import re

import pytest

from toykit import Energy, solve
from toykit.solvers import SOLVERS, check_options, solve_problem

every_solver = pytest.mark.parametrize("method", SOLVERS)


@every_solver
def test_options_are_frozen_and_have_defaults(method):
    options = check_options(method, {})
    assert type(options) is SOLVERS[method].options
    first = SOLVERS[method].option_names()[0]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(options, first, None)


@every_solver
def test_each_option_is_documented_and_named_in_the_error(method):
    names = SOLVERS[method].option_names()
    documented = re.findall(r"^(\w+) : ", inspect.getdoc(SOLVERS[method].options), re.M)
    assert documented == names
    with pytest.raises(TypeError, match=f"method {method!r} has no option colour; it has {', '.join(names)}"):
        check_options(method, {"colour": 1, names[0]: 2})


@every_solver
def test_solve_documents_each_solver(method):
    text = inspect.getdoc(solve)
    assert f'- "{method}" (`{SOLVERS[method].options.__name__}`)' in text
    assert f'"{method}"' in text.split("method : ")[1].splitlines()[0]


def test_hard_labels():
    assert [name for name, solver in SOLVERS.items() if solver.hard] == ["graph_cut", "mean_field"]


def test_a_value_out_of_range_is_an_error_without_a_problem():
    for method, options, message in (
        ("fast", {"start": [1]}, "start: expected labels"),
        ("gradient", {"steps": 0}, "steps: expected a whole number"),
        ("closed_form", {"tolerance": 1}, r"tolerance: expected a number in \(0, 1\), got 1"),
        ("graph_cut", {"labels": "some"}, "labels: expected one of all, seeded"),
        ("mean_field", {"steps": True}, "steps: expected a whole number"),
    ):
        with pytest.raises((TypeError, ValueError), match=message):
            check_options(method, options)


def test_solve_problem_takes_checked_options(make_problem):
    problem, energy = make_problem(), Energy("CE", "BL")
    expected = solve(*problem, energy, "mean_field", steps=3, on_failure="ignore").labels
    checked = energy.subproblem(*problem)
    assert solve_problem(checked, "mean_field", check_options("mean_field", {"steps": 3})).labels.equal(expected)
    assert solve_problem(checked, "mean_field").steps == 10
