"""Kinds of answers that an exercise may expect: a number, a share, several numbers, a distribution, yes or no, a function.

A kind is a function of a value and its name in a sentence. It returns the value in a standard form (a float64 tensor for
numbers), or raises `WrongKind`, whose message states in plain words what came and what was expected. Kinds nest: the result of
a function has a kind too.
"""

import inspect
from collections.abc import Callable, Sized
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")
#: Values whose text is longer are described by their size.
SHORT = 40


class Kind(Protocol[T_co]):
    """A function that reads a value as one kind of answer."""

    def __call__(self, value: Any, subject: str, /) -> T_co:
        """Return the value in its standard form; raise `WrongKind`, about the `subject`, if it is of another kind."""
        ...


class WrongKind(ValueError):
    """The answer is of another kind: text instead of a number, two entries instead of three, a function that raises."""


def _wrong(subject: str, expected: str, value: object) -> WrongKind:
    """Return the error that states what came and what was expected."""
    return WrongKind(f"{subject} should be {expected}, and is {describe(value)}")


def describe(value: Any) -> str:
    """Describe an answer in words.

    Parameters
    ----------
    value : object
        Any answer.

    Returns
    -------
    str
        For example "the list [0.7, 0.3]" or "a tensor of shape (2, 3)".
    """
    if getattr(value, "shape", None) == () and not getattr(value, "is_meta", False):
        value = value.item()
    if value is None or isinstance(value, bool):
        return str(value)
    if isinstance(value, torch.Tensor | np.ndarray):
        return f"{'a tensor' if isinstance(value, torch.Tensor) else 'an array'} of shape {tuple(value.shape)}"
    if isinstance(value, float):
        return f"the number {value:g}"
    if isinstance(value, int):
        return f"the number {value}" if abs(value) < 10**SHORT else "a huge number"
    if callable(value):
        return f"a function of ({_arguments(value)})"
    name = {"str": "text"}.get(type(value).__name__, type(value).__name__)
    if len(repr(value)) <= SHORT:
        return f"the {name} {value!r}"
    return f"a {name} of {len(value)} entries" if isinstance(value, Sized) else f"a {name}"


def numbers(*shape: int, words: str = "") -> Kind[Tensor]:
    """Return the kind of an array of numbers, given as a list, tuple, array or tensor.

    Parameters
    ----------
    *shape : int
        Shape of the array; no shape for a single number.
    words : str, optional
        The kind in words for the learner; by default its shape.

    Returns
    -------
    Kind
        Reads an answer as a float64 tensor of this shape without NaN.
    """
    some = f"{shape[0]} numbers" if len(shape) == 1 else f"numbers of shape {shape}"
    expected = words or (some if shape else "one number")

    def read(value: Any, subject: str) -> Tensor:
        tensor = _tensor(value)
        if tensor is None or tensor.shape != shape:
            raise _wrong(subject, expected, value)
        if tensor.isnan().any():
            raise WrongKind(f"{subject} contains NaN, which 0 / 0 and the logarithm of a negative number produce")
        return tensor

    return read


number = numbers()


def share(value: Any, subject: str) -> Tensor:
    """Read a share of a whole: a number from 0 to 1, or a percentage as text.

    Parameters
    ----------
    value : object
        The answer, for example 0.22 or "22%".
    subject : str
        Its name in the message.

    Returns
    -------
    Tensor
        The share, float64.

    Raises
    ------
    WrongKind
        For anything else, 22 included.
    """
    part = value
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            part = float(value.strip()[:-1]) / 100
        except ValueError:
            part = value
    tensor = _tensor(part)
    if tensor is None or tensor.shape != () or not 0 <= tensor <= 1:
        raise _wrong(subject, 'a share, a number from 0 to 1 or a text like "22%"', value)
    return tensor


def distribution(classes: int) -> Kind[Tensor]:
    """Return the kind of a distribution, a point of the simplex.

    Parameters
    ----------
    classes : int
        Number of entries.

    Returns
    -------
    Kind
        Reads an answer as a float64 tensor (classes,).
    """
    expected = f"a distribution over {classes} classes ({classes} numbers, none below 0, that sum to 1)"
    read_numbers = numbers(classes, words=expected)

    def read(value: Any, subject: str) -> Tensor:
        y = read_numbers(value, subject)
        if not is_distribution(y):
            raise _wrong(subject, expected, value)
        return y

    return read


def is_distribution(y: Tensor) -> bool:
    """Return whether all vectors along the last axis are points of the simplex, up to rounding.

    Parameters
    ----------
    y : Tensor, float (..., K)
        The vectors.

    Returns
    -------
    bool
        True if no entry is negative and each vector sums to 1 within 1e-6.
    """
    return bool((y >= 0).all() and ((y.sum(-1) - 1).abs() < 1e-6).all())


def yes_or_no(value: Any, subject: str) -> bool:
    """Read True or False, also from a comparison of tensors or arrays.

    Parameters
    ----------
    value : object
        The answer.
    subject : str
        Its name in the message.

    Returns
    -------
    bool
        The answer.

    Raises
    ------
    WrongKind
        For anything else.
    """
    single = getattr(value, "shape", None) == () and "bool" in str(value.dtype)
    if not isinstance(value, bool) and not single:
        raise _wrong(subject, "True or False", value)
    return bool(value)


def function(arguments: str, returns: Kind[T]) -> Kind[Callable[..., T]]:
    """Return the kind of a function.

    Parameters
    ----------
    arguments : str
        Names of its arguments, "s, a, b". Only their number is checked.
    returns : Kind
        Kind of its results.

    Returns
    -------
    Kind
        Reads an answer as a function whose results are read as `returns`. A call raises NotImplementedError where the
        learner's function returns `...`, and `WrongKind` where it raises or its result is of another kind.
    """
    expected, names = f"a function of ({arguments})", arguments.split(", ")

    def read(value: Any, subject: str) -> Callable[..., T]:
        if not callable(value) or not _takes(value, len(names)):
            raise _wrong(subject, expected, value)

        def call(*given: object) -> T:
            try:
                result = value(*given)
            except NotImplementedError:
                raise
            except Exception as error:  # the learner's code may raise anything: report it with its inputs
                inputs = ", ".join(f"{name} was {describe(x)}" for name, x in zip(names, given, strict=True))
                raise WrongKind(f"{subject} stops with {type(error).__name__}: {error} ({inputs})") from error
            if result is ...:
                raise NotImplementedError
            if result is None:
                raise WrongKind(f"{subject} returns None: write `return` before its result")
            return returns(result, f"{subject}'s result")

        return call

    return read


def _tensor(value: Any, depth: int = 0) -> Tensor | None:
    """Return a float64 tensor of nested sequences of real numbers, or None."""
    if isinstance(value, list | tuple) and value:
        if depth == 8:  # a list may contain itself
            return None
        parts = []
        for entry in value:
            part = _tensor(entry, depth + 1)
            if part is None or (parts and part.shape != parts[0].shape):
                return None
            parts.append(part)
        return torch.stack(parts)
    try:
        tensor = torch.as_tensor(value)
        if tensor.dtype.is_complex or tensor.layout != torch.strided or tensor.device.type == "meta":
            return None
        return tensor.to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _arguments(value: Callable) -> str:
    """Return the names of a function's arguments."""
    try:
        return ", ".join(inspect.signature(value).parameters)
    except (TypeError, ValueError):  # some built-in functions have no signature
        return "..."


def _takes(value: Callable, count: int) -> bool:
    """Return whether a function can be called with this number of arguments."""
    try:
        inspect.signature(value).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # some built-in functions have no signature; a call will show it
        pass
    return True
