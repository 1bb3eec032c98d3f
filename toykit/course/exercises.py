"""Checks of the course's exercises: `check("01.1", answer)` says whether an answer is right, and if not, what to try.

A check names the kind of answer that it wants (`toykit/course/answer_kinds.py`) and computes what is true with the library; none compares
with a stored number. An answer of `...` is one that has not been given: the notebooks run from top to bottom with their
exercises open. The solutions are folded away in the notebooks; the tests run them through these checks.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from toykit import cross_entropy, potts
from toykit._shared.arguments import check_choice
from toykit._shared.palette import voc_palette
from toykit.course.answer_kinds import (
    Kind,
    WrongKind,
    distribution,
    function,
    is_distribution,
    number,
    numbers,
    yes_or_no,
)
from toykit.datasets import photo
from toykit.energy import Energy
from toykit.experiments.label_noise import interval, targets
from toykit.experiments.neighborhoods import most_certain
from toykit.experiments.potentials import logit_gradient
from toykit.experiments.results import published
from toykit.neighborhoods import Dense, NearestNeighbors
from toykit.plots import soft_colors
from toykit.training.evaluation import mean_iou

CHECKS: dict[str, Callable[[object], str | None]] = {}


def check(name: str, answer: object) -> bool:
    """Print whether `answer` solves exercise `name`; returns True if it does.

    Raises: ValueError for an unknown exercise. A wrong answer, of whatever type, never raises.
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


def exercise(name: str, kind: Kind):
    """Register a check: a function of an answer of this kind that returns None if it is right, and else a hint."""

    def register(judge):
        CHECKS[name] = lambda answer: judge(kind(answer, "the answer"))
        return judge

    return register


def _random_pairs(classes: int = 4, n: int = 50) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    p, q = torch.rand(2, n, classes, dtype=torch.float64, generator=generator)
    return p / p.sum(1, keepdim=True), q / q.sum(1, keepdim=True)


def _close(found: Tensor, true: Tensor, hint: str, tolerance: float = 1e-9) -> str | None:
    return None if (found - true).abs().max() < tolerance else hint


@exercise("00.1", number)
def _seeded_share(answer):
    true = photo("rocket").seeded_share()
    return None if abs(answer - true) < 1e-3 else "Count pixels of rocket.seeds that are not 255, over all pixels."


@exercise("00.2", numbers(3))
def _soft_color(answer):
    y = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    true = torch.from_numpy(soft_colors(y[:, None, None])[0, 0])
    return _close(answer, true, "Weigh the rows of voc_palette(3) by the label and add them up.", 1e-3)


@exercise("00.3", number)
def _affinity(answer):
    image = torch.tensor([[100.0, 109.0], [100.0, 109.0]], dtype=torch.float64).expand(1, 3, 2, 2)
    true = NearestNeighbors(9.0).edges(image).weights[0].flatten()[0]
    return _close(answer, true, "exp(-d / (2 s^2)): d sums the squared difference over R, G and B.", 1e-3)


@exercise("01.1", function("s, a, b", returns=numbers(50)))
def _quadratic_from_products(answer):
    p, q = _random_pairs()
    found = answer((p * q).sum(1), (p * p).sum(1), (q * q).sum(1))
    return _close(found, potts.quadratic(p, q), "Expand ||p - q||^2 into p.p, q.q and p.q.")


@exercise("01.2", distribution(4))
def _worst_for_bilinear(answer):
    y = answer[None]
    worst = torch.full((1, 4), 0.25, dtype=torch.float64)
    return _close(
        potts.bilinear(y, y), potts.bilinear(worst, worst), "Which label has the smallest sum of squares?", 1e-6
    )


@exercise("01.3", distribution(4))
def _soft_boundary(y):
    if y[0] > 1e-6:
        return "The pixel must not take the neighbour's class, 0, at all."
    best = torch.tensor([0, 1, 1, 1], dtype=torch.float64) / 3
    vertex = torch.eye(4, dtype=torch.float64)[:1]
    return _close(
        potts.quadratic(vertex, y[None]), potts.quadratic(vertex, best[None]), "Spread what is left evenly.", 1e-6
    )


@exercise("02.1", function("potential", returns=function("p, q", returns=numbers(50))))
def _log_version(answer):
    p, q = _random_pairs()
    found = answer(potts.quadratic)(p, q)
    return _close(found, potts.log_quadratic(p, q), "Return a function of p and q: -ln(1 - potential(p, q)).")


@exercise("02.2", numbers(2))
def _flat_for_quadratic(answer):
    l_i, l_j = answer.float()
    flat, steep = (abs(float(logit_gradient(name, l_i, l_j))) for name in ("Q", "CD"))
    if flat < 1e-3 and steep > 0.5:
        return None
    return f"There |dP/dl_i| is {flat:.2g} for Q and {steep:.2g} for CD. Look where the two pixels disagree firmly."


@exercise("02.3", numbers(2, 2, 2, words="two pairs ((p0, q0), (p1, q1)) of labels of two numbers each"))
def _bilinear_not_convex(answer):
    if not is_distribution(answer):
        return "Each of the four labels is a distribution: two numbers, none below 0, that sum to 1."
    (p0, q0), (p1, q1) = answer
    ends = (potts.bilinear(p0, q0, 0) + potts.bilinear(p1, q1, 0)) / 2
    middle = potts.bilinear((p0 + p1) / 2, (q0 + q1) / 2, 0)
    return None if middle > ends + 1e-9 else "Move (a) of notebook 01 has a barrier: take its two ends."


@exercise("03.1", distribution(3))
def _says_nothing(answer):
    y = answer[None]
    _, sigma = _random_pairs(3)
    losses = cross_entropy.collision_cross_entropy(y, sigma)
    return None if losses.max() - losses.min() < 1e-6 else "sigma^T y must not depend on sigma: all y^k are equal."


@exercise("03.2", function("y, sigma", returns=numbers(50)))
def _reverse(answer):
    y, sigma = _random_pairs()
    return _close(
        answer(y, sigma),
        cross_entropy.reverse_cross_entropy(y, sigma),
        "Swap the two arguments of cross_entropy.",
    )


@exercise("03.3", distribution(3))
def _best_label(answer):
    y = answer[None]
    sigma = torch.tensor([[0.6, 0.3, 0.1]], dtype=torch.float64)
    best = cross_entropy.collision_cross_entropy(torch.eye(3, dtype=torch.float64), sigma).min()
    found = cross_entropy.collision_cross_entropy(y, sigma)[0]
    return None if found < best + 1e-6 else f"Your label costs {float(found):.3f}; {float(best):.3f} is possible."


@exercise("04.1", distribution(2))
def _three_pixels(y):
    return _close(
        y, torch.tensor([0.25, 0.75], dtype=torch.float64), "The middle averages its neighbours by weight.", 1e-3
    )


@exercise("04.2", distribution(2))
def _one_pixel_with_prior(answer):
    sigma, neighbour = (torch.tensor(t, dtype=torch.float64) for t in ([0.8, 0.2], [0.0, 1.0]))
    eta, lam, weight = 0.3, 6.0, 0.1
    true = (2 * eta * sigma + lam * weight * neighbour) / (2 * eta + lam * weight)
    return _close(answer, true, "(2 eta + lam w) y = 2 eta sigma + lam w neighbour.", 1e-3)


@exercise("04.3", function("y, sigma, weights, eta, lam", returns=numbers(5, 3)))
def _jacobi_sweep(answer):
    generator = torch.Generator().manual_seed(0)
    weights = torch.rand(5, 5, dtype=torch.float64, generator=generator).triu(1)
    weights = weights + weights.T
    y, sigma = _random_pairs(3, 5)
    true = (2 * 0.3 * sigma + 6 * weights @ y) / (2 * 0.3 + 6 * weights.sum(1, keepdim=True))
    return _close(answer(y, sigma, weights, 0.3, 6.0), true, "Solve each pixel's equation, all others held fixed.")


@exercise("05.1", number)
def _mean_affinity(answer):
    if not 0 < answer < torch.inf:
        return "A bandwidth is a positive number, in units of 0..255."
    image, _ = photo("coffee", 200).tensors()
    edges = NearestNeighbors(answer.item()).edges(image)
    mean = float(torch.cat([w.flatten() for w in edges.weights]).mean())
    return None if abs(mean - 0.8) < 0.02 else f"With that bandwidth the mean affinity is {mean:.3f}."


@exercise("05.2", function("y, threshold", returns=number))
def _share_undecided(answer):
    y = (3 * torch.rand(4, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).softmax(0)
    true = (y.amax(0) < 0.4).double().mean()
    return _close(answer(y, 0.4), true, "Compare each pixel's largest probability with the threshold.", 1e-6)


@exercise("05.3", function("y, colors", returns=numbers(4, 5, 3)))
def _paint(answer):
    y = torch.rand(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).softmax(0)
    true = torch.from_numpy(soft_colors(y))
    return _close(answer(y, torch.from_numpy(voc_palette(3))), true, "Sum over the classes: label times colour.")


@exercise("06.1", function("h, w", returns=numbers(2)))
def _pairs(answer):
    found = answer(5, 7)
    image = torch.zeros(1, 3, 5, 7)
    grid = NearestNeighbors().edges(image).degree().sum() / 2
    dense = Dense(exact=True, spatial_bandwidth=1e6).edges(image).degree().sum() / 2
    true = torch.stack([grid, dense]).double()
    return _close(
        found, true, "Along a row of w pixels lie w - 1 pairs; dense: each of N pixels with N - 1, halved.", 1e-3
    )


@exercise("06.2", function("volumes", returns=number))
def _volume_potential(answer):
    volumes = torch.tensor([3.0, 5.0, 4.0], dtype=torch.float64)
    labels = torch.arange(3).repeat_interleave(volumes.long()).view(1, 3, 4)
    edges = Dense(exact=True, spatial_bandwidth=1e6).edges(torch.zeros(1, 3, 3, 4, dtype=torch.float64))
    true = edges.weight_by_agreement(labels)[1][0]
    return _close(answer(volumes), true, "All pairs of N pixels, less those within a segment.", 1e-6)


@exercise("06.3", function("margins, n", returns=numbers(6, 5)))
def _threshold(answer):
    margins = torch.randn(6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    true = most_certain(torch.stack([-margins / 2, margins / 2])[None], 9)
    hint = "n (N - n) does not depend on which: take the n pixels of the largest margins, as a mask like margins."
    return _close(answer(margins, 9), true.double(), hint)


@exercise("06.4", function("y", returns=number))
def _all_pairs(answer):
    y, _ = _random_pairs(4, 12)
    edges = Dense(exact=True, spatial_bandwidth=1e6).edges(torch.zeros(1, 3, 3, 4, dtype=torch.float64))
    true = edges.potts(y.T.view(1, 4, 3, 4), potts.quadratic)[0]
    return _close(
        answer(y), true, "Expand the square: N times the sum of all y^2, less ||sum of the y_i||^2, halved.", 1e-6
    )


@exercise("07.1", distribution(4))
def _soft_target(answer):
    true = targets(torch.tensor([2]), 0.4, 4)[0].double()
    return _close(answer, true, "Mix: 0.4 times the uniform distribution, 0.6 times the vertex.", 1e-6)


@exercise("07.2", number)
def _ceiling(answer):
    true = float(targets(torch.tensor([0]), 0.6, 6).max())
    return None if abs(answer - true) < 1e-3 else "CE is smallest where the prediction equals the target."


@exercise("07.3", function("s, eta, num_classes", returns=numbers(50)))
def _collision_of_soft_target(answer):
    _, sigma = _random_pairs(6)
    true = cross_entropy.collision_cross_entropy(targets(torch.zeros(50, dtype=torch.long), 0.6, 6).double(), sigma)
    hint = "sigma^T u = 1 / K whatever sigma is; the rest is (1 - eta) times the observed class's probability."
    return _close(answer(sigma[:, 0], 0.6, 6), true, hint, 1e-6)


@exercise("08.1", function("y, logits, seeds, eta", returns=number))
def _network_part(answer):
    generator = torch.Generator().manual_seed(0)
    logits, y = torch.randn(2, 1, 3, 5, 6, dtype=torch.float64, generator=generator)
    y, image = y.softmax(1), 255 * torch.rand(1, 3, 5, 6, dtype=torch.float64, generator=generator)
    seeds = torch.full((1, 5, 6), 255)
    seeds[0, :2, 1:4] = torch.tensor([[0, 0, 0], [2, 1, 1]])
    logits.requires_grad_()
    with torch.enable_grad():
        loss = answer(y, logits, seeds, 0.3)
        if not loss.requires_grad:
            return "The loss does not depend on the logits (are they still tensors, not detached, in your sum?)."
        (found,) = torch.autograd.grad(loss, logits)
        whole = Energy("CCE", "CD", 0.3, 6.0).self_labeling_loss(y, logits, image, seeds)
        (true,) = torch.autograd.grad(whole, logits)
    return _close(
        found, true, "Both means count their own pixels: NLL the seeds, -ln sigma.y the unlabelled ones.", 1e-8
    )


@exercise("08.2", function("step, steps, lr", returns=number))
def _decayed_rate(answer):
    true = torch.tensor([0.0007 * (1 - step / 900) ** 0.9 for step in (0, 450, 899)], dtype=torch.float64)
    found = torch.stack([answer(step, 900, 0.0007) for step in (0, 450, 899)])
    return _close(found, true, "lr times (1 - step / steps) to the power of 0.9.")


@exercise("08.3", function("confusion", returns=number))
def _iou_of_the_set(answer):
    confusion = torch.tensor([[50, 10, 0, 0], [5, 20, 0, 5], [0, 0, 0, 0], [0, 4, 0, 6]])
    true = torch.tensor(mean_iou(confusion), dtype=torch.float64)
    hint = "Diagonal over (row sum + column sum - diagonal), averaged over the classes whose union is not empty."
    return _close(answer(confusion), true, hint, 1e-6)


@exercise("09.1", number)
def _where_the_relaxation_matters_most(answer):
    miou = {(row["relaxation"], row["scribble_length_ratio"]): row["miou"] for row in published("table3")}
    gap = {ratio: value - miou["BL", ratio] for (name, ratio), value in miou.items() if name == "CD"}
    best = max(gap, key=gap.get)
    return (
        None
        if abs(answer - best) < 1e-6
        else "Subtract BL's column of Table 3 from CD's: at which ratio is it largest?"
    )


@exercise("09.2", function("first, second", returns=numbers(2)))
def _paired_interval(answer):
    first, second = [90.3, 88.0, 89.7, 91.0], [88.0, 85.7, 87.2, 89.5]
    true = torch.tensor(interval([a - b for a, b in zip(first, second, strict=True)]), dtype=torch.float64)
    return _close(answer(first, second), true, "Subtract seed by seed, then take `interval` of the differences.", 1e-6)


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
