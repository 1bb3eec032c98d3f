"""A training step of DeepLabV3+ (MobileNetV2), batch 12 at 192 x 192: on the seeds only, and with self-labelling."""

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from toykit import Energy, NearestNeighbors, SelfLabelingLoss, models
from toykit.bench.problems import CLASSES, Show, best_time, problems
from toykit.conventions import PADDING, UNLABELLED, seeded_classes
from toykit.energy.balance import seed_nll_at_cells
from toykit.energy.cells import cell_logits

BATCH, SIZE = 12, 192
#: How often each kind of step is measured; the fastest counts.
TURNS = 8


def step(show: Show) -> dict[str, float]:
    """Time training steps whose solver meets predictions of several kinds.

    Parameters
    ----------
    show : callable
        Prints a line.

    Returns
    -------
    dict
        Seconds per step by kind of predictions, their ratios to a step on the seeds only, and the solver's share of a step
        "on cells". Empty where the train extra is missing.

    Notes
    -----
    The solver's time depends on the predictions. "untrained" are the new network's own, almost uniform, which are the slowest;
    "simulated" adds the predictions of the benchmark's other parts, as after the paper's first phase, which trains on the
    seeds only. "on cells" computes labels at the network's own resolution, a quarter of the photo's, for the classes that the
    photo has seeds of, at lambda/eta 200 and bandwidth 20. The kinds take turns, so that all meet the same state of the
    machine, at a learning rate of 0, so that they meet the same network. Each is compared with seeds only at its resolution.
    """
    try:
        network = models.build("deeplabv3plus_mobilenetv2", CLASSES, image_size=SIZE, weights=None)
    except ImportError:
        show("training step: skipped, needs segmentation-models-pytorch")
        return {}
    simulated, image, seeds = problems(BATCH, SIZE, SIZE)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.0)
    criterion = SelfLabelingLoss(Energy())
    cells = SelfLabelingLoss(Energy(eta=1.0, lam=200.0, neighborhood=NearestNeighbors(20.0)), stride=4)
    present = seeded_classes(seeds, CLASSES)
    at_cells, count = cell_logits(simulated, seeds, cells.stride), (seeds < PADDING).flatten(1).sum(1)
    losses: dict[str, Callable[[Tensor], Tensor]] = {
        "seeds only": lambda logits: nn.functional.cross_entropy(logits, seeds, ignore_index=UNLABELLED),
        "untrained": lambda logits: criterion(logits, image, seeds),
        "simulated": lambda logits: criterion(logits + simulated, image, seeds),
        "seeds only, on cells": lambda logits: (seed_nll_at_cells(logits, seeds, cells.stride) / count).mean(),
        "on cells": lambda logits: cells(logits + at_cells, image, seeds, present),
    }

    def train_step(name: str) -> None:
        optimizer.zero_grad()
        losses[name](network(image, coarse=name.endswith("on cells"))).backward()
        optimizer.step()

    results = dict.fromkeys(losses, math.inf)
    for name in TURNS * list(losses):
        first = results[name] == math.inf
        results[name] = min(results[name], best_time(partial(train_step, name), 1, warm=first))
    problem = cells.subproblem(at_cells, image, seeds, present)
    results["solver_share_on_cells"] = best_time(lambda: cells.solve(problem), 3) / results["on cells"]
    show(f"labels on cells of 4 x 4 pixels, {int(present.sum())} classes in {BATCH} photos: the solver takes "
         f"{results['solver_share_on_cells']:.1%} of a step")  # fmt: skip
    for name in ("untrained", "simulated", "on cells"):
        without = "seeds only, on cells" if name == "on cells" else "seeds only"
        results[f"ratio_{name}"] = results[name] / results[without]
        show(f"training step, {BATCH} x {SIZE} x {SIZE}, K = {CLASSES}, predictions {name}: "
             f"{without} {results[without]:.2f} s, with self-labelling {results[name]:.2f} s, "
             f"ratio {results[f'ratio_{name}']:.2f}")  # fmt: skip
    return results
