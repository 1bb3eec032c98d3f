"""Checks of the exercises in notebook 09_results."""

import torch

from toykit.course.answer_kinds import function, numbers, share, yes_or_no
from toykit.course.exercises.registry import close, exercise
from toykit.experiments.label_noise import interval
from toykit.experiments.results import published


@exercise(
    "09.1",
    share,
    hints=(
        "For each ratio, how far is CD above BL?",
        "Subtract BL's column of Table 3 from CD's: at which ratio is it largest?",
    ),
    why="CD leads by 5.2 points there.",
)
def _where_the_relaxation_matters_most(answer):
    miou = {(row["relaxation"], row["scribble_length_ratio"]): row["miou"] for row in published("table3")}
    gap = {ratio: value - miou["BL", ratio] for (name, ratio), value in miou.items() if name == "CD"}
    best = max(gap, key=lambda ratio: gap[ratio])
    return close(answer, best)


@exercise(
    "09.2",
    function("first, second", returns=numbers(2)),
    hints=(
        "The runs come in pairs, one seed each.",
        "Subtract seed by seed, then take `interval` of the differences.",
    ),
    why="An effect of the seed on both methods cancels in the difference.",
)
def _paired_interval(answer):
    first, second = [90.3, 88.0, 89.7, 91.0], [88.0, 85.7, 87.2, 89.5]
    true = torch.tensor(interval([a - b for a, b in zip(first, second, strict=True)]), dtype=torch.float64)
    return close(answer(first, second), true, 1e-6)


@exercise(
    "09.3",
    function("first, second", returns=yes_or_no),
    hints=(
        "Compare the distance of the means with how far seeds scatter.",
        "Difference of the means against the larger of the two standard deviations (n - 1 below).",
    ),
    why="This is a rule of thumb: stricter for noisy methods, and blind to pairs.",
)
def _gap_above_the_spread(answer):
    cases = [([90.0, 91.0, 92.0], [87.0, 88.0, 88.5], True), ([90.0, 91.0, 92.0], [89.0, 91.5, 90.0], False),
             ([50.0, 60.0, 70.0], [48.0, 48.5, 49.0], True), ([50.0, 60.0, 70.0], [53.0, 53.5, 54.0], False)]  # fmt: skip
    return all(answer(a, b) == true for a, b, true in cases)


@exercise(
    "09.4",
    share,
    hints=(
        "Both numbers are in Table 6, Cityscapes.",
        "Table 6: self-labelling's mIoU over that of full supervision.",
    ),
    why="Blocks on half of the pixels are enough for nine tenths of full supervision.",
)
def _share_of_full_supervision(answer):
    rows = [row for row in published("table6") if row["dataset"] == "Cityscapes"]
    miou = {row["method"]: row["miou"] for row in rows}
    return close(answer, miou["H_CCE + P_CD"] / miou["Deeplab"])
