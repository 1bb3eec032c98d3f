"""The random walker's system by successive over-relaxation, one fused loop for the CPU (numba), all labels at once.

The system is that of `toykit.solvers.random_walker.solver`, (2 eta I + lam L_UU) y_U = b. In the four-colour order of
`toykit.solvers.layouts.four_colour_grid`, which is consistent on 4 neighbours, each pixel moves omega times as far as the
solution of its own equation. With rho = max_i lam d_i / (2 eta + lam d_i), a bound on the spectral radius of the Jacobi
iteration, Young's optimal

    omega = 2 / (1 + sqrt(1 - rho^2))

reduces the error by a factor of about omega - 1 per sweep: some 40 sweeps give six digits at eta 0.3 and lam 6, and each costs
little more than the memory traffic. (On 8 neighbours the bound holds but the optimality does not: some 50 sweeps.) At eta = 0
there is no such bound: use "direct" for a walker that has only seeds.
"""

import math

import numba
import numpy as np
import torch
from torch import Tensor

from toykit._shared.threads import torch_threads
from toykit.energy import Subproblem
from toykit.solvers.layouts.four_colour_grid import pack

#: The largest over-relaxation: at 2 the error no longer falls.
MOST = 1.95


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
    system = x.labels.numpy(), x.target.numpy(), x.weights.numpy(), x.free.numpy(), np.array(x.offsets)
    degree = float(x.weights.sum(3).max())
    radius = degree / (2 * eta + degree) if degree else 0.0
    omega = min(2 / (1 + math.sqrt(1 - radius**2)), MOST)
    steps, expected = 0, math.log(tolerance) / math.log(max(omega - 1, 1e-3))
    with torch_threads():
        start = x.labels.clone()
        x.labels[:, :, :, 1:-1, :, 1:-1] *= 1 - x.free[:, :, :, :, None]
        goal = _residual_norms(*system, eta)  # with zero on the free pixels it is the right-hand side
        x.labels.copy_(start)
        while True:
            count = min(max(2, int(expected) if steps == 0 else int(expected / 8)), max_steps - steps)
            for _ in range(count):
                _sweep(*system, eta, omega)
            steps += count
            left = _residual_norms(*system, eta) / np.where(goal > 0, goal, 1)
            if not (left > tolerance).any() or steps >= max_steps:
                break
    y = torch.where(free, x.unpack().clamp_min(0), known)
    y = y / y.sum(1, keepdim=True).where(free, 1)
    return y, torch.from_numpy(left.max(axis=1)), steps


def _residual_norms(labels, target, weights, free, offsets, eta) -> np.ndarray:
    """Compute |b - A y| for each image and class: (B, K)."""
    squares = np.zeros((len(labels), 2, 2, free.shape[3], labels.shape[4]))
    _squares(labels, target, weights, free, offsets, eta, squares)
    return np.sqrt(squares.sum(axis=(1, 2, 3)))


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _sweep(labels, target, weights, free, offsets, eta, omega):
    """Move all free pixels once, in the four-colour order, in place."""
    for row in range(2):
        for task in numba.prange(labels.shape[0] * free.shape[3]):
            image, line = task // free.shape[3], task % free.shape[3]
            for column in range(2):
                w, movable = weights[image, row, column, :, line], free[image, row, column, line]
                width, diagonal = len(movable), _diagonal(w, eta)
                inflow = np.empty(width, labels.dtype)
                for x in range(width):
                    diagonal[x] = omega * movable[x] / diagonal[x] if diagonal[x] > 0 else 0.0
                for k in range(labels.shape[4]):
                    _inflow(inflow, labels, target, w, offsets, eta, image, row, column, line, k)
                    y = labels[image, row, column, line + 1, k, 1 : width + 1]
                    for x in range(width):
                        y[x] += diagonal[x] * inflow[x] - omega * movable[x] * y[x]


@numba.njit(parallel=True, cache=True, error_model="numpy")
def _squares(labels, target, weights, free, offsets, eta, squares):
    """Sum the squares of b - A y over each half-row, per class, into `squares`."""
    for task in numba.prange(4 * labels.shape[0] * free.shape[3]):
        quarter, line = task // free.shape[3], task % free.shape[3]
        image, row, column = quarter // 4, quarter // 2 % 2, quarter % 2
        w, movable = weights[image, row, column, :, line], free[image, row, column, line]
        width, diagonal = len(movable), _diagonal(w, eta)
        inflow = np.empty(width, labels.dtype)
        for k in range(labels.shape[4]):
            _inflow(inflow, labels, target, w, offsets, eta, image, row, column, line, k)
            y = labels[image, row, column, line + 1, k, 1 : width + 1]
            total = 0.0
            for x in range(width):
                left = movable[x] * (inflow[x] - diagonal[x] * y[x])
                total += left * left
            squares[image, row, column, line, k] = total


@numba.njit(error_model="numpy")
def _diagonal(w, eta):
    """Compute 2 eta + lam d at the pixels of a half-row."""
    out = np.full(w.shape[1], 2 * eta)
    for n in range(len(w)):
        for x in range(w.shape[1]):
            out[x] += w[n, x]
    return out


@numba.njit(error_model="numpy")
def _inflow(out, labels, target, w, offsets, eta, image, row, column, line, k):
    """Compute 2 eta sigma + lam sum_j w_ij y_j at the pixels of a half-row, for one class; offsets are in opposite pairs."""
    width, sigma = len(out), target[image, row, column, line, k]
    for x in range(width):
        out[x] = 2 * eta * sigma[x]
    for n in range(0, len(offsets), 2):
        first, second = (
            _neighbor(labels, offsets[n], image, row, column, line, k, width),
            _neighbor(labels, offsets[n + 1], image, row, column, line, k, width),
        )
        there, back = w[n], w[n + 1]
        for x in range(width):
            out[x] += there[x] * first[x] + back[x] * second[x]


@numba.njit(error_model="numpy")
def _neighbor(labels, offset, image, row, column, line, k, width):
    """Return the labels of the neighbours of a half-row's pixels at an offset, for one class."""
    r, c = row + offset[0], column + offset[1]
    start = 1 + c // 2
    return labels[image, r % 2, c % 2, line + 1 + r // 2, k, start : start + width]
