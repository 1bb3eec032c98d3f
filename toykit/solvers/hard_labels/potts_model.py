"""The sub-problem of eq. (8) at the vertices of the simplex: the discrete Potts model that hard labels minimise,

    eta sum_{i not in S} H(e_{y_i}, sigma_i)  +  lam sum_{ij in N} w_ij [y_i != y_j],       y_i in {0, ..., K - 1}.

All relaxations are zero between equal vertices. Between two different ones BL, Q and NQ are 1; CCE, CD and LQ are infinite.
The Potts model's value is BL's, so hard labels of every relaxation are those of BL, and the energies reported for them, too.

The cross-entropies at a vertex: CE and CCE -ln sigma^k; Q 1 - 2 sigma^k + |sigma|^2; RCE is infinite unless sigma is that
vertex, and `toykit.simplex.extended_log` makes it a large multiple of 1 - sigma^k, so it follows the prediction nearly
everywhere.
"""

from dataclasses import replace

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.energy import Subproblem
from toykit.neighborhoods import Edges
from toykit.simplex import one_hot

#: The labels that a pixel may take: all, or those with a seed in its image.
LABELS = ("all", "seeded")


def with_potts(problem: Subproblem) -> Subproblem:
    """Return the sub-problem with BL, whose value at vertices is the Potts model's."""
    return replace(problem, energy=replace(problem.energy, relaxation="BL"))


def vertex_costs(problem: Subproblem) -> Tensor:
    """Compute eta H(e_k, sigma_i) for each class k: (B, K, H, W); zero on seeds and padding."""
    cross_entropy, sigma = CROSS_ENTROPIES[problem.energy.cross_entropy], problem.sigma
    vertices = torch.eye(sigma.shape[1], dtype=sigma.dtype, device=sigma.device)
    costs = torch.stack([cross_entropy(vertex.view(1, -1, 1, 1).expand_as(sigma), sigma) for vertex in vertices], 1)
    return (problem.energy.eta * costs).where(problem.unlabelled[:, None], 0)


def allowed_labels(problem: Subproblem, labels: str) -> Tensor:
    """Return the classes that the pixels of an image may take.

    Parameters
    ----------
    problem : Subproblem
    labels : {"all", "seeded"}
        All classes, or those that have seeds in the image (all, where it has no seeds).

    Returns
    -------
    Tensor, bool (B, K)

    Raises
    ------
    ValueError
        For any other value of `labels`.
    """
    check_choice("labels", labels, LABELS)
    seeded = problem.vertices.bool() & problem.is_seed[:, None]
    present = seeded.flatten(2).any(2)
    return present | ~present.any(1, keepdim=True) if labels == "seeded" else torch.ones_like(present)


def harden(problem: Subproblem, classes: Tensor) -> Tensor:
    """Return class ids (B, H, W) as one-hot labels (B, K, H, W), with the seeds' vertices and the padding's predictions."""
    return problem.fix_seeds(one_hot(classes, problem.sigma.shape[1], dtype=problem.sigma.dtype))


def neighbor_sum(edges: Edges, y: Tensor) -> Tensor:
    """Apply the filter W y: sum_j w_ij y_j over each pixel's neighbours, (B, K, H, W) like y."""
    return edges.degree()[:, None] * y - edges.laplacian(y)
