"""The fast solver: over-relaxed block descent in four colours, monotone by construction.

The paper takes 200 steps of gradient descent on logits, by autograd. Here a quarter of the pixels, none a neighbour of another,
moves at once towards its exact proximal step while the rest is held fixed (`toykit.solvers.layouts.four_colour_grid`), then the next quarter.
Five ideas make this quick:

- gradients from three products a pair (`toykit.solvers.block_descent.scalar_forms`): no autograd, no softmax, labels can reach a vertex;
- a step length of its own for each pixel, from a majoriser; the cross-entropy enters by its exact proximal map;
- steps 1.75 times as long (successive over-relaxation): sweeps grow as the square root of the condition number;
- a line search of a pixel's own energy, known in closed form along its step: a pixel that would go up goes less far or not at
  all, so that the whole energy never rises beyond rounding, whatever the relaxation and the input;
- nothing is computed for a class that no pixel of a row and none of its neighbours holds (in the numba kernel).

Relaxations other than Q begin with a few sweeps on Q, which is convex: an escape from the poor local minima near the start.
CD and CCE begin on a Q with less of the unary, that is, with more smoothing (`UNARY_SHARE`). On an image
where that ends above the start, the descent is repeated without them.

Two kernels do the same arithmetic: torch (any device) and numba (a processor, where numba is installed; several times faster).
"""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Real

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_flag, check_whole
from toykit.energy import Subproblem
from toykit.neighborhoods import Edges
from toykit.solvers.block_descent import torch_kernel
from toykit.solvers.block_descent.dense import DenseDescent
from toykit.solvers.block_descent.descent import Descent, relative_decrease
from toykit.solvers.layouts.edge_list import list_edges
from toykit.solvers.layouts.four_colour_grid import pack
from toykit.solvers.solution import Solution

KERNELS = ("auto", "torch", "compile", "numba")
#: Over-relaxation; sweeps on Q before the others, ended early below this relative decrease.
OMEGA, WARM_UP, WARM_UP_TOLERANCE = 1.75, 12, 0.005
#: The share of eta in those sweeps. On photos, CD and CCE end lower on average with less of it, on the grid by a little, CCE on
#: far edges by a tenth, if not on every photo; NQ and LQ end where they end, sooner with all of it; BL gains here, loses there.
UNARY_SHARE = {"CD": 1 / 2, "CCE": 1 / 100, "BL": 1.0, "NQ": 1.0, "LQ": 1.0}
#: Side by side: the most classes of an image, and the pixels that images together may fill of a row.
FEW_CLASSES, LONG_ROW = 8, 1024
#: A GPU is asked whether it is done only every so many sweeps: asking waits for it.
POLL = 8


def check_fast_options(
    tolerance: float, max_steps: int, kernel: str, active_classes: float, start: Tensor | None, side_by_side: bool
) -> None:
    """Raise ValueError or TypeError for an option outside its range, ImportError for a kernel that is not installed."""
    if start is not None and not torch.is_tensor(start):
        raise TypeError(f"start: expected labels (B, K, H, W) or None, got {type(start).__name__}")
    check_choice("kernel", kernel, KERNELS)
    check_flag("side_by_side", side_by_side)
    if not isinstance(tolerance, Real) or isinstance(tolerance, bool) or not 0 <= tolerance < 1:
        raise ValueError(f"tolerance: expected a number in [0, 1), got {tolerance!r}")
    check_whole("max_steps", max_steps)
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
    start: Tensor | None = None,
    side_by_side: bool = False,
    callback=None,
) -> Solution:
    """Minimise a sub-problem with any cross-entropy and relaxation, on any neighbourhood. Deterministic.

    Dense neighbourhoods have a descent of their own, `toykit.solvers.block_descent.dense`, in torch; its sweep is one filtering.

    tolerance: an image is done when a sweep lowers its energy (less the constant between seeds) by at most this share.
    max_steps: sweeps at most. kernel: "auto" (numba on a processor where it is installed, else torch), "numba", "torch", or
        "compile": the torch kernel through `torch.compile`, which needs a compiler and some seconds at the first call.
    active_classes: 0 solves for all classes. Above, an image's labels are limited to classes that it has seeds of or that are
        predicted with at least this probability somewhere: quicker where few of many classes occur, and not below the
        optimum of all (`energies` are those of the whole problem, so that two solutions can be compared).
    start: labels (B, K, H, W) in the simplex to begin from, e.g. those of almost the same problem; no sweeps on Q precede then.
        Default: the predictions.
    side_by_side: solve small images of few classes several at a time, in long rows that suit a processor: up to three times
        quicker, e.g. for the cells of a mini-batch. The labels are those of an image alone up to rounding and the tolerance.
        Without effect on other neighbourhoods, other kernels, or with a callback.
    callback: callback(step, labels, energies) at the start (step 0) and after each sweep, the lowest energies so far; on a
        processor one image after another, labels (1, K, H, W) and energies (1,); ends the image's descent when it returns True.

    Returns: Solution. `energies` is the lowest energy reached after each sweep; `steps` counts the sweeps of the slowest
        image; its residual is each image's last relative decrease.
    Raises: ValueError for an option outside its range, or a kernel that does not do these edges; ImportError where a named
        kernel is missing.
    """
    check_fast_options(tolerance, max_steps, kernel, active_classes, start, side_by_side)
    descent = _descent_of(problem.edges, kernel, problem.sigma.device, detour=start is None)
    energy, dtype = problem.energy, problem.sigma.dtype
    largest = max(energy.eta, energy.lam) or 1.0  # only the ratio matters; this keeps it clear of over- and underflow
    problem = replace(problem, energy=replace(energy, eta=energy.eta / largest, lam=energy.lam / largest))
    if energy.eta == 0:  # no unary: the labels, and the way to them, do not depend on which one it would have been
        problem = replace(problem, energy=replace(problem.energy, cross_entropy="Q"))
    if start is not None:
        problem.check_labels(start, "start")
        _check_simplex(start)
    start = problem.fix_seeds(problem.sigma if start is None else start.detach())
    batch, num_classes = start.shape[:2]
    # image by image, one fits a processor's cache; all at once they fill a GPU
    together = active_classes == 0 and problem.edges.on_grid
    size = 1
    if together and start.device.type == "cuda":
        size = batch
    elif together and side_by_side and callback is None and num_classes <= FEW_CLASSES and _takes_numba(kernel):
        size = max(1, LONG_ROW // start.shape[3])
    groups = [slice(b, b + size) for b in range(0, batch, size)]

    def report(step: int, run: Descent) -> bool:
        """Tell the callback; whether it wants to stop."""
        if callback is None:
            return False
        return callback(step, run.labels(), ((run.trace[-1] + run.constant) * largest).to(dtype)) is True

    found = []
    for group in groups:
        run = descent(problem[group], start[group], active_classes, report)
        run.descend(tolerance, max_steps)
        found.append((run.labels(), torch.stack(run.trace) + run.constant, run.residual, run.stopped, len(run.classes)))
        del run  # its memory is needed for the next
    labels, traces, residuals, stopped, classes = zip(*found, strict=True)
    steps = max(map(len, traces)) - 1
    energies = torch.cat([torch.cat([t, t[-1:].expand(steps + 1 - len(t), -1)]) for t in traces], 1)
    residual = torch.cat(residuals)
    late = ~(residual <= tolerance)  # NaN is late
    message = f"fast, {steps} sweeps{' (stopped by the callback)' if any(stopped) else ''}: "
    if late.any():
        gain = float(residual.max())  # infinite where none was measured
        still = f"the last sweep still lowered the energy by up to {gain:.2%}, " if gain < float("inf") else ""
        message += (
            f"{int(late.sum())} of {batch} images had not converged ({still}tolerance {tolerance:.2%}); take a larger "
            "max_steps or tolerance"
        )
    else:
        message += f"converged (the last sweep lowered the energy by at most {tolerance:.2%})"
    if active_classes:
        message += f"; at most {max(classes)} of {num_classes} classes in an image"
    energies = (energies * largest).to(dtype)
    return Solution(torch.cat(labels), energies, steps, residual.to(dtype), not bool(late.any()), message)


class _Descent(Descent):
    """The descent of labels held in the layout of their edges.

    detour: whether sweeps on Q may precede those on another relaxation.
    """

    def __init__(self, kernels, detour: bool, problem: Subproblem, start: Tensor, threshold: float, report):
        super().__init__(problem, start, threshold, report)
        (self.sweep, self.energy_of), self.detour = kernels, detour
        self.layout = (pack if problem.edges.on_grid else list_edges)(self.problem, self.first)
        if len(start) > 1 and start.device.type == "cpu":
            self.layout = self.layout.side_by_side()
        self.begin(self.energy())

    def energy(self) -> Tensor:
        """The energy (B,), float64, without the constant."""
        terms = self.problem.energy
        return self.energy_of(self.layout, terms.cross_entropy, terms.relaxation, terms.eta)

    def current(self) -> Tensor:
        return self.layout.unpack()

    def descend(self, tolerance: float, max_steps: int) -> None:
        """Sweeps until the energy stands still, or the callback or max_steps ends it; never above the start."""
        first, start = self.layout.labels.clone(), self.trace[0]
        terms = self.problem.energy
        detour = self.detour and terms.relaxation != "Q" and terms.lam > 0 and max_steps >= 2 * WARM_UP
        if not self.notify() and detour:
            self._warm_up()
            self._run(tolerance, min(max_steps - 1, max(max_steps // 2, WARM_UP + 4)))
            above = self.energy() > start
            if bool(above.any()):  # the sweeps on Q led up: those images start again without them
                self.layout.restore(first, above)
                self.residual[above] = torch.inf
        self._run(tolerance, max_steps)
        last = self.energy()
        self.layout.restore(first, last > start)  # stopped on a detour, or rounding
        last = torch.minimum(last, start)
        # the trace adds up the changes that the line search saw; what rounding made of them shows in the energy itself
        self.trace = [torch.maximum(t, last) for t in self.trace]
        self.trace[-1] = last

    def _warm_up(self) -> None:
        """Sweeps on Q, as long as they change much."""
        terms, total = self.problem.energy, torch.zeros_like(self.trace[0])
        eta, x = terms.eta * UNARY_SHARE[terms.relaxation], replace(self.layout, free=self.layout.free.clone())
        for _ in range(WARM_UP):
            change = self.sweep(x, terms.cross_entropy, "Q", eta, OMEGA)
            total = total + change
            self.trace.append(self.trace[-1])
            on_gpu = change.device.type == "cuda"
            moving = change < WARM_UP_TOLERANCE * total  # both are negative
            if self.notify() or (not on_gpu and not bool(moving.any())):
                break
            if len(moving) > 1 and not on_gpu:
                x.free.mul_(x.at_pixels(moving))

    def _run(self, tolerance: float, max_steps: int) -> None:
        """Sweeps on the images that are not done until the energy of each stands still."""
        terms, moving = self.problem.energy, self.residual > tolerance
        if not bool(moving.any()):
            return
        x = replace(self.layout, free=self.layout.free * self.layout.at_pixels(moving))
        now = self.energy() if len(self.trace) > 1 else self.trace[0]
        rounding = torch.finfo(self.start.dtype).eps * self.trace[0].abs()
        while len(self.trace) <= max_steps and not self.stopped:
            change = self.sweep(x, terms.cross_entropy, terms.relaxation, terms.eta, OMEGA)
            now = now + change
            self.residual = torch.where(moving, relative_decrease(change, now, rounding), self.residual)
            moving = moving & (self.residual > tolerance)
            x.free.mul_(x.at_pixels(moving))  # an image that is done is frozen, in this copy
            self.trace.append(torch.minimum(self.trace[-1], now))
            self.notify()
            if (now.device.type != "cuda" or len(self.trace) % POLL == 0) and not bool(moving.any()):
                break


def _check_simplex(start: Tensor) -> None:
    """Raise ValueError for labels that are negative, not finite, or do not sum to 1: the steps keep what they are given."""
    low, off = float(start.min()), float((start.sum(1) - 1).abs().max())
    if not (low >= 0 and off <= 1e-3):
        raise ValueError(
            f"start: expected labels >= 0 that sum to 1; got a least of {low:g} and sums off by up to {off:g}"
        )


def _descent_of(edges: Edges, kernel: str, device: torch.device, detour: bool) -> Callable[..., Descent]:
    """What to call with (problem, start, threshold, report)."""
    if not edges.listed:
        if kernel not in ("auto", "torch"):
            raise ValueError(f'kernel={kernel!r} goes from edge to edge; on dense neighbourhoods take kernel="torch"')
        return DenseDescent
    return partial(_Descent, kernel_of(kernel, device), detour)


def _takes_numba(kernel: str) -> bool:
    """Whether a kernel's name means numba on a processor."""
    return kernel == "numba" or (kernel == "auto" and importlib.util.find_spec("numba") is not None)


def kernel_of(kernel: str, device: torch.device):
    """The kernel's two functions, sweep and energy."""
    if kernel == "auto":
        kernel = "numba" if device.type == "cpu" and _takes_numba(kernel) else "torch"
    if kernel == "numba":
        if device.type != "cpu":
            raise ValueError(f'kernel="numba" runs on a processor, got {device}; take kernel="torch" or "compile"')
        from toykit.solvers.block_descent import numba_kernel

        return numba_kernel.sweep, numba_kernel.energy
    if kernel == "compile":
        return torch.compile(torch_kernel.sweep, dynamic=True), torch.compile(torch_kernel.energy, dynamic=True)
    return torch_kernel.sweep, torch_kernel.energy
