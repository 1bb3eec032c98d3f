"""The random walker's system by successive over-relaxation, fused loops for the CPU (numba).

The system is that of `toykit.solvers.random_walker.solver`, (2 eta I + lam L_UU) y_U = b. In the four-colour order of
`toykit.solvers.layouts.four_colour_grid`, which is consistent on 4 neighbours, each pixel moves omega times as far as the
solution of its own equation. With rho = max_i lam d_i / (2 eta + lam d_i), a bound on the spectral radius of the Jacobi
iteration, Young's optimal

    omega = 2 / (1 + sqrt(1 - rho^2))

reduces the error by a factor of about omega - 1 per sweep: some 40 sweeps give six digits at eta 0.3 and lam 6. (On 8
neighbours the bound holds but the optimality does not: some 50 sweeps.) At eta = 0 there is no such bound: use "direct" or
"approximate_cholesky" for a walker that has only seeds.

Classes are independent. A few are swept at a time, several sweeps at once: each sweep follows the one before it two lines
behind, which gives the same result as one after another, while the lines stay in the cache. Sweeps compute corrections in
float32 from residuals in float64 (iterative refinement). Labels sum to one: the last class starts from one minus the others,
and usually needs no sweep.
"""

import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.compiled import inlined, inner, outer
from toykit.energy import Subproblem
from toykit.solvers.layouts.four_colour_grid import FourColourGrid, pack

#: The largest over-relaxation: at 2 the error no longer falls.
MOST = 1.95
#: Classes that are swept together.
CLASSES_AT_ONCE = 4
#: Sweeps that follow one another line by line. On 500 pixels a line they hold 0.6 MB.
SWEEPS_AT_ONCE = 6
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
    system = _System(x, eta)
    order = known.sum((0, 2, 3)).argsort().tolist()  # the last class has the most pixels: its residual weighs least
    *others, remainder = order
    groups = [others[n : n + CLASSES_AT_ONCE] for n in range(0, len(others), CLASSES_AT_ONCE)]
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        outcomes = list(threads.map(lambda group: system.relax(group, tolerance, max_steps), groups))
    inside = x.labels[0, :, :, 1:-1, :, 1:-1]
    inside[:, :, :, remainder] = 1 - (inside.sum(3) - inside[:, :, :, remainder])
    outcomes.append(system.relax([remainder], tolerance, max_steps, from_labels=True))
    y = torch.where(free, x.unpack().clamp_min_(0), known)
    y /= y.sum(1, keepdim=True).where(free, 1)
    residuals, steps = zip(*outcomes, strict=True)
    return y, torch.tensor([max(residuals)], dtype=y.dtype), max(steps)


class _System:
    """The system of one image: its affinities in float64 for residuals, and in float32 for sweeps."""

    def __init__(self, x: FourColourGrid, eta: float):
        self.x, self.eta, self.offsets = x, eta, np.array(x.offsets)
        self.weights, self.free = x.weights[0].numpy(), x.free[0].numpy()
        degree = self.weights.sum(axis=2)
        self.diagonal = 2 * eta + degree
        radius = float(degree.max() / (2 * eta + degree.max())) if degree.max() else 0.0
        self.omega = min(2 / (1 + math.sqrt(1 - radius**2)), MOST)
        self.light = np.where(self.weights < NEGLIGIBLE, 0, self.weights).astype(np.float32)
        pace = self.omega * self.free / np.where(self.diagonal > 0, self.diagonal, 1)
        self.pace = pace.astype(np.float32)

    def relax(
        self, classes: list[int], tolerance: float, max_steps: int, from_labels: bool = False
    ) -> tuple[float, int]:
        """Solve for some classes in place, from zero or their labels; return the largest relative residual and the sweeps."""
        labels = self.x.labels[0][:, :, :, classes].contiguous()
        target = self.x.target[0][:, :, :, classes].contiguous().numpy()
        start = labels.clone()
        labels[:, :, 1:-1, :, 1:-1] *= 1 - self.x.free[0][:, :, :, None]
        source, goal = self.residual(labels.numpy(), target)  # zeros on the free pixels give the right-hand side
        norms, steps, rate = goal, 0, math.log(max(self.omega - 1, 1e-3))
        if from_labels:
            labels = start
            source, norms = self.residual(labels.numpy(), target)
        while True:
            left = float((norms / np.where(goal > 0, goal, 1)).max())
            if left <= tolerance or steps >= max_steps:
                break
            correction = np.zeros(labels.shape, np.float32)
            count = min(2 + math.ceil(math.log(max(tolerance / left / 2, REDUCTION)) / rate), max_steps - steps)
            for first in range(0, count, SWEEPS_AT_ONCE):
                some = min(SWEEPS_AT_ONCE, count - first)
                _sweep(correction, source, self.light, self.pace, self.offsets, np.float32(1 - self.omega), some)
            labels += torch.from_numpy(correction)
            steps += count
            source, norms = self.residual(labels.numpy(), target)
        self.x.labels[0][:, :, :, classes] = labels
        return left, steps

    def residual(self, labels: np.ndarray, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Compute b - A y of some classes in float32, and its norm for each class."""
        left = np.empty(target.shape, np.float32)
        squares = np.empty(target.shape[:4])
        _subtract(labels, target, self.weights, self.diagonal, self.free, self.offsets, self.eta, left, squares)
        return left, np.sqrt(squares.sum(axis=(0, 1, 2)))


@outer([Path(__file__)])
def _sweep(digest):
    """Move all free pixels of the correction `count` times, in the four-colour order, in place."""

    def sweep_classes(correction, source, weights, pace, offsets, kept, count):
        _ = digest  # closes over it, see `outer`
        height, width = pace.shape[2:]
        inflow = np.empty(width, correction.dtype)
        for time in range(height + 2 * count - 1):
            for sweep in range(count):
                for row in range(2):
                    line = time - 2 * sweep - row  # odd rows once the even rows on both sides have moved
                    if 0 <= line < height:
                        for column in range(2):
                            speed = pace[row, column, line]
                            for k in range(source.shape[3]):
                                right = source[row, column, line, k]
                                y = correction[row, column, line + 1, k, 1 : width + 1]
                                for x in range(width):
                                    inflow[x] = right[x]
                                _add_neighbors(inflow, correction, weights, offsets, row, column, line, k)
                                for x in range(width):
                                    y[x] = kept * y[x] + speed[x] * inflow[x]

    return sweep_classes


@outer([Path(__file__)])
def _subtract(digest):
    """Write b - A y to `left`, and the sums of its squares over each half-row to `squares`."""

    def subtract_product(labels, target, weights, diagonal, free, offsets, eta, left, squares):
        _ = digest  # closes over it, see `outer`
        height, width = free.shape[2:]
        inflow = np.empty(width, labels.dtype)
        for row in range(2):
            for line in range(height):
                for column in range(2):
                    movable, own = free[row, column, line], diagonal[row, column, line]
                    for k in range(target.shape[3]):
                        sigma, y = target[row, column, line, k], labels[row, column, line + 1, k, 1 : width + 1]
                        for x in range(width):
                            inflow[x] = 2 * eta * sigma[x] - own[x] * y[x]
                        _add_neighbors(inflow, labels, weights, offsets, row, column, line, k)
                        out, total = left[row, column, line, k], 0.0
                        for x in range(width):
                            value = movable[x] * inflow[x]
                            total += value * value
                            out[x] = value if abs(value) >= NEGLIGIBLE else 0.0
                        squares[row, column, line, k] = total

    return subtract_product


@inner
def _add_neighbors(out, labels, weights, offsets, row, column, line, k):
    """Add lam sum_j w_ij y_j at the pixels of a half-row, for one class; there are 4 or 8 offsets."""
    width = len(out)
    for n in range(0, len(offsets), 4):
        a, b, c, d = (
            _neighbor(labels, offsets[n], row, column, line, k, width),
            _neighbor(labels, offsets[n + 1], row, column, line, k, width),
            _neighbor(labels, offsets[n + 2], row, column, line, k, width),
            _neighbor(labels, offsets[n + 3], row, column, line, k, width),
        )
        w_a, w_b = weights[row, column, n, line], weights[row, column, n + 1, line]
        w_c, w_d = weights[row, column, n + 2, line], weights[row, column, n + 3, line]
        for x in range(width):
            out[x] += w_a[x] * a[x] + w_b[x] * b[x] + w_c[x] * c[x] + w_d[x] * d[x]


@inlined
def _neighbor(labels, offset, row, column, line, k, width):
    """Return the labels of the neighbours of a half-row's pixels at an offset, for one class."""
    r, c = row + offset[0], column + offset[1]
    start = 1 + (c >> 1)  # shifts, because integer divisions would take longer than the row
    return labels[r & 1, c & 1, line + 1 + (r >> 1), k, start : start + width]
