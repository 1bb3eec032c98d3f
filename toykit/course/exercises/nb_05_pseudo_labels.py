"""Checks of the exercises in notebook 05_pseudo_labels."""

import torch

from toykit._shared.palette import voc_palette
from toykit.course.answer_kinds import function, number, numbers
from toykit.course.exercises.registry import close, exercise
from toykit.datasets import photo
from toykit.neighborhoods import NearestNeighbors
from toykit.plots import soft_colors


@exercise(
    "05.1",
    number,
    hints=(
        "tk.NearestNeighbors(b).edges(image).weights is a list of tensors; average all entries.",
        "Halve an interval of bandwidths until the mean affinity is 0.8.",
    ),
    why="The same bandwidth means another smoothness on another photo: what is fixed here is the mean affinity.",
)
def _mean_affinity(answer):
    if not 0 < answer < torch.inf:
        return "a bandwidth is a positive number, in units of 0..255"
    image, _ = photo("coffee", 200).tensors()
    edges = NearestNeighbors(answer.item()).edges(image)
    mean = float(torch.cat([w.flatten() for w in edges.weights]).mean())
    return True if abs(mean - 0.8) < 0.02 else f"with that bandwidth the mean affinity is {mean:.3f}"


@exercise(
    "05.2",
    function("y, threshold", returns=number),
    hints=(
        "A pixel is undecided if even its best class is below the threshold.",
        "Compare each pixel's largest probability with the threshold.",
    ),
    why="The share of undecided pixels is one number for how soft a solution is.",
)
def _share_undecided(answer):
    y = (3 * torch.rand(4, 20, 20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).softmax(0)
    true = (y.amax(0) < 0.4).double().mean()
    return close(answer(y, 0.4), true, 1e-6)


@exercise(
    "05.3",
    function("y, colors", returns=numbers(4, 5, 3)),
    hints=(
        "Each class has a colour; a soft label is a mixture of them.",
        "Sum over the classes: label times colour, with colour as the last axis.",
    ),
    why="This is the paper's way of showing labels.",
)
def _paint(answer):
    y = torch.rand(3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).softmax(0)
    true = torch.from_numpy(soft_colors(y))
    return close(answer(y, torch.from_numpy(voc_palette(3))), true, 1e-9)
