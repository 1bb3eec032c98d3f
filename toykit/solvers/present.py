"""Labels limited to the classes that may occur in each image: the sub-problem on those classes, by any solver.

An annotator who marks a photo names its classes. With A the classes present in an image, labels have y^k = 0 for all others,
and the predictions are conditioned, sigma^k / (sum over A of sigma): what the network predicts, given that the class is one of
A. For CE and CCE that only adds a constant. So a solver gets the smaller problem, as if there were no other class, and its time
falls with their number.
"""

from dataclasses import replace

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.energy.energy import at_pixels, select
from toykit.simplex import softmax
from toykit.solvers.solution import Solution


def solve_present(solver, problem: Subproblem, *, callback=None, start: Tensor | None = None, **options) -> Solution:
    """Solve a sub-problem whose `present` is set; images with equally many classes are solved together.

    solver: a function of `toykit.solvers.SOLVERS`; options: its own. start, callback: see there; the callback gets labels of
    all K classes of those images that are solved together, and these groups one after another.

    Returns: Solution. Absent classes get exactly 0, on padding too. `energies` are those of the whole problem, with its
        unconditioned predictions (but for RCE, which is infinite there), so that they can be compared with other
        solutions': exactly so at the end; before it they carry the same constant.
    """
    if start is not None:
        problem.check_labels(start, "start")
        options["start"] = start
    counts = problem.present.sum(1)
    groups, solutions = [], []
    for count in counts.unique().tolist():
        images = (counts == count).nonzero()[:, 0]
        classes = problem.present[images].nonzero()[:, 1].view(-1, count)
        groups.append(images)
        solutions.append(_solve_group(solver, problem[images], classes, images, callback, options))
    order = torch.cat(groups).argsort()
    steps, rows = max(s.steps for s in solutions), max(len(s.energies) for s in solutions)
    traces = [torch.cat([s.energies, s.energies[-1:].expand(rows - len(s.energies), -1)]) for s in solutions]
    slowest = max(solutions, key=lambda s: (not s.converged, s.steps))
    return Solution(
        torch.cat([s.labels for s in solutions])[order],
        torch.cat(traces, 1)[:, order],
        steps,
        torch.cat([s.residual for s in solutions])[order],
        all(s.converged for s in solutions),
        slowest.message,
    )


def _solve_group(solver, whole: Subproblem, classes: Tensor, images: Tensor, callback, options: dict) -> Solution:
    """The solution of images with equally many classes, int64 (B, k)."""
    if classes.shape[1] == 1:
        return _only_class(whole, classes, callback)
    problem = whole.restrict(classes)
    if "start" in options:
        start = select(options["start"][images], classes)
        total = start.sum(1, keepdim=True)
        options = options | {"start": torch.where(total > 0, start / total.where(total > 0, 1), problem.sigma)}

    def to_all_classes(labels: Tensor) -> Tensor:
        """Put labels of the classes present among those of all classes."""
        whole_labels = torch.zeros_like(whole.sigma, dtype=labels.dtype)
        return whole_labels.scatter(1, at_pixels(classes, labels), labels)

    def report(step: int, labels: Tensor, energies: Tensor):
        return callback(step, to_all_classes(labels), energies)

    solution = solver(problem, callback=None if callback is None else report, **options)
    labels = to_all_classes(solution.labels)
    if labels.dtype != whole.sigma.dtype:  # the closed form's are float64
        whole = replace(whole, logits=whole.logits.double(), sigma=softmax(whole.logits.double()))
        problem = whole.restrict(classes)
    energies = solution.energies + whole.energy.eta * (whole.unary(labels) - problem.unary(solution.labels))
    return Solution(labels, energies, solution.steps, solution.residual, solution.converged, solution.message)


def _only_class(whole: Subproblem, only: Tensor, callback) -> Solution:
    """Where one class is present, int64 (B, 1), there is nothing to decide."""
    labels = torch.zeros_like(whole.sigma).scatter(1, at_pixels(only, whole.sigma), 1)
    energies = whole.value(labels)[None]
    if callback is not None:
        callback(0, labels, energies[0])
    return Solution(
        labels, energies, 0, torch.zeros_like(energies[0]), True, "only one class is present: nothing to solve"
    )
