"""Every exercise in the notebooks: its folded solution passes its check, wrong answers fail, open ones stay open."""

import re

import pytest
import torch

import toykit as tk
from toykit.exercises import CHECKS, check
from toykit.notebooks import find, read

NOTEBOOKS = find()
SOLUTION = re.compile(r"<details><summary>Solution</summary>.*?```python\n(.*?)```.*?</details>", re.DOTALL)


def exercises():
    """(exercise, solution's code) in the order of the notebooks: each solution follows its exercise."""
    for path in NOTEBOOKS:
        open_exercise = None
        for cell in read(path).cells:
            asked = re.search(r'^check\("(\d\d\.\d)", answer\)', cell.source, re.MULTILINE)
            if cell.cell_type == "code" and asked:
                open_exercise = asked[1]
            solution = SOLUTION.search(cell.source)
            if cell.cell_type == "markdown" and solution:
                yield open_exercise, solution[1]


def test_every_check_is_asked_once_and_solved_once():
    assert [name for name, _ in exercises()] == list(CHECKS)


@pytest.mark.parametrize(("name", "solution"), list(exercises()), ids=[name for name, _ in exercises()])
def test_solutions_pass(name, solution, capsys):
    namespace = {"tk": tk, "torch": torch}
    exec(solution, namespace)
    assert check(name, namespace["answer"]), capsys.readouterr().out
    assert capsys.readouterr().out == f"{name}: right\n"


WRONG = [0.123, [0.7, 0.3], [0.9, 0.1, 0.0, 0.0], [0.2, 0.3, 0.5], "text", None, (0.0, 0.0), lambda *a: torch.zeros(1)]


@pytest.mark.parametrize("name", CHECKS)
def test_wrong_answers_fail_with_a_hint(name, capsys):
    for answer in WRONG:
        assert not check(name, answer)
        hint = capsys.readouterr().out
        assert hint.startswith(f"{name}: ")
        assert len(hint) > len(name) + 8


@pytest.mark.parametrize("name", CHECKS)
def test_open_exercises_stay_open(name, capsys):
    assert not check(name, ...)
    assert capsys.readouterr().out == f"{name}: not answered yet\n"
    assert not check(name, lambda *arguments: ...)


def test_unknown_exercise():
    with pytest.raises(ValueError, match=r"exercise: expected one of 00\.1"):
        check("99.9", 1)
