"""Checks of the exercises in notebook 09_results."""

import torch

from toykit.course.answer_kinds import function, number, numbers, yes_or_no
from toykit.course.exercises.registry import close, exercise
from toykit.experiments.label_noise import interval
from toykit.experiments.results import published


@exercise("09.1", number)
def _where_the_relaxation_matters_most(answer):
    miou = {(row["relaxation"], row["scribble_length_ratio"]): row["miou"] for row in published("table3")}
    gap = {ratio: value - miou["BL", ratio] for (name, ratio), value in miou.items() if name == "CD"}
    best = max(gap, key=lambda ratio: gap[ratio])
    hint = "Subtract BL's column of Table 3 from CD's: at which ratio is it largest?"
    return None if abs(answer - best) < 1e-6 else hint


@exercise("09.2", function("first, second", returns=numbers(2)))
def _paired_interval(answer):
    first, second = [90.3, 88.0, 89.7, 91.0], [88.0, 85.7, 87.2, 89.5]
    true = torch.tensor(interval([a - b for a, b in zip(first, second, strict=True)]), dtype=torch.float64)
    return close(answer(first, second), true, "Subtract seed by seed, then take `interval` of the differences.", 1e-6)


@exercise("09.3", function("first, second", returns=yes_or_no))
def _gap_above_the_spread(answer):
    cases = [([90.0, 91.0, 92.0], [87.0, 88.0, 88.5], True), ([90.0, 91.0, 92.0], [89.0, 91.5, 90.0], False),
             ([50.0, 60.0, 70.0], [48.0, 48.5, 49.0], True), ([50.0, 60.0, 70.0], [53.0, 53.5, 54.0], False)]  # fmt: skip
    hint = "Difference of the means against the larger of the two standard deviations (n - 1 below)."
    return None if all(answer(a, b) == true for a, b, true in cases) else hint


@exercise("09.4", number)
def _share_of_full_supervision(answer):
    rows = [row for row in published("table6") if row["dataset"] == "Cityscapes"]
    miou = {row["method"]: row["miou"] for row in rows}
    true = miou["H_CCE + P_CD"] / miou["Deeplab"]
    return None if abs(answer - true) < 2e-3 else "Table 6: self-labelling's mIoU over that of full supervision."
