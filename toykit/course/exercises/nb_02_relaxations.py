"""Checks of the exercises in notebook 02_relaxations."""

from toykit import potts
from toykit.course.answer_kinds import function, is_distribution, numbers
from toykit.course.exercises.registry import close, exercise, random_pairs
from toykit.experiments.potentials import logit_gradient


@exercise(
    "02.1",
    function("potential", returns=function("p, q", returns=numbers(50))),
    hints=(
        "The answer is a function that takes a potential and returns a function.",
        "Return a function of p and q: -ln(1 - potential(p, q)).",
    ),
    why="The logarithm turns a value that stays below 1 into one that grows without bound at firm disagreement.",
)
def _log_version(answer):
    p, q = random_pairs()
    value = answer(potts.quadratic)(p, q)
    return close(value, potts.log_quadratic(p, q), 1e-9)


@exercise(
    "02.2",
    numbers(2),
    hints=(
        "Look where the two pixels disagree firmly.",
        "A large negative logit for one pixel, a large positive one for the other.",
    ),
    why="At a corner softmax has no slope, and Q's gradient is moderate there; CD's grows as fast as the slope vanishes.",
)
def _flat_for_quadratic(answer):
    l_i, l_j = answer.float()
    flat, steep = (abs(float(logit_gradient(name, l_i, l_j))) for name in ("Q", "CD"))
    if flat < 1e-3 and steep > 0.5:
        return True
    return f"there |dP/dl_i| is {flat:.2g} for Q and {steep:.2g} for CD"


@exercise(
    "02.3",
    numbers(2, 2, 2, words="two pairs ((p0, q0), (p1, q1)) of labels of two numbers each"),
    hints=(
        "Find a way along which BL rises and falls again.",
        "Move (a) of notebook 01 has a barrier: take its two ends.",
    ),
    why="Both ends cost nothing and the middle costs 1/2, so the value lies above the chord.",
)
def _bilinear_not_convex(answer):
    if not is_distribution(answer):
        return "each of the four labels is a distribution: two numbers, none below 0, that sum to 1"
    (p0, q0), (p1, q1) = answer
    ends = (potts.bilinear(p0, q0, 0) + potts.bilinear(p1, q1, 0)) / 2
    middle = potts.bilinear((p0 + p1) / 2, (q0 + q1) / 2, 0)
    return bool(middle > ends + 1e-9)
