"""The registry of checks: `exercise` adds one, `check` runs it on an answer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.course.answer_kinds import Kind, WrongKind

Judge = Callable[[Any], str | None]
#: Checks by exercise, "01.1", in the order of the notebooks: each takes an answer and returns None if it is right, or a hint.
CHECKS: dict[str, Judge] = {}


def check(name: str, answer: object) -> bool:
    """Print whether an answer solves an exercise, with a hint if it does not.

    Parameters
    ----------
    name : str
        The exercise, for example "01.1".
    answer : object
        The answer; `...` is an answer that has not been given yet. A wrong answer of any type is reported and raises nothing.

    Returns
    -------
    bool
        Whether the answer is right.

    Raises
    ------
    ValueError
        For an unknown exercise.
    """
    check_choice("exercise", name, CHECKS)
    try:
        hint = "not answered yet" if answer is ... else CHECKS[name](answer)
    except NotImplementedError:
        hint = "not answered yet"
    except WrongKind as error:
        hint = str(error)
    print(f"{name}: right" if hint is None else f"{name}: {hint}")
    return hint is None


def exercise(name: str, kind: Kind[Any]) -> Callable[[Judge], Judge]:
    """Return a decorator that registers a check.

    Parameters
    ----------
    name : str
        The exercise, for example "01.1".
    kind : Kind
        Kind of answer that the exercise expects. The check receives the answer in the form that the kind returns.

    Returns
    -------
    callable
        Decorator of a function that takes an answer and returns None if it is right, or a hint.
    """

    def register(judge: Judge) -> Judge:
        CHECKS[name] = lambda answer: judge(kind(answer, "the answer"))
        return judge

    return register


def random_pairs(classes: int = 4, n: int = 50) -> tuple[Tensor, Tensor]:
    """Return two sets of random distributions, float64 (n, classes) each, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    p, q = torch.rand(2, n, classes, dtype=torch.float64, generator=generator)
    return p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)


def close(value: Tensor, true: Tensor, hint: str, tolerance: float = 1e-9) -> str | None:
    """Return None if all entries agree to within the tolerance, or else the hint."""
    return None if (value - true).abs().max() < tolerance else hint
