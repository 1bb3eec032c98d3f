"""Round soft labels without raising the energy: the meaning of "BL is tight" (section 2.1; Ravikumar & Lafferty 2006).

With the bi-linear relaxation and a unary that is linear in y, the energy is linear in each pixel's label while the others are
held fixed,

    E(y) = y_i . g_i + const,       g_i^k = eta H(e_k, sigma_i) - lam sum_j w_ij y_j^k,

and a linear function on the simplex is smallest at a vertex. So moving one pixel after another to the vertex argmin_k g_i^k
never raises the energy, and it ends at hard labels: no soft labelling is better than the best hard one; the two minima are
equal.

H_CE is linear in y. The other cross-entropies are convex: for them, the sum over the classes of y^k H(e_k, sigma) replaces
H(y, sigma). It equals H at vertices and is at least H between them, so the rounding of any y is guaranteed to be at most
this upper bound, but not at most E(y) itself.
"""

import torch
from torch import Tensor

from toykit.energy import Subproblem
from toykit.solvers.hard_labels.potts_model import harden, neighbor_sum, vertex_costs


def round_greedily(problem: Subproblem, y: Tensor) -> Tensor:
    """Round soft labels to hard ones, pixel by pixel.

    With CE and any feasible y, BL's energy of the result is at most that of y, up to floating-point rounding.

    Parameters
    ----------
    problem : Subproblem
    y : Tensor, float (B, K, H, W)
        Soft labels. Seeds are set to their vertices first; padding keeps its prediction.

    Returns
    -------
    Tensor, float (B, K, H, W)
        One-hot labels.

    Raises
    ------
    ValueError
        For labels of another shape, dtype or device, or a neighbourhood other than the nearest neighbours.

    Notes
    -----
    Pixels move in the four groups of `toykit.solvers.layouts.four_colour_grid`. No pixel is a neighbour of another one in its
    group, so moving a group at once is the same as moving its pixels one after another.
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
