"""Soft labels to hard ones without raising the energy: what "BL is tight" means (section 2.1; Ravikumar & Lafferty 2006).

With the bi-linear relaxation and a unary that is linear in y the energy is linear in each pixel's label, the others held
fixed,

    E(y) = y_i . g_i + const,       g_i^k = eta H(e_k, sigma_i) - lam sum_j w_ij y_j^k,

and a linear function on the simplex is smallest at a vertex. So moving one pixel after another to the vertex argmin_k g_i^k
never raises the energy, and ends at hard labels: no soft labelling is better than the best hard one, the two minima are equal.

H_CE is linear in y. The other cross-entropies are convex: there the sum over the classes of y^k H(e_k, sigma) stands in for
H(y, sigma). It equals H at vertices and is at least H between them, so that the rounding of any y is guaranteed to lie below
that upper bound, not below E(y) itself.
"""

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.solvers.hard_labels.potts_model import harden, neighbor_sum, vertex_costs


def round_greedily(problem: Subproblem, y: Tensor) -> Tensor:
    """Round soft labels y (B, K, H, W) to hard ones, pixel by pixel; returns one-hot labels (B, K, H, W).

    With CE, whatever feasible y: BL's energy of the result is at most that of y, but for rounding. Pixels move in the four
    groups of `toykit.solvers.layouts.four_colour_grid`: no pixel is a neighbour of another of its own group, so that moving a group at once is
    moving its pixels one after another. Seeds are set to their vertices first, padding keeps its prediction.
    Raises: ValueError for labels of another shape, dtype or device, or a neighbourhood other than the nearest neighbours.
    """
    problem.check_labels(y)
    if not problem.edges.on_grid:
        raise ValueError(
            f"greedy rounding moves a quarter of the pixels at once, which needs NearestNeighbors; got "
            f"{type(problem.energy.neighborhood).__name__}"
        )
    y, costs = problem.fix_seeds(y), vertex_costs(problem)
    rows, columns = (torch.arange(n, device=y.device) % 2 for n in y.shape[-2:])
    for row in (0, 1):
        for column in (0, 1):
            slopes = costs - problem.energy.lam * neighbor_sum(problem.edges, y)
            group = (rows == row)[:, None] & (columns == column) & problem.unlabelled
            y = torch.where(group[:, None], harden(problem, slopes.argmin(1)), y)
    return y
