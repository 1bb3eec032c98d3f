"""Every exercise in the notebooks: its folded solution passes its check, wrong answers fail, open ones stay open."""

import math
import re
import statistics

import numpy as np
import pytest
import torch

import toykit as tk
from toykit.course.exercises import CHECKS, check
from toykit.course.notebooks import find, read
from toykit.experiments.label_noise import interval

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
    assert capsys.readouterr().out == f"{name}: right. {CHECKS[name].why}\n"


#: Wrong for all: other numbers, lists and functions than any exercise wants.
WRONG = [
    0.123,
    -1,
    [0.7, 0.3],
    [0.9, 0.1, 0.0, 0.0],
    [0.2, 0.3, 0.5],
    (0.0, 0.0),
    lambda: 0,
    lambda *a: torch.zeros(1),
]
#: Of no kind that any exercise wants, and how that is told.
OTHER_KINDS = [
    (None, "None"),
    ("text", "the text 'text'"),
    ({}, "the dict {}"),
    ([], "the list []"),
    ([[0.5, 0.5]], "the list [[0.5, 0.5]]"),
    ([1, "b", None], "the list [1, 'b', None]"),
    ([0.5] * 99, "a list of 99 entries"),
    (torch.zeros(2, 3, 4), "a tensor of shape (2, 3, 4)"),
    (np.zeros((1, 1)), "an array of shape (1, 1)"),
]


def simplex(n):
    return f"a distribution over {n} classes ({n} numbers, none below 0, that sum to 1)"


ONE, SHARE = "one number", 'a share, a number from 0 to 1 or a text like "22%"'
PAIRS = "two pairs ((p0, q0), (p1, q1)) of labels of two numbers each"
#: What an exercise wants, in words: of an answer, or (arguments, result) of a function.
WANTED = {
    **dict.fromkeys(("00.2", "05.1"), ONE),
    **dict.fromkeys(("00.1", "00.3", "07.2", "09.1", "09.4"), SHARE),
    "02.2": "2 numbers",
    "02.3": PAIRS,
    "01.2": simplex(4),
    "01.3": simplex(4),
    "03.1": simplex(3),
    "03.3": simplex(3),
    "04.1": simplex(2),
    "04.2": simplex(2),
    "07.1": simplex(4),
    "01.1": ("s, a, b", "50 numbers"),
    "02.1": ("potential", "a function of (p, q)"),
    "03.2": ("y, sigma", "50 numbers"),
    "04.3": ("y, sigma, weights, eta, lam", "numbers of shape (5, 3)"),
    "05.2": ("y, threshold", ONE),
    "05.3": ("y, colors", "numbers of shape (4, 5, 3)"),
    "06.1": ("h, w", "2 numbers"),
    "06.2": ("volumes", ONE),
    "06.3": ("margins, n", "numbers of shape (6, 5)"),
    "06.4": ("y", ONE),
    "07.3": ("s, eta, num_classes", "50 numbers"),
    "08.1": ("y, logits, seeds, eta", ONE),
    "08.2": ("step, steps, lr", ONE),
    "08.3": ("confusion", ONE),
    "09.2": ("first, second", "2 numbers"),
    "09.3": ("first, second", "True or False"),
}
CE = tk.cross_entropy
#: What a learner might well answer, and is wrong: a factor, a sign, the other argument, a mean in place of a sum.
PLAUSIBLE = {
    "00.1": [3.0, 0.9, 0.5],
    "00.2": [0.5, 0.75, 1.04, [0.25] * 3],
    "00.3": [math.exp(-1), math.exp(-0.5), math.exp(-3), 0.0, [math.exp(-1.5)]],
    "01.1": [lambda s, a, b: a + b - 2 * s, lambda s, a, b: (a + b) / 2 + s, lambda s, a, b: 1 - s],
    "01.2": [[1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.5] * 4, [1 / 3] * 3],
    "01.3": [[0, 1, 0, 0], [0, 0.5, 0.5, 0], [0.25] * 4, [1, 0, 0, 0]],
    "02.1": [
        lambda f: f,
        lambda f: lambda p, q: -torch.log(f(p, q)),
        lambda f: lambda p, q: torch.log(1 - f(p, q)),
        lambda f: lambda p, q: -torch.log2(1 - f(p, q)),
    ],
    "02.2": [(5.0, 5.0), (-0.5, 0.5), (-5.0,), (5.0, 0.0), ("a", "b")],
    "02.3": [
        (((1, 0), (0, 1)), ((0, 1), (1, 0))),
        (((1, 0), (1, 0)), ((1, 0), (1, 0))),
        ((1, 0), (0, 1)),
        (((2, -1), (1, 0)), ((0, 1), (0, 1))),
    ],
    "03.1": [[1, 0, 0], [0.5, 0.5, 0], [0.5, 0.5], [1, 1, 1]],
    "03.2": [CE.cross_entropy, lambda y, s: -CE.cross_entropy(s, y), CE.collision_cross_entropy],
    "03.3": [[0.6, 0.3, 0.1], [1 / 3] * 3, [0, 0, 1], [0.9, 0.1, 0]],
    "04.1": [[0.75, 0.25], [0.5, 0.5], [0.25, 0.25, 0.5]],
    "04.2": [[0.8, 0.2], [0.0, 1.0], [0.5, 0.5]],
    "04.3": [
        lambda y, sigma, w, eta, lam: (eta * sigma + lam * w @ y) / (eta + lam * w.sum(1, keepdim=True)),
        lambda y, sigma, w, eta, lam: (2 * eta * sigma + lam * w @ y) / (2 * eta + lam),
        lambda y, sigma, w, eta, lam: y,
    ],
    "05.1": [9.0, 0.0, -3.0, 1000.0, math.inf],
    "05.2": [lambda y, t: (y < t).double().mean(), lambda y, t: (y.amax(0) > t).double().mean()],
    "05.3": [
        lambda y, colors: colors[y.argmax(0)],
        lambda y, colors: torch.einsum("khw,kc->hwc", y**2, colors),
        lambda y, colors: torch.einsum("khw,kc->chw", y, colors),
    ],
    "06.1": [lambda h, w: (2 * h * w, (h * w) ** 2), lambda h, w: (h * (w - 1) + w * (h - 1), h * w * (h * w - 1))],
    "06.2": [lambda v: v.prod(), lambda v: v.sum() ** 2 / 2, lambda v: v.sum() ** 2 - v.square().sum()],
    "06.3": [
        lambda margins, n: margins > 0,
        lambda margins, n: margins <= margins.flatten().sort().values[n - 1],  # the smallest
        lambda margins, n: margins.flatten().topk(n).values,
    ],
    "06.4": [lambda y: len(y) * y.square().sum(), lambda y: len(y) * y.square().sum() - y.sum(0).square().sum()],
    "07.1": [[0, 0, 1, 0], [0.25] * 4, [0.15, 0.15, 0.55, 0.15]],
    "07.2": [0.6, 0.4, 1.0, 0.1],
    "07.3": [lambda s, eta, K: -torch.log(s), lambda s, eta, K: -torch.log((1 - eta) * s + eta)],
    "08.1": [
        lambda y, logits, seeds, eta: eta,  # nothing of the network in it
        lambda y, logits, seeds, eta: logits.sum() * 0,
        lambda y, logits, seeds, eta: -(y * logits.log_softmax(1)).sum(1).mean(),
    ],
    "08.2": [lambda step, steps, lr: lr * (1 - step / steps), lambda step, steps, lr: lr],
    "08.3": [
        lambda c: c.diag().sum() / c.sum(),
        lambda c: (c.diag() / c.sum(1).clamp_min(1)).mean(),
        lambda c: (c.diag() / (c.sum(0) + c.sum(1) - c.diag()).clamp_min(1)).mean(),  # an absent class counted as 0
    ],
    "09.1": [1.0, 0.0, 0.3, 5.2],
    "09.2": [
        lambda a, b: interval(a),
        lambda a, b: interval([y - x for x, y in zip(a, b, strict=True)]),
        lambda a, b: interval([x - y for x, y in zip(a, b, strict=True)])[:1],
    ],
    "09.3": [
        lambda a, b: True,
        lambda a, b: abs(statistics.mean(a) - statistics.mean(b)) > min(statistics.stdev(a), statistics.stdev(b)),
        lambda a, b: statistics.mean(a) - statistics.mean(b) > 1,
    ],
    "09.4": [72.4, 80.2 / 72.4, 0.5, 0.8],
}


def test_every_check_has_plausible_wrong_answers():
    assert set(CHECKS) <= set(PLAUSIBLE)
    assert all(len(answers) >= 2 for answers in PLAUSIBLE.values())


@pytest.mark.parametrize("name", CHECKS)
def test_wrong_answers_fail_with_a_hint(name, capsys):
    for number, answer in enumerate([*WRONG, *PLAUSIBLE[name]]):
        assert not check(name, answer), f"wrong answer {number} passes"
        hint = capsys.readouterr().out
        assert hint.startswith(f"{name}: ")
        assert len(hint) > len(name) + 8


@pytest.mark.parametrize("name", CHECKS)
def test_another_kind_is_told_in_words(name, capsys):
    wanted, functions = WANTED[name], isinstance(WANTED[name], tuple)
    expected = f"a function of ({wanted[0]})" if functions else wanted
    for answer, came in OTHER_KINDS:
        assert not check(name, answer)
        assert capsys.readouterr().out == f"{name}: the answer should be {expected}, and is {came}\n"
    if not functions:
        return
    assert not check(name, lambda one, two, three, four, five, six: 0)
    assert capsys.readouterr().out.endswith("and is a function of (one, two, three, four, five, six)\n")
    assert not check(name, lambda *a: None)
    assert capsys.readouterr().out.startswith(f"{name}: the answer returns None")
    for result, came in OTHER_KINDS[1:]:
        assert not check(name, lambda *a, r=result: r)
        assert capsys.readouterr().out == f"{name}: the answer's result should be {wanted[1]}, and is {came}\n"
    assert not check(name, lambda *a: a[9])
    told = capsys.readouterr().out
    assert told.startswith(f"{name}: the answer stops with IndexError: tuple index out of range (")
    assert all(f"{argument} was " in told for argument in wanted[0].split(", "))


@pytest.mark.parametrize("name", CHECKS)
def test_open_exercises_stay_open(name, capsys):
    assert not check(name, ...)
    assert capsys.readouterr().out == f"{name}: not answered yet\n"
    assert not check(name, lambda *arguments: ...)


@pytest.mark.parametrize("name", CHECKS)
def test_hints_have_two_grades_and_then_name_the_solution(name, capsys):
    CHECKS[name].wrong, told = 0, []
    for answer in 3 * PLAUSIBLE[name]:
        before = CHECKS[name].wrong
        check(name, answer)
        out = capsys.readouterr().out
        assert not re.search(r"\.\.(?!\d)", out)
        if CHECKS[name].wrong > before:  # an answer of another kind gets no hint, and does not count
            told.append(out)
    assert len(told) >= 6  # two plausible answers of the right kind
    (first, second), solution = CHECKS[name].hints, "The solution is folded below."
    assert first in told[0]
    assert second not in told[0]
    assert second in told[1]
    assert solution not in told[1]
    assert second in told[2]
    assert told[2].endswith(f"{solution}\n")
    assert len({first, second, CHECKS[name].why}) == 3


@pytest.mark.parametrize(
    ("name", "answer", "right"),
    [("00.3", "22%", True), ("00.3", " 22.3 % ", True), ("00.3", 0.22, True), ("00.3", "21%", False), ("00.3", 22, False),
     ("00.3", "%", False), ("00.1", "4%", True), ("00.1", 0.042, True), ("00.1", "5%", False), ("09.4", 0.9, True)],
)  # fmt: skip
def test_shares_are_read_as_the_text_prints_them(name, answer, right):
    assert check(name, answer) is right


def test_unknown_exercise():
    with pytest.raises(ValueError, match=r"exercise: expected one of 00\.1"):
        check("99.9", 1)
