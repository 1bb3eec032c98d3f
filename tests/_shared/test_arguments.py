"""One place for argument checks: what each accepts, and that its message states the name, what was expected and what came."""

import math

import numpy as np
import pytest

from toykit._shared.arguments import check_choice, check_flag, check_number, check_whole


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    [
        ("(0, 1]", [1e-300, 0.5, 1, np.float32(1)], [0, -1e-9, 1.0000001, math.inf]),
        ("[0, 1)", [0, 0.0, 0.999], [1, -1e-300]),
        ("[0, inf)", [0, 1e300], [-1, math.inf]),
        ("(0, inf]", [math.inf, 1e-300], [0]),
        ("[-2.5, 3]", [-2.5, 3], [-2.6, 3.1]),
    ],
)
def test_a_number_is_held_to_its_interval(interval, inside, outside):
    for value in inside:
        check_number("x", value, interval)
    for value in [*outside, math.nan, None, "0.5", True, False, [0.5], 1j]:
        with pytest.raises(ValueError, match="x: expected") as error:
            check_number("x", value, interval)
        assert str(error.value) == f"x: expected a number in {interval}, got {value!r}"


def test_whole_numbers_choices_and_flags():
    for value in (2, np.int64(7)):
        check_whole("steps", value, 2)
    for value in (1, 2.0, True, "2", None, math.nan):
        with pytest.raises(ValueError, match="steps: expected a whole number, at least 2; got"):
            check_whole("steps", value, 2)
    check_choice("kind", "b", iter("ab"))
    with pytest.raises(ValueError, match="kind: expected one of a, b; got 'c'"):
        check_choice("kind", "c", iter("ab"))
    check_flag("quiet", False)
    for value in (0, 1, None, "no"):
        with pytest.raises(TypeError, match="quiet: expected True or False, got"):
            check_flag("quiet", value)
