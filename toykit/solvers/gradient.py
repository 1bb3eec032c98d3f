"""The paper's solver (section A): gradient descent on logits l with y = softmax(l), seeds reset at each step.

Softmax removes the simplex constraint but also the convexity, so the start matters: it is the network's prediction.
The paper takes 200 steps at a learning rate of 0.075 and calls the method "standard gradient descent in PyTorch",
without naming an optimiser. Two readings are offered, both torch's own:

    "gd"    plain gradient descent, l <- l - lr dE/dl. Literally the text. Its steps are as small as the gradient, which
            softmax multiplies by y: a confident pixel hardly moves, and 200 steps end far above the minimum.
    "adam"  Adam with torch's default moments: each coordinate moves by about lr a step, however small its gradient.
            The same 200 steps go several times as far. The default.

E is a sum over pixels, so that a pixel's step depends on its neighbourhood and not on the image's size, and each image
of a batch moves as it would alone.
"""

from numbers import Real

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_whole
from toykit.energy import Subproblem
from toykit.simplex import softmax
from toykit.solvers.solution import Solution

OPTIMIZERS = {"gd": torch.optim.SGD, "adam": torch.optim.Adam}

#: The energy's decrease is judged over this many last steps.
WINDOW = 10


def check_gradient_options(optimizer: str, lr: float, steps: int, tolerance: float) -> None:
    """Raise ValueError for an option outside its range."""
    check_choice("optimizer", optimizer, OPTIMIZERS)
    if not isinstance(lr, Real) or isinstance(lr, bool) or not 0 < lr <= 1e6:
        raise ValueError(f"lr: expected a number in (0, 1e6], got {lr!r}")
    check_whole("steps", steps)
    if not isinstance(tolerance, Real) or isinstance(tolerance, bool) or not tolerance > 0:
        raise ValueError(f"tolerance: expected a positive number, got {tolerance!r}")


def gradient_descent(
    problem: Subproblem,
    *,
    optimizer: str = "adam",
    lr: float = 0.075,
    steps: int = 200,
    tolerance: float = 1e-3,
    callback=None,
) -> Solution:
    """Minimise a sub-problem by `steps` steps of gradient descent on logits.

    optimizer: "adam" or "gd", see above. lr: learning rate, in (0, 1e6]. steps: at least 1; all are taken.
    tolerance: an image counts as converged if its energy, less the constant between seeds, changed by less than this
        share over the last 10 steps and did not end above its start.
    callback: called as callback(step, labels, energies) with labels (B, K, H, W) and energies (B,) at the start (step
        0) and after each step; the loop ends early when it returns True. It may read them, not write into them.

    Returns: Solution; its residual is the share by which the energy fell over the last 10 steps.
    Raises: ValueError for an option outside its range.
    """
    check_gradient_options(optimizer, lr, steps, tolerance)
    stopped = False
    with torch.enable_grad():
        variables = problem.sigma.log().requires_grad_()  # the network's logits, up to a constant a pixel
        descent = OPTIMIZERS[optimizer]([variables], lr=lr)
        trace = []
        for step in range(steps + 1):
            labels = problem.fix_seeds(softmax(variables))
            energies = problem.value(labels)
            trace.append(energies.detach())
            stopped = callback is not None and callback(step, labels.detach(), energies.detach()) is True
            if stopped or step == steps:
                break
            (variables.grad,) = torch.autograd.grad(energies.sum(), variables)
            descent.step()

    trace = torch.stack(trace)
    residual, rose = _progress(trace - problem.constant(), problem.unlabelled.flatten(1).any(1))
    late = residual.abs() >= tolerance
    message = f"{optimizer}, lr {lr:g}, {len(trace) - 1} steps{' (stopped by the callback)' if stopped else ''}: "
    last = f"over the last {min(WINDOW, len(trace) - 1)} steps"
    if rose.any():
        message += f"the energy of {int(rose.sum())} of {len(rose)} images ended above its start; lower lr"
    elif late.any():
        cure = "optimizer='adam' or more steps" if optimizer == "gd" else "more steps"
        message += (
            f"{int(late.sum())} of {len(late)} images had not converged (the energy still changed by up to "
            f"{float(residual.abs().max()):.1%} of its value {last}, tolerance {tolerance:.1%}); take {cure}"
        )
    else:
        message += f"converged (the energy changed by less than {tolerance:.1%} of its value {last})"
    return Solution(labels.detach(), trace, len(trace) - 1, residual, not bool((late | rose).any()), message)


def _progress(energies: Tensor, has_work: Tensor) -> tuple[Tensor, Tensor]:
    """Share by which each image's energy fell over the last steps, and whether it ended above its start: (B,), (B,)."""
    start, before, last = energies[0], energies[max(0, len(energies) - 1 - WINDOW)], energies[-1]
    # an energy that fell to nothing is judged by what it was
    scale = torch.maximum(last.abs(), start.abs() * torch.finfo(last.dtype).eps)
    residual = torch.where(before == last, 0, (before - last) / scale)
    if len(energies) == 1:
        residual = residual.masked_fill(has_work, torch.inf)  # no step taken: nothing is known
    return residual, last > start + 1e-3 * scale
