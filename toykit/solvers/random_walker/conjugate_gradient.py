"""The random walker's system without a matrix: preconditioned conjugate gradients in torch, all labels and images at once.

The system is that of `toykit.solvers.random_walker.solver`, (2 eta I + lam L_UU) y_U = b: symmetric positive definite, with one
right-hand side for each class. A product with it needs only the affinities; the preconditioner is its diagonal. Each class has
its own step lengths. The number of iterations grows as the square root of the condition number, about 8 lam / (2 eta): few with
predictions, many for a walker that has only seeds.
"""

import torch
from torch import Tensor

from toykit.energy import Subproblem


def solve_by_conjugate_gradients(
    problem: Subproblem, eta: float, lam: float, tolerance: float, max_steps: int = 1000
) -> tuple[Tensor, Tensor, int]:
    """Solve a quadratic sub-problem by conjugate gradients.

    Parameters
    ----------
    problem : Subproblem
    eta, lam : float
        The energy's weights, or both times a constant.
    tolerance : float
        All images are iterated until the slowest class has this relative residual (2-norm).
    max_steps : int, default 1000
        Largest number of iterations.

    Returns
    -------
    labels : Tensor, float (B, K, H, W)
    residuals : Tensor, float (B,)
        The largest |A y - b| / |b| over the classes.
    steps : int
        Number of iterations.
    """
    edges, free = problem.edges, problem.unlabelled[:, None].to(problem.sigma.dtype)

    def matrix(y: Tensor) -> Tensor:
        """Multiply by the system's matrix."""
        return (2 * eta * y + lam * edges.laplacian(y)).mul_(free)

    diagonal = 2 * eta + lam * edges.degree()[:, None]
    inverse = free / diagonal.where((free > 0) & (diagonal > 0), 1)

    known = problem.fix_seeds(problem.sigma)
    # a seed's label flows to its neighbours
    right = (2 * eta * problem.sigma - lam * edges.laplacian(known * (1 - free))) * free
    goal = right.square().sum((2, 3)).sqrt()  # (B, K)
    y = known * free * (goal > 0)[..., None, None]  # zero solves a class without seeds and prior
    residual = right - matrix(y)
    z = inverse * residual
    direction, slope = z.clone(), (residual * z).sum((2, 3), keepdim=True)
    steps = 0
    while steps < max_steps:
        steps += 1
        product = matrix(direction)
        curvature = (direction * product).sum((2, 3), keepdim=True)
        alpha = torch.where(curvature > 0, slope / curvature.where(curvature > 0, 1), 0)
        y.addcmul_(alpha, direction)
        residual.addcmul_(alpha, product, value=-1)
        if not (residual.square().sum((2, 3)).sqrt() > tolerance * goal).any():
            break
        torch.mul(inverse, residual, out=z)
        previous, slope = slope, (residual * z).sum((2, 3), keepdim=True)
        beta = torch.where(previous > 0, slope / previous.where(previous > 0, 1), 0)
        direction.mul_(beta).add_(z)
    left = (right - matrix(y)).square().sum((2, 3)).sqrt() / goal.where(goal > 0, 1)
    y = torch.where(problem.unlabelled[:, None], y.clamp_min(0), known)
    y = y / y.sum(1, keepdim=True).where(problem.unlabelled[:, None], 1)
    return y, left.amax(1), steps
