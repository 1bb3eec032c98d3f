"""Answers of any kind: read where they are of the kind that is asked, told in words where not, and never an exception."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from toykit.course.answer_kinds import WrongKind, describe, distribution, function, number, numbers, yes_or_no
from toykit.course.exercises import CHECKS, check

THREE = [0.5, 0.25, 0.25]


@pytest.mark.parametrize(
    "value", [THREE, tuple(THREE), torch.tensor(THREE), np.array(THREE), [torch.tensor(x) for x in THREE]]
)
def test_numbers_come_in_any_form(value):
    for kind in (numbers(3), distribution(3)):
        reading = kind(value, "x")
        assert reading.dtype == torch.float64
        assert reading.tolist() == THREE
    assert numbers(2, 3)([value, value], "x").tolist() == [THREE, THREE]


def test_one_number_may_be_a_tensor_or_an_array_without_axes():
    for value in (3, 3.0, np.float32(3), torch.tensor(3)):
        assert number(value, "x") == 3
    with pytest.raises(WrongKind, match=r"x should be one number, and is the list \[3\]"):
        number([3], "x")


def test_gradients_pass():
    logits = torch.ones(3, dtype=torch.float64, requires_grad=True)
    assert number(logits.sum(), "x").requires_grad


@pytest.mark.parametrize("value", [[0.5, 0.6, -0.1], [0.5, 0.5, 0.5], [0.5, 0.5], "abc"])
def test_what_is_no_distribution(value):
    with pytest.raises(
        WrongKind, match=r"a distribution over 3 classes \(3 numbers, none below 0, that sum to 1\), and is the"
    ):
        distribution(3)(value, "x")


def test_nan_is_no_number():
    with pytest.raises(WrongKind, match="x contains NaN"):
        numbers(2)([1, float("nan")], "x")


def test_yes_or_no():
    for value in (True, np.bool_(True), torch.tensor(2) > 1):
        assert yes_or_no(value, "x") is True
    for value in (1, "True", torch.tensor([True]), None):
        with pytest.raises(WrongKind, match="x should be True or False, and is "):
            yes_or_no(value, "x")


def test_functions_are_watched():
    half = function("a, b", returns=number)(lambda a, b=2: a / b, "x")
    assert half(3, 2) == 1.5
    with pytest.raises(
        WrongKind, match=r"x stops with ZeroDivisionError: .* \(a was the number 3, b was the number 0\)"
    ):
        half(3, 0)
    with pytest.raises(NotImplementedError):
        function("a", returns=number)(lambda a: ..., "x")(1)
    with pytest.raises(WrongKind, match=r"x should be a function of \(a, b\), and is a function of \(c\)"):
        function("a, b", returns=number)(lambda c: c, "x")
    assert function("a", returns=number)(abs, "x")(-2) == 2  # a built-in


def test_a_function_of_functions():
    power = function("n", returns=function("x", returns=number))(lambda n: lambda x: x**n, "it")
    assert power(3)(2) == 8
    with pytest.raises(WrongKind, match="it's result's result should be one number, and is the text 'a'"):
        function("n", returns=function("x", returns=number))(lambda n: lambda x: "a", "it")(3)(2)


def test_describe():
    assert describe(np.float64(0.5)) == "the number 0.5"
    assert describe(torch.tensor(True)) == "True"
    assert describe(print) in {"a function of (...)", "a function of (args, sep, end, file, flush)"}
    assert describe(object()) == "a object" or len(describe(object())) < 60


def test_what_no_number_is_made_of():
    itself = [1.0]
    itself.append(itself)
    for value in (
        10**400,
        torch.tensor([1 + 2j, 0, 0]),
        torch.eye(3).to_sparse(),
        torch.empty(3, device="meta"),
        itself,
    ):
        for kind in (number, numbers(3), distribution(3)):
            with pytest.raises(WrongKind, match="it should be"):
                kind(value, "it")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.complex_numbers() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(value=anything, name=st.sampled_from(list(CHECKS)), wrapped=st.booleans())
def test_no_answer_raises(value, name, wrapped):
    check(name, (lambda *arguments: value) if wrapped else value)
