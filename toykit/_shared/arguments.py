"""Checks of arguments, in one place; each message contains the name, the expected values and the value that came."""

import re
from collections.abc import Iterable
from numbers import Integral, Real
from typing import cast

_INTERVAL = re.compile(r"([\[(])\s*(\S+)\s*,\s*(\S+)\s*([\])])")


def check_choice(name: str, value: object, choices: Iterable) -> None:
    """Raise an error that lists the choices if the value is not one of them.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : object
        Its value.
    choices : iterable
        The values that it may have.

    Raises
    ------
    ValueError
        For any other value.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(map(str, choices))}; got {value!r}")


def check_whole(name: str, value: object, least: int = 1) -> None:
    """Raise an error if the value is not a whole number of at least `least`. True and False are not numbers here.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : object
        Its value.
    least : int, default 1
        The smallest value that it may have.

    Raises
    ------
    ValueError
        For any other value.
    """
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name}: expected a whole number, at least {least}; got {value!r}")


def check_number(name: str, value: object, interval: str) -> None:
    """Raise an error if the value is not a real number in an interval. True and False are not numbers here.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : object
        Its value.
    interval : str
        The interval as in mathematics, "(0, 1]" or "[0, inf)". NaN lies in no interval.

    Raises
    ------
    ValueError
        For any other value.
    """
    match = _INTERVAL.fullmatch(interval)
    if match is None:
        raise ValueError(f'interval: expected the form "(0, 1]", got {interval!r}')
    left, low, high, right = match.groups()
    inside = isinstance(value, Real) and not isinstance(value, bool)
    if inside:
        number = cast(float, value)  # numbers.Real declares no comparison with float; those with NaN are false
        above = float(low) <= number if left == "[" else float(low) < number
        below = number <= float(high) if right == "]" else number < float(high)
        inside = above and below
    if not inside:
        raise ValueError(f"{name}: expected a number in {interval}, got {value!r}")


def check_flag(name: str, value: object) -> None:
    """Raise an error if the value is neither True nor False.

    Parameters
    ----------
    name : str
        The argument, for the message.
    value : object
        Its value.

    Raises
    ------
    TypeError
        For any other value.
    """
    if not isinstance(value, bool):
        raise TypeError(f"{name}: expected True or False, got {value!r}")
