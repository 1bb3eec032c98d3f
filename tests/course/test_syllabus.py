"""The syllabus and the lecturer's page agree with the notebooks."""

import itertools
import re

import pytest

from toykit._shared.resources import shipped
from toykit.course.exercises import CHECKS
from toykit.course.notebooks import find, read
from toykit.course.site.gallery import first_cell

FOLDER = shipped("notebooks")
SYLLABUS = (FOLDER / "README.md").read_text(encoding="utf-8")
LECTURERS = (FOLDER / "LECTURERS.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in SYLLABUS.splitlines() if re.match(r"\| \[\d\d_", line)]


def test_the_syllabus_lists_all_notebooks_in_order():
    assert [row[0] for row in ROWS] == [f"[{path.stem}]({path.name})" for path in find()]
    assert all(len(row) == 6 and all(row) for row in ROWS)


@pytest.mark.parametrize("path", find(), ids=lambda path: path.stem)
def test_the_syllabus_asks_the_notebooks_question(path):
    (row,) = (row for row in ROWS if path.name in row[0])
    _, question, paper, needs, _, _ = row
    _, entries = first_cell(read(path), path.stem)
    assert question == entries["Question"]
    assert set(re.findall(r"Fig\. \d+", paper)) <= set(re.findall(r"Fig\. \d+", entries["In the paper"]))
    before = re.findall(r"\b\d\d\b", needs)
    assert before == re.findall(r"\((\d\d)_\w+\.ipynb", entries["You need"])
    assert all(number < path.stem[:2] for number in before)


@pytest.mark.parametrize("text", [SYLLABUS, LECTURERS], ids=["syllabus", "lecturers"])
def test_links_arrive(text):
    targets = re.findall(r"\]\((?!http)([^)#]+)\)", text)
    assert targets
    for target in targets:
        assert (FOLDER / target).exists(), target


def test_the_plan_fills_ninety_minutes_with_exercises_that_exist():
    spans = [tuple(map(int, span)) for span in re.findall(r"^\| (\d+)-(\d+) \|", LECTURERS, re.MULTILINE)]
    assert spans[0][0] == 0
    assert spans[-1][1] == 90
    assert all(before[1] == after[0] for before, after in itertools.pairwise(spans))
    named = set(re.findall(r"\b0\d\.\d\b", LECTURERS))
    assert len(named) > 10
    assert named <= set(CHECKS)
