"""The closed-form optimum of H_Q + P_Q with hard seeds: a random walker with priors (section 3.1; Grady 2006).

The energy eta sum ||y_i - sigma_i||^2 + lam sum w_ij ||y_i - y_j||^2 / 2 is a convex quadratic. Setting its gradient at
the unlabelled pixels U to zero, with L the graph's Laplacian and y = the ground truth on the seeds S, gives one
symmetric positive definite system with a right-hand side for each class,

    (2 eta I + lam L_UU) y_U = 2 eta sigma_U - lam L_US y_S.

The matrix has non-positive off-diagonal entries and its rows sum to the right-hand side's weights, so the solution lies
in the simplex by itself. eta = 0 is Grady's random walker: the probability that a walk reaches each class's seeds first.
Everything is float64, whatever the inputs.
"""

import numpy as np
import torch

from toykit.energy import Subproblem
from toykit.solvers.solution import Solution

#: A relative residual above this is reported as "not converged".
TOLERANCE = 1e-9


def solve_exactly(problem: Subproblem, *, callback=None) -> Solution:
    """Solve a sub-problem of H_Q and P_Q exactly; callback(0, labels, energies) is called once.

    The problem should be in float64, as `toykit.solve` hands it over: float32 affinities of steep edges are zero.
    Returns: Solution; its residual is the system's largest |A y - b| / (|A| |y| + |b|) per image.
    Raises: ValueError for other terms; or where eta or lam of 0 leaves pixels that nothing determines.
    """
    energy = problem.energy
    if (energy.cross_entropy, energy.relaxation) != ("Q", "Q"):
        raise ValueError(
            f'the closed form exists for cross_entropy="Q" and relaxation="Q" only, got {energy.cross_entropy!r} and '
            f'{energy.relaxation!r}; use method="gradient"'
        )
    from toykit.solvers.laplacian import Network, solve_walker  # scipy is imported where it is used

    i, j, weights = problem.edges.index_pairs(*problem.seeds.shape[1:])
    i, j = i.cpu().numpy(), j.cpu().numpy()
    largest = max(energy.eta, energy.lam) or 1.0  # only the ratio matters; this keeps it clear of over- and underflow
    labels, residuals = [], []
    for b in range(len(problem.seeds)):
        w = weights[b].detach().double().cpu().numpy()
        there = w >= np.finfo(float).tiny
        network = Network(
            i[there],
            j[there],
            w[there],
            problem.unlabelled[b].flatten().cpu().numpy(),
            problem.is_seed[b].flatten().cpu().numpy(),
            energy.eta / largest,
            energy.lam / largest,
        )
        known = problem.fix_seeds(problem.sigma)[b].detach().double().flatten(1).T.cpu().numpy()
        y, residual = solve_walker(network, known)
        labels.append(torch.from_numpy(y.T.reshape(problem.sigma.shape[1:])))
        residuals.append(residual)
    labels = torch.stack(labels).to(problem.sigma)
    energies = problem.value(labels).detach()
    if callback is not None:
        callback(0, labels, energies)
    residual = torch.tensor(residuals, dtype=labels.dtype, device=labels.device)
    converged = max(residuals) <= TOLERANCE
    message = f"closed form: relative residual {max(residuals):.1e}"
    if not converged:
        message += f", above {TOLERANCE:g}: the system is badly scaled; use a larger bandwidth or eta"
    return Solution(labels, energies[None], 0, residual, converged, message)
