"""Checks of the exercises in notebook 08_train."""

import torch

from toykit.course.answer_kinds import function, number
from toykit.course.exercises.registry import close, exercise
from toykit.energy import Energy
from toykit.training.evaluation import mean_iou


@exercise(
    "08.1",
    function("y, logits, seeds, eta", returns=number),
    hints=(
        "Two terms, each a mean over its own pixels; the Potts term has no logits in it.",
        "Both means count their own pixels: NLL the seeds, -ln sigma.y the unlabelled ones.",
    ),
    why="The labels are constants while the network steps: only these two terms reach it.",
)
def _network_part(answer):
    generator = torch.Generator().manual_seed(0)
    logits, y = torch.randn(2, 1, 3, 5, 6, dtype=torch.float64, generator=generator)
    y, image = y.softmax(1), 255 * torch.rand(1, 3, 5, 6, dtype=torch.float64, generator=generator)
    seeds = torch.full((1, 5, 6), 255)
    seeds[0, :2, 1:4] = torch.tensor([[0, 0, 0], [2, 1, 1]])
    logits.requires_grad_()
    with torch.enable_grad():
        loss = answer(y, logits, seeds, 0.3)
        value = torch.autograd.grad(loss, logits, allow_unused=True)[0] if loss.requires_grad else None
        if value is None:
            return "the loss does not depend on the logits (are they still tensors, not detached, in your sum?)"
        whole = Energy("CCE", "CD", 0.3, 6.0).self_labeling_loss(y, logits, image, seeds)
        (true,) = torch.autograd.grad(whole, logits)
    return close(value, true, 1e-8)


@exercise(
    "08.2",
    function("step, steps, lr", returns=number),
    hints=(
        "The rate falls to 0 at the last step, slightly slower than a straight line.",
        "lr times (1 - step / steps) to the power of 0.9.",
    ),
    why='It is the "poly" schedule of the DeepLab papers.',
)
def _decayed_rate(answer):
    true = torch.tensor([0.0007 * (1 - step / 900) ** 0.9 for step in (0, 450, 899)], dtype=torch.float64)
    value = torch.stack([answer(step, 900, 0.0007) for step in (0, 450, 899)])
    return close(value, true, 1e-9)


@exercise(
    "08.3",
    function("confusion", returns=number),
    hints=(
        "Intersection over union of each class, then a mean; some class may be absent.",
        "Diagonal over (row sum + column sum - diagonal), averaged over the classes whose union is not empty.",
    ),
    why="All photos share one matrix: a mean of the photos' IoUs would be another number.",
)
def _iou_of_the_set(answer):
    confusion = torch.tensor([[50, 10, 0, 0], [5, 20, 0, 5], [0, 0, 0, 0], [0, 4, 0, 6]])
    true = torch.tensor(mean_iou(confusion), dtype=torch.float64)
    return close(answer(confusion), true, 1e-6)
