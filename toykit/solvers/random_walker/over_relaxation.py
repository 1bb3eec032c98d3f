"""The random walker's system by successive over-relaxation, fused loops for the CPU (numba).

The system is that of `toykit.solvers.random_walker.solver`, (2 eta I + lam L_UU) y_U = b. In the four-colour order of
`toykit.solvers.layouts.four_colour_grid`, which is consistent on 4 neighbours, each pixel moves omega times as far as the
solution of its own equation. With rho = max_i lam d_i / (2 eta + lam d_i), a bound on the spectral radius of the Jacobi
iteration, Young's optimal

    omega = 2 / (1 + sqrt(1 - rho^2))

reduces the error by a factor of about omega - 1 per sweep: some 40 sweeps give six digits at eta 0.3 and lam 6. (On 8 neighbours
the bound holds but the optimality does not: some 50 sweeps.) At eta = 0 there is no such bound: use "direct" or
"approximate_cholesky" for a walker that has only seeds.

Classes are independent. A few are swept at a time, so that they stay in the cache, and in float32: residuals are computed in
float64, sweeps compute a correction of four digits, and this repeats (iterative refinement). Labels sum to one: the class with the
largest right-hand side starts from one minus the others, which usually needs no sweep.
"""

import math

import numba
import numpy as np
import torch
from torch import Tensor

from toykit._shared.threads import torch_threads
from toykit.energy import Subproblem
from toykit.solvers.layouts.four_colour_grid import FourColourGrid, pack

#: The largest over-relaxation: at 2 the error no longer falls.
MOST = 1.95
#: Classes that are swept together. On 500 x 375 pixels they take 10 MB with the affinities.
CLASSES_AT_ONCE = 4
#: Smallest factor by which the sweeps in float32 reduce a residual before it is computed anew.
REDUCTION = 1e-4
#: In float32, smaller numbers are replaced by zero: computing with numbers below 1e-38 is slow.
NEGLIGIBLE = 1e-30


def solve_by_over_relaxation(
    problem: Subproblem, eta: float, lam: float, tolerance: float, max_steps: int = 1000
) -> tuple[Tensor, Tensor, int]:
    """Solve a quadratic sub-problem by over-relaxation, image by image.

    Parameters
    ----------
    problem, eta, lam, tolerance, max_steps
        See `conjugate_gradient.solve_by_conjugate_gradients`.

    Returns
    -------
    labels, residuals, steps
        See there.

    Raises
    ------
    ValueError
        On a device other than the CPU.
    """
    if problem.sigma.device.type != "cpu":
        raise ValueError(f'backend="sor" runs on the CPU, got {problem.sigma.device}; take backend="cg"')
    images = [_solve(problem[b : b + 1], eta, lam, tolerance, max_steps) for b in range(len(problem.seeds))]
    labels, residuals, steps = zip(*images, strict=True)
    return torch.cat(labels), torch.cat(residuals), max(steps)


def _solve(problem: Subproblem, eta: float, lam: float, tolerance: float, max_steps: int) -> tuple[Tensor, Tensor, int]:
    """Solve the system of one image."""
    known, free = problem.fix_seeds(problem.sigma), problem.unlabelled[:, None]
    x = pack(problem, known, lam)
    goal = _right_side_norms(x, eta)
    remainder = int(goal.argmax())
    order = [k for k in range(len(goal)) if k != remainder]
    groups = [order[n : n + CLASSES_AT_ONCE] for n in range(0, len(order), CLASSES_AT_ONCE)] + [[remainder]]
    residual, steps = 0.0, 0
    with torch_threads():
        for group in groups:
            if group == [remainder]:
                others = x.labels[:, :, :, 1:-1, order, 1:-1].sum(4)
                x.labels[:, :, :, 1:-1, remainder, 1:-1] = 1 - others
            left, used = _relax(x, group, goal[group], eta, tolerance, max_steps)
            residual, steps = max(residual, left), max(steps, used)
    y = torch.where(free, x.unpack().clamp_min(0), known)
    y = y / y.sum(1, keepdim=True).where(free, 1)
    return y, torch.tensor([residual], dtype=y.dtype), steps


def _right_side_norms(x: FourColourGrid, eta: float) -> np.ndarray:
    """Compute |b| for each class: the residual's norm with zeros on the free pixels."""
    norms = []
    for k in range(x.labels.shape[4]):
        fixed = x.labels[0][:, :, :, [k]]
        fixed[:, :, 1:-1, :, 1:-1] *= 1 - x.free[0, :, :, :, None]
        norms.append(_residual(fixed.contiguous().numpy(), *_system(x, [k]), np.array(x.offsets), eta)[1][0])
    return np.array(norms)


def _system(x: FourColourGrid, classes: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the predictions of some classes, the affinities and the mask of free pixels."""
    return x.target[0][:, :, :, classes].contiguous().numpy(), x.weights[0].numpy(), x.free[0].numpy()


def _relax(
    x: FourColourGrid, classes: list[int], goal: np.ndarray, eta: float, tolerance: float, max_steps: int
) -> tuple[float, int]:
    """Solve for some classes in place; return their largest relative residual, and the number of sweeps."""
    labels = x.labels[0][:, :, :, classes].contiguous()
    system, offsets = _system(x, classes), np.array(x.offsets)
    _, weights, free = system
    degree = weights.sum(axis=2)
    radius = float(degree.max() / (2 * eta + degree.max())) if degree.max() else 0.0
    omega = min(2 / (1 + math.sqrt(1 - radius**2)), MOST)
    diagonal = 2 * eta + degree
    step = (omega * free / np.where(diagonal > 0, diagonal, 1)).astype(np.float32)
    light = np.where(weights < NEGLIGIBLE, 0, weights).astype(np.float32)
    rate, steps = math.log(max(omega - 1, 1e-3)), 0
    while True:
        source, norms = _residual(labels.numpy(), *system, offsets, eta)
        left = float((norms / np.where(goal > 0, goal, 1)).max())
        if left <= tolerance or steps >= max_steps:
            break
        correction = np.zeros(labels.shape, np.float32)
        count = min(2 + math.ceil(math.log(max(tolerance / left / 2, REDUCTION)) / rate), max_steps - steps)
        for _ in range(count):
            _sweep(correction, source, light, step, offsets, np.float32(1 - omega))
        labels += torch.from_numpy(correction)
        steps += count
    x.labels[0][:, :, :, classes] = labels
    return left, steps


def _residual(labels, target, weights, free, offsets, eta) -> tuple[np.ndarray, np.ndarray]:
    """Compute b - A y of some classes in float32, and its norm for each class."""
    left = np.empty(target.shape, np.float32)
    squares = np.empty((2, 2, free.shape[2], target.shape[3]))
    _subtract(labels, target, weights, free, offsets, eta, left, squares)
    return left, np.sqrt(squares.sum(axis=(0, 1, 2)))


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _sweep(correction, source, weights, step, offsets, kept):
    """Move all free pixels of the correction once, in the four-colour order, in place."""
    for row in range(2):
        for line in numba.prange(step.shape[2]):
            for column in range(2):
                pace, width = step[row, column, line], step.shape[3]
                inflow = np.empty(width, correction.dtype)
                for k in range(source.shape[3]):
                    inflow[:] = source[row, column, line, k]
                    _add_neighbors(inflow, correction, weights, offsets, row, column, line, k)
                    y = correction[row, column, line + 1, k, 1 : width + 1]
                    for x in range(width):
                        y[x] = kept * y[x] + pace[x] * inflow[x]


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _subtract(labels, target, weights, free, offsets, eta, left, squares):
    """Write b - A y to `left`, and the sums of its squares over each half-row to `squares`."""
    for task in numba.prange(4 * free.shape[2]):
        quarter, line = task // free.shape[2], task % free.shape[2]
        row, column = quarter // 2, quarter % 2
        movable, width = free[row, column, line], free.shape[3]
        diagonal = np.full(width, 2 * eta)
        for n in range(len(offsets)):
            diagonal += weights[row, column, n, line]
        inflow = np.empty(width, labels.dtype)
        for k in range(target.shape[3]):
            inflow[:] = target[row, column, line, k]
            inflow *= 2 * eta
            _add_neighbors(inflow, labels, weights, offsets, row, column, line, k)
            y, out = labels[row, column, line + 1, k, 1 : width + 1], left[row, column, line, k]
            total = 0.0
            for x in range(width):
                value = movable[x] * (inflow[x] - diagonal[x] * y[x])
                total += value * value
                out[x] = value if abs(value) >= NEGLIGIBLE else 0.0
            squares[row, column, line, k] = total


@numba.njit(error_model="numpy")
def _add_neighbors(out, labels, weights, offsets, row, column, line, k):
    """Add lam sum_j w_ij y_j at the pixels of a half-row, for one class; offsets are in opposite pairs."""
    width = len(out)
    for n in range(0, len(offsets), 2):
        first, second = (
            _neighbor(labels, offsets[n], row, column, line, k, width),
            _neighbor(labels, offsets[n + 1], row, column, line, k, width),
        )
        there, back = weights[row, column, n, line], weights[row, column, n + 1, line]
        for x in range(width):
            out[x] += there[x] * first[x] + back[x] * second[x]


@numba.njit(error_model="numpy")
def _neighbor(labels, offset, row, column, line, k, width):
    """Return the labels of the neighbours of a half-row's pixels at an offset, for one class."""
    r, c = row + offset[0], column + offset[1]
    start = 1 + c // 2
    return labels[r % 2, c % 2, line + 1 + r // 2, k, start : start + width]
