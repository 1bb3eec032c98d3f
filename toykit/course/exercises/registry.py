"""The exercises: `exercise` registers one, `check` judges an answer and gives hints in two grades."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.course.answer_kinds import Kind, WrongKind

#: Takes an answer in the form that its kind returns; returns whether it is right, or what is wrong with it in words.
Judge = Callable[[Any], bool | str]


@dataclass
class Exercise:
    """What `check` knows of an exercise, and how often it has been answered wrongly."""

    judge: Judge
    kind: Kind[Any]
    hints: tuple[str, str]
    why: str
    wrong: int = 0

    def hint(self) -> str:
        """Return the next hint: the question to ask first, then the way, then also where the solution is."""
        self.wrong += 1
        return self.hints[min(self.wrong, 2) - 1] + (" The solution is folded below." if self.wrong > 2 else "")


#: Exercises by name, "01.1", in the order of the notebooks.
CHECKS: dict[str, Exercise] = {}


def check(name: str, answer: object) -> bool:
    """Print whether an answer solves an exercise: if it does, why; if not, a hint, which says more at the second attempt.

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
    verdict = _verdict(CHECKS[name], answer)
    print(f"{name}: right. {CHECKS[name].why}" if verdict is None else f"{name}: {verdict}")
    return verdict is None


def _verdict(asked: Exercise, answer: object) -> str | None:
    """Return None for a right answer, or what to tell the learner."""
    try:
        found = None if answer is ... else asked.judge(asked.kind(answer, "the answer"))
    except NotImplementedError:
        found = None
    except WrongKind as error:
        return str(error)
    if found is None:
        return "not answered yet"
    if found is True:
        return None
    return f"not yet{f': {found}' if found else ''}. {asked.hint()}"


def exercise(name: str, kind: Kind[Any], *, hints: tuple[str, str], why: str) -> Callable[[Judge], Judge]:
    """Return a decorator that registers a check.

    Parameters
    ----------
    name : str
        The exercise, for example "01.1".
    kind : Kind
        Kind of answer that the exercise expects. The check receives the answer in the form that the kind returns.
    hints : (str, str)
        After the first wrong answer, the question to ask; after further ones, the way to the solution.
    why : str
        What the right answer shows.

    Returns
    -------
    callable
        Decorator of a function that takes an answer and returns whether it is right, or what is wrong with it.
    """

    def register(judge: Judge) -> Judge:
        CHECKS[name] = Exercise(judge, kind, hints, why)
        return judge

    return register


def random_pairs(classes: int = 4, n: int = 50) -> tuple[Tensor, Tensor]:
    """Return two sets of random distributions, float64 (n, classes) each, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    p, q = torch.rand(2, n, classes, dtype=torch.float64, generator=generator)
    return p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)


def close(value: Tensor, true: Tensor | float, tolerance: float = 5e-3) -> bool:
    """Return whether all entries agree to within the tolerance; by default to the whole percent."""
    return bool((value - true).abs().max() <= tolerance)
