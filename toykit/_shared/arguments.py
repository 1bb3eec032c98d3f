"""Checks of arguments, in one place; each message states the name, what was expected and what came."""

import math
import re
from collections.abc import Iterable
from numbers import Integral, Real

_INTERVAL = re.compile(r"([\[(])\s*(\S+)\s*,\s*(\S+)\s*([\])])")


def check_choice(name: str, value: object, choices: Iterable) -> None:
    """Raise ValueError, listing the choices, if `value` is not one of them."""
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(str, choices))}; got {value!r}")


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise ValueError if `value` is not a whole number >= `least`. True and False are not numbers here."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected a whole number, at least {least}; got {value!r}")


def check_number(name: str, value: object, interval: str) -> None:
    """Raise ValueError if `value` is not a real number in an interval, written as in mathematics: "(0, 1]", "[0, inf)".

    NaN lies in no interval; True and False are not numbers here.
    """
    left, low, high, right = _INTERVAL.fullmatch(interval).groups()
    low, high = float(low), float(high)
    inside = isinstance(value, Real) and not isinstance(value, bool) and not math.isnan(value)
    inside = inside and (low < value or (left == "[" and low == value))
    if not (inside and (value < high or (right == "]" and value == high))):
        raise ValueError(f"{name}: expected a number in {interval}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """Raise TypeError if `value` is neither True nor False."""
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
