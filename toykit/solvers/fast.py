"""The fast solver: over-relaxed block descent in four colours, monotone by construction.

The paper takes 200 steps of gradient descent on logits, by autograd. Here a quarter of the pixels, none a neighbour of another,
moves at once towards its exact proximal step while the rest is held fixed (`toykit.solvers.quarters`), then the next quarter.
Four ideas make this quick:

- gradients from three products a pair (`toykit.solvers.scalar_forms`): no autograd, no softmax, labels can reach a vertex;
- a step length of its own for each pixel, from a majoriser; the cross-entropy enters by its exact proximal map;
- steps 1.75 times as long (successive over-relaxation): sweeps grow as the square root of the condition number;
- a line search of a pixel's own energy, known in closed form along its step: a pixel that would go up goes less far or not at
  all, so that the whole energy never rises, whatever the relaxation and the input.

Relaxations other than Q begin with a few sweeps on Q, which is convex: an escape from the poor local minima near the start.
On an image where that ends above the start, the descent is repeated without them.

Two kernels do the same arithmetic: torch (any device) and numba (a processor, where numba is installed; several times faster).
"""

import importlib.util
from dataclasses import replace
from numbers import Integral, Real

import torch
from torch import Tensor

from toykit.conventions import check_choice
from toykit.energy import Subproblem
from toykit.solvers import kernel_torch
from toykit.solvers.quarters import Quarters, pack
from toykit.solvers.solution import Solution

KERNELS = ("auto", "torch", "compile", "numba")
#: Over-relaxation; sweeps on Q before the others, ended early below this relative decrease.
OMEGA, WARM_UP, WARM_UP_TOLERANCE = 1.75, 8, 0.005
#: A GPU is asked whether it is done only every so many sweeps: asking waits for it.
POLL = 8


def check_fast_options(tolerance: float, max_steps: int, kernel: str, active_classes: float) -> None:
    """Raise ValueError for an option outside its range, ImportError for a kernel that is not installed."""
    check_choice("kernel", kernel, KERNELS)
    if not isinstance(tolerance, Real) or isinstance(tolerance, bool) or not 0 <= tolerance < 1:
        raise ValueError(f"tolerance: expected a number in [0, 1), got {tolerance!r}")
    if not isinstance(max_steps, Integral) or isinstance(max_steps, bool) or max_steps < 1:
        raise ValueError(f"max_steps: expected a whole number, at least 1; got {max_steps!r}")
    if not isinstance(active_classes, Real) or isinstance(active_classes, bool) or not 0 <= active_classes <= 1:
        raise ValueError(f"active_classes: expected a probability in [0, 1], got {active_classes!r}")
    if kernel == "numba" and importlib.util.find_spec("numba") is None:
        raise ImportError('kernel="numba" needs numba: pip install numba, or take kernel="torch"')


def fast_descent(
    problem: Subproblem,
    *,
    tolerance: float = 1e-4,
    max_steps: int = 200,
    kernel: str = "auto",
    active_classes: float = 0.0,
    callback=None,
) -> Solution:
    """Minimise a sub-problem on nearest neighbours; any cross-entropy and relaxation. Deterministic.

    tolerance: an image is done when a sweep lowers its energy (less the constant between seeds) by at most this share.
    max_steps: sweeps at most. kernel: "auto" (numba on a processor where it is installed, else torch), "numba", "torch", or
        "compile": the torch kernel through `torch.compile`, which needs a compiler and some seconds at the first call.
    active_classes: 0 solves for all classes. Above, an image's labels are limited to classes that it has seeds of or that are
        predicted with at least this probability somewhere: quicker where few of many classes occur, and not below the
        optimum of all (`energies` are those of the whole problem, so that two solutions can be compared).
    callback: callback(step, labels, energies) at the start (step 0) and after each sweep, with one image at a time on a
        processor: labels (1, K, H, W) and energies (1,); ends the image's descent when it returns True.

    Returns: Solution. `energies` is the lowest energy reached after each sweep; `steps` counts the sweeps of the slowest
        image; its residual is each image's last relative decrease.
    Raises: ValueError for an option outside its range; ImportError where a named kernel is missing.
    """
    check_fast_options(tolerance, max_steps, kernel, active_classes)
    kernels = kernel_of(kernel, problem.sigma.device)
    start = problem.fix_seeds(problem.sigma)
    batch, num_classes = start.shape[:2]
    quarters = pack(problem, start) if active_classes == 0 else None
    # image by image, one fits a processor's cache; all at once they fill a GPU
    together = start.device.type == "cuda" and active_classes == 0
    groups = [slice(0, batch)] if together else [slice(b, b + 1) for b in range(batch)]
    labels, traces, residuals, stopped, used = [], [], [], False, 0
    for group in groups:
        if active_classes == 0:
            classes, x = slice(None), quarters[group]
        else:
            classes, x = _narrow(problem, start, group, active_classes)
            used = max(used, len(classes))
        found, trace, residual, ended = _descend(x, problem, kernels, tolerance, max_steps, callback)
        whole = torch.zeros_like(start[group])
        whole[:, classes] = found
        labels.append(whole)
        traces.append(trace)
        residuals.append(residual)
        stopped |= ended
    steps = max(len(trace) for trace in traces) - 1
    energies = torch.cat([torch.cat([t, t[-1:].expand(steps + 1 - len(t), -1)]) for t in traces], 1)
    labels = torch.where(problem.unlabelled[:, None], torch.cat(labels), start)
    # what no step changes: the edges between seeds and, in some cross-entropies, the classes left out
    constant = problem.constant() if active_classes == 0 else problem.value(labels) - energies[-1]
    energies = (energies + constant.double()).to(start.dtype)
    residual = torch.cat(residuals)
    late = ~(residual <= tolerance)  # NaN is late
    message = f"fast, {steps} sweeps{' (stopped by the callback)' if stopped else ''}: "
    if late.any():
        message += (
            f"{int(late.sum())} of {batch} images had not converged (the last sweep still lowered the energy by up to "
            f"{float(residual.max()):.2%}, tolerance {tolerance:.2%}); take a larger max_steps or tolerance"
        )
    else:
        message += f"converged (the last sweep lowered the energy by at most {tolerance:.2%})"
    if used:
        message += f"; at most {used} of {num_classes} classes in an image"
    return Solution(labels, energies, steps, residual.to(start.dtype), not bool(late.any()), message)


def _narrow(problem: Subproblem, start: Tensor, image: slice, threshold: float) -> tuple[Tensor, Quarters]:
    """The classes that one image may take, at least two, and its sub-problem on them."""
    unlabelled = problem.unlabelled[image][:, None]
    peak = problem.sigma[image].where(unlabelled, 0).amax((0, 2, 3))
    seeded = problem.vertices[image].where(problem.is_seed[image][:, None], 0).amax((0, 2, 3)) > 0
    active = seeded | (peak >= threshold)
    active[(peak + seeded).topk(2).indices] = True
    classes = active.nonzero()[:, 0]
    edges = replace(problem.edges, weights=tuple(w[image] for w in problem.edges.weights))
    parts = (problem.logits[image], problem.sigma[image], start[image])
    logits, sigma, first = (part[:, classes] for part in parts)
    number = torch.cumsum(active, 0) - 1
    seeds = problem.seeds[image]
    known = problem.is_seed[image]
    seeds = torch.where(known, number[seeds.where(known, 0)], seeds)
    narrow = Subproblem(problem.energy, logits, seeds, sigma, edges)
    return classes, pack(narrow, first / first.sum(1, keepdim=True).clamp_min(torch.finfo(first.dtype).tiny))


def _descend(x: Quarters, problem: Subproblem, kernels, tolerance: float, max_steps: int, callback):
    """Labels, trace (T + 1, B), residual (B,) and whether the callback ended it, for some images."""
    terms, eta = (problem.energy.cross_entropy, problem.energy.relaxation), problem.energy.eta
    first = x.labels.clone()
    start = kernels[1](x, *terms, eta)
    trace = [start]
    if callback is not None and callback(0, x.unpack(), start) is True:
        return x.unpack(), torch.stack(trace), torch.full_like(start, torch.inf), True
    warm = min(WARM_UP, max_steps - 1) if terms[1] != "Q" and problem.energy.lam > 0 else 0
    for homotopy in (warm, 0):
        residual, stopped = _run(x, terms, eta, kernels, tolerance, max_steps, homotopy, trace, callback)
        if stopped or not homotopy or not bool((trace[-1] > start).any()):
            break
        # the sweeps on Q led up, not down: those images start again without them
        x.labels.copy_(first)
        trace = trace[:1]
    # the trace adds up the changes that the line search saw; what rounding made of them shows in the energy itself
    last = kernels[1](x, *terms, eta)
    trace = torch.maximum(torch.stack(trace).cummin(0).values, last)
    trace[-1] = last
    return x.unpack(), trace, residual, stopped


def _run(x, terms, eta, kernels, tolerance, max_steps, warm, trace, callback):
    """Sweeps until the energy stands still; moves the labels in place and appends to the trace."""
    x = replace(x, free=x.free.clone())  # an image that is done is frozen here only
    now = trace[0]
    if warm:
        total = torch.zeros_like(now)
        for _ in range(warm):
            change = kernels[0](x, terms[0], "Q", eta, OMEGA)
            total = total + change
            trace.append(trace[0])
            if x.labels.device.type != "cuda" and bool((change >= WARM_UP_TOLERANCE * total).all()):
                break
        now = kernels[1](x, *terms, eta)
        trace[-1] = now
    active = torch.ones_like(now, dtype=torch.bool)
    residual = torch.zeros_like(now)
    while len(trace) <= max_steps:
        change = kernels[0](x, *terms, eta, OMEGA)
        now = now + change
        scale = now.abs().clamp_min(torch.finfo(x.labels.dtype).eps * trace[0].abs()).clamp_min(1e-300)
        residual = torch.where(active, (-change / scale).clamp_min(0), residual)
        active = active & (residual > tolerance)
        x.free.mul_(active[:, None, None, None, None])
        trace.append(now)
        if callback is not None and callback(len(trace) - 1, x.unpack(), now) is True:
            return residual, True
        if (x.labels.device.type != "cuda" or len(trace) % POLL == 0) and not bool(active.any()):
            break
    return residual, False


def kernel_of(kernel: str, device: torch.device):
    """The kernel's two functions, sweep and energy."""
    if kernel == "auto":
        kernel = "numba" if device.type == "cpu" and importlib.util.find_spec("numba") is not None else "torch"
    if kernel == "numba":
        if device.type != "cpu":
            raise ValueError(f'kernel="numba" runs on a processor, got {device}; take kernel="torch" or "compile"')
        from toykit.solvers import kernel_numba

        return kernel_numba.sweep, kernel_numba.energy
    if kernel == "compile":
        return torch.compile(kernel_torch.sweep, dynamic=True), torch.compile(kernel_torch.energy, dynamic=True)
    return kernel_torch.sweep, kernel_torch.energy
