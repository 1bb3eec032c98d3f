"""Kinds of answers that an exercise may want: a number, several, a distribution, yes or no, a function.

A kind is a function of a value and its name in a sentence. It returns the value in one form (a float64 tensor for numbers), or
raises `WrongKind`, which says in plain words what came and what was expected. Kinds nest: a function's result is of a kind.
"""

import inspect
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

Kind = Callable[[object, str], object]
#: Longer values are told by their size.
SHORT = 40


class WrongKind(ValueError):
    """Text where a number is asked, two entries where three are, a function that stops."""


def _wrong(subject: str, expected: str, value: object) -> WrongKind:
    return WrongKind(f"{subject} should be {expected}, and is {describe(value)}")


def describe(value: object) -> str:
    """What a learner handed over, in words: "the list [0.7, 0.3]", "a tensor of shape (2, 3)"."""
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
    return f"a {name} of {len(value)} entries" if hasattr(value, "__len__") else f"a {name}"


def numbers(*shape: int, words: str = "") -> Kind:
    """Numbers of this shape, one for no shape at all, as lists, tuples, arrays or tensors."""
    some = f"{shape[0]} numbers" if len(shape) == 1 else f"numbers of shape {shape}"
    expected = words or (some if shape else "one number")

    def read(value: object, subject: str) -> Tensor:
        found = _tensor(value)
        if found is None or found.shape != shape:
            raise _wrong(subject, expected, value)
        if found.isnan().any():
            raise WrongKind(f"{subject} holds NaN, as 0 / 0 and the logarithm of a negative number give")
        return found

    return read


number = numbers()


def distribution(classes: int) -> Kind:
    """A point of the simplex, of shape (classes,)."""
    expected = f"a distribution over {classes} classes ({classes} numbers, none below 0, that sum to 1)"
    read_numbers = numbers(classes, words=expected)

    def read(value: object, subject: str) -> Tensor:
        y = read_numbers(value, subject)
        if not is_distribution(y):
            raise _wrong(subject, expected, value)
        return y

    return read


def is_distribution(y: Tensor) -> bool:
    """Whether all vectors along the last axis are points of the simplex, up to rounding."""
    return bool((y >= 0).all() and ((y.sum(-1) - 1).abs() < 1e-6).all())


def yes_or_no(value: object, subject: str) -> bool:
    """True or False, also as a comparison of tensors or arrays gives it."""
    single = getattr(value, "shape", None) == () and "bool" in str(value.dtype)
    if not isinstance(value, bool) and not single:
        raise _wrong(subject, "True or False", value)
    return bool(value)


def function(arguments: str, returns: Kind) -> Kind:
    """A function of these arguments, "s, a, b". Each of its results is read as `returns`; `...` is none yet.

    Raises on a call: NotImplementedError where the function returns `...`; WrongKind.
    """
    expected, names = f"a function of ({arguments})", arguments.split(", ")

    def read(value: object, subject: str) -> Callable:
        if not callable(value) or not _takes(value, len(names)):
            raise _wrong(subject, expected, value)

        def ask(*given: object) -> object:
            try:
                result = value(*given)
            except NotImplementedError:
                raise
            except Exception as error:  # the learner's code: whatever it raises is told, with what it was given
                inputs = ", ".join(f"{name} was {describe(x)}" for name, x in zip(names, given, strict=True))
                raise WrongKind(f"{subject} stops with {type(error).__name__}: {error} ({inputs})") from error
            if result is ...:
                raise NotImplementedError
            if result is None:
                raise WrongKind(f"{subject} returns None: a function hands back what stands after `return`")
            return returns(result, f"{subject}'s result")

        return ask

    return read


def _tensor(value: object, depth: int = 0) -> Tensor | None:
    """A float64 tensor of nested sequences of real numbers, or None."""
    if isinstance(value, list | tuple) and value:
        if depth == 8:  # a list may hold itself
            return None
        parts = [_tensor(entry, depth + 1) for entry in value]
        if any(part is None or part.shape != parts[0].shape for part in parts):
            return None
        return torch.stack(parts)
    try:
        found = torch.as_tensor(value)
        if found.dtype.is_complex or found.layout != torch.strided or found.device.type == "meta":
            return None
        return found.to("cpu", torch.float64)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None


def _arguments(value: Callable) -> str:
    try:
        return ", ".join(inspect.signature(value).parameters)
    except (TypeError, ValueError):  # a built-in does not tell
        return "..."


def _takes(value: Callable, count: int) -> bool:
    try:
        inspect.signature(value).bind(*range(count))
    except TypeError:
        return False
    except ValueError:  # a built-in does not tell; calling it will
        pass
    return True
