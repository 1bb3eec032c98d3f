"""Labels limited to the classes that may occur in each image: the sub-problem on those classes, by any solver.

An annotator who marks a photo names its classes. With A the classes present in an image, labels have y^k = 0 for all others,
and the predictions are conditioned, sigma^k / (sum over A of sigma): the network's prediction, given that the class is one of
A. For CE and CCE this only adds a constant. A solver therefore gets the smaller problem, as if there were no other classes, and
its running time falls with their number.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from toykit._shared.threads import in_threads
from toykit.energy import Subproblem
from toykit.energy.energy import at_pixels, select
from toykit.simplex import softmax
from toykit.solvers.solution import Solution, join_traces

#: Numbers in the labels of all images up to which groups are solved at the same time: a solver's own threads are of no use to
#: so few, and several groups at a time need little memory.
SMALL = 2**20


def solve_present(
    solver: Callable[..., Solution],
    problem: Subproblem,
    options: Any,
    *,
    callback: Callable[..., object] | None = None,
) -> Solution:
    """Solve a sub-problem whose `present` is set.

    Images with the same number of classes are solved together; with a callback, images with the same classes.

    Parameters
    ----------
    solver : callable
        The function of a solver, `toykit.solvers.SOLVERS[method].solve`.
    problem : Subproblem
        With `present` set.
    options : object
        The solver's options. Labels in an option `start` are restricted, too.
    callback : callable, optional
        See the solver. It gets labels of all K classes for those images that are solved together; these groups come one after
        another.

    Returns
    -------
    Solution
        Absent classes get exactly 0, on padding too. `energies` are those of the whole problem, with its unconditioned
        predictions (except for RCE, which is infinite there), so that they can be compared with other solutions': exactly at
        the end; before it, they contain the same constant.
    """
    present, start = problem.present, getattr(options, "start", None)
    if present is None:
        raise ValueError("problem: expected a sub-problem with `present`, got None; call the solver itself")
    if start is not None:
        problem.check_labels(start, "start")
    # solvers may call the callback for one image of a group: its classes are known if they are those of the whole group
    group_of = present.sum(1) if callback is None else present.unique(dim=0, return_inverse=True)[1]
    groups = [(group_of == group).nonzero()[:, 0] for group in group_of.unique()]
    groups.sort(key=len, reverse=True)  # in threads, a large one must not come last

    def solve(images: Tensor) -> Solution:
        classes = present[images].nonzero()[:, 1].view(len(images), -1)
        own = options if start is None else replace(options, start=start[images])
        return _solve_group(solver, problem[images], classes, own, callback)

    one_by_one = callback is not None or getattr(options, "progress", None) is not None
    small = problem.sigma.device.type == "cpu" and problem.sigma.numel() <= SMALL and not one_by_one
    solutions = in_threads(solve, groups) if small else [solve(images) for images in groups]
    order = torch.cat(groups).argsort()
    slowest = max(solutions, key=lambda s: (not s.converged, s.steps))
    return Solution(
        torch.cat([s.labels for s in solutions])[order],
        join_traces([s.energies for s in solutions])[:, order],
        max(s.steps for s in solutions),
        torch.cat([s.residual for s in solutions])[order],
        all(s.converged for s in solutions),
        slowest.message,
    )


def _solve_group(
    solver: Callable[..., Solution],
    whole: Subproblem,
    classes: Tensor,
    options: Any,
    callback: Callable[..., object] | None,
) -> Solution:
    """Solve images with the same number of classes, int64 (B, k)."""
    if classes.shape[1] == 1:
        return _only_class(whole, classes, callback)
    problem = whole.restrict(classes)
    if getattr(options, "start", None) is not None:
        start = select(options.start, classes)
        total = start.sum(1, keepdim=True)
        start = torch.where(total > 0, start / total.where(total > 0, 1), problem.sigma)
        options = replace(options, start=start)

    def to_all_classes(labels: Tensor) -> Tensor:
        """Put labels of the classes present among those of all classes."""
        whole_labels = labels.new_zeros(len(labels), *whole.sigma.shape[1:])
        return whole_labels.scatter(1, at_pixels(classes[: len(labels)], labels), labels)

    report = None if callback is None else lambda step, y, energies: callback(step, to_all_classes(y), energies)
    solution = solver(problem, options, callback=report)
    labels = to_all_classes(solution.labels)
    if labels.dtype != whole.sigma.dtype:  # the closed form's are float64
        whole = replace(whole, logits=whole.logits.double(), sigma=softmax(whole.logits.double()))
        problem = whole.restrict(classes)
    energies = solution.energies + whole.energy.eta * (whole.unary(labels) - problem.unary(solution.labels))
    return replace(solution, labels=labels, energies=energies)


def _only_class(whole: Subproblem, only: Tensor, callback: Callable[..., object] | None) -> Solution:
    """Return the labels of images in which only one class is present, int64 (B, 1)."""
    labels = torch.zeros_like(whole.sigma).scatter(1, at_pixels(only, whole.sigma), 1)
    energies = whole.value(labels)[None]
    if callback is not None:
        callback(0, labels, energies[0])
    return Solution(
        labels, energies, 0, torch.zeros_like(energies[0]), True, "only one class is present: nothing to solve"
    )
