"""The paper's solver (section A): gradient descent on logits l with y = softmax(l), seeds reset at each step.

Softmax removes the simplex constraint but also the convexity, so the start matters: it is the network's prediction.
The paper takes 200 steps at a learning rate of 0.075 and calls the method "standard gradient descent in PyTorch",
without naming an optimiser. Two readings are offered, both torch's own:

    "gd"    plain gradient descent, l <- l - lr dE/dl. This is the text taken literally. Its steps are proportional to the
            gradient, which softmax multiplies by y: a confident pixel hardly moves, and 200 steps end far above the minimum.
    "adam"  Adam with torch's default moments: each coordinate moves by about lr per step, however small its gradient.
            The same 200 steps go several times as far. This is the default.

E is a sum over pixels, so a pixel's step depends on its neighbourhood and not on the image's size, and each image of a batch
moves as it would alone.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.energy import Subproblem
from toykit.simplex import softmax
from toykit.solvers.solution import Solution

OPTIMIZERS = {"gd": torch.optim.SGD, "adam": torch.optim.Adam}

#: The number of last steps over which the energy's decrease is measured.
WINDOW = 10


@dataclass(frozen=True)
class GradientOptions:
    """Options of the solver "gradient".

    Parameters
    ----------
    optimizer : {"adam", "gd"}, default "adam"
        Adam, or plain gradient descent; see `toykit.solvers.gradient`.
    lr : float, default 0.075
        Learning rate, in (0, 1e6].
    steps : int, default 200
        Number of steps, at least 1; all are taken.
    tolerance : float, default 1e-3
        An image has converged if its energy, less the constant between seeds, changed by less than this share over the last 10
        steps and did not end above its start.

    Raises
    ------
    ValueError
        For an option out of range.
    """

    optimizer: str = "adam"
    lr: float = 0.075
    steps: int = 200
    tolerance: float = 1e-3

    def __post_init__(self):
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        check_number("lr", self.lr, "(0, 1e6]")
        check_whole("steps", self.steps)
        check_number("tolerance", self.tolerance, "(0, inf]")


def gradient_descent(
    problem: Subproblem, options: GradientOptions, *, callback: Callable[..., object] | None = None
) -> Solution:
    """Minimise a sub-problem by gradient descent on logits.

    Parameters
    ----------
    problem : Subproblem
    options : GradientOptions
    callback : callable, optional
        Called as callback(step, labels, energies) with labels (B, K, H, W) and energies (B,) at the start (step 0) and after
        each step; the loop ends early if it returns True. It may read them, but must not write into them.

    Returns
    -------
    Solution
        Its residual is the share by which the energy fell over the last 10 steps.
    """
    stopped, step, trace = False, 0, []
    with torch.enable_grad():
        variables = problem.sigma.log().requires_grad_()  # the network's logits, up to a constant per pixel
        descent = OPTIMIZERS[options.optimizer]([variables], lr=options.lr)
        while True:
            labels = problem.fix_seeds(softmax(variables))
            energies = problem.value(labels)
            trace.append(energies.detach())
            stopped = callback is not None and callback(step, labels.detach(), energies.detach()) is True
            if stopped or step == options.steps:
                break
            (variables.grad,) = torch.autograd.grad(energies.sum(), variables)
            descent.step()
            step += 1

    trace = torch.stack(trace)
    residual, rose = _progress(trace - problem.constant(), problem.unlabelled.flatten(1).any(1))
    late = residual.abs() >= options.tolerance
    message = _describe(options, step, stopped, residual, rose, late)
    return Solution(labels.detach(), trace, step, residual, not bool((late | rose).any()), message)


def _progress(energies: Tensor, has_work: Tensor) -> tuple[Tensor, Tensor]:
    """Return the share by which each image's energy fell over the last steps, and whether it ended above its start."""
    start, before, last = energies[0], energies[max(0, len(energies) - 1 - WINDOW)], energies[-1]
    # an energy that fell to zero is compared with its rounding error at the start
    scale = torch.maximum(last.abs(), start.abs() * torch.finfo(last.dtype).eps)
    residual = torch.where(before == last, 0, (before - last) / scale)
    if len(energies) == 1:
        residual = residual.masked_fill(has_work, torch.inf)  # without a step, there is no decrease to measure
    return residual, last > start + 1e-3 * scale


def _describe(options: GradientOptions, steps: int, stopped: bool, residual: Tensor, rose: Tensor, late: Tensor) -> str:
    """Describe the outcome and the remedy; rose, late: bool (B,), images that ended above their start or did not converge."""
    head = f"{options.optimizer}, lr {options.lr:g}, {steps} steps{' (stopped by the callback)' if stopped else ''}: "
    last = f"over the last {min(WINDOW, steps)} steps"
    if rose.any():
        return f"{head}the energy of {int(rose.sum())} of {len(rose)} images ended above its start; lower lr"
    if late.any():
        remedy = "optimizer='adam' or more steps" if options.optimizer == "gd" else "more steps"
        return (
            f"{head}{int(late.sum())} of {len(late)} images had not converged (the energy still changed by up to "
            f"{float(residual.abs().max()):.1%} of its value {last}, tolerance {options.tolerance:.1%}); take {remedy}"
        )
    return f"{head}converged (the energy changed by less than {options.tolerance:.1%} of its value {last})"
