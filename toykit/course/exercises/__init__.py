"""Checks of the course's exercises: `check("01.1", answer)` prints whether an answer is right and why, or a hint.

Each notebook has a module here, which registers its checks. A check declares the kind of answer that it expects
(`toykit.course.answer_kinds`) and computes the true value with the library; none compares with a stored number. The folded
solutions in the notebooks are tested against these checks.
"""

from toykit.course.exercises import (  # noqa: F401, importing a notebook's module registers its checks
    nb_00_start_here,
    nb_01_moves,
    nb_02_relaxations,
    nb_03_cross_entropy,
    nb_04_random_walker,
    nb_05_pseudo_labels,
    nb_06_neighborhoods,
    nb_07_label_noise,
    nb_08_train,
    nb_09_results,
)
from toykit.course.exercises.registry import CHECKS, check

__all__ = ["CHECKS", "check"]
