"""Second-order relaxations of the Potts model (paper, section 2.1, Tables 1 and 2).

Potts asks of two neighbours whether their labels differ, [p != q]. Each relaxation extends it from vertices of the
simplex to distributions; at one-hot labels BL, Q and NQ equal [p != q]. The six are two formulas, taken of p, q or of
the normalised p/||p||, q/||q||, as they are or composed with -ln(1 - x):

                      x = 1 - p.q            x = ||p - q||^2 / 2        of p/||p||, q/||q|| (both formulas agree)
    x                 BL  bi-linear          Q   quadratic              NQ  normalised quadratic
    -ln(1 - x)        CCE collision c.-e.    LQ  log-quadratic          CD  collision divergence

Arguments of each: ``p``, ``q`` float32 or float64 with the same K >= 2 classes on ``dim`` (default 1), other axes
broadcast; one value a pair is returned, ``dim`` removed. All are symmetric and, but for rounding, non-negative.
``ln`` is `toykit.simplex.extended_log`: CCE and CD (infinite on disjoint supports) and LQ (infinite at two different
vertices) keep finite values and gradients there, and the gradient still says "come closer".
Each raises TypeError for other dtypes and ValueError for class counts that differ.
"""

from torch import Tensor, finfo

from toykit import cross_entropy
from toykit.simplex import check_distributions, extended_log


def bilinear(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """P_BL = 1 - p^T q, in [0, 1]. Tight ("graph cut"), not convex; positive between equal uncertain labels."""
    check_distributions(dim, p=p, q=q)
    return 1 - (p * q).sum(dim)


def quadratic(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """P_Q = ||p - q||^2 / 2, in [0, 1]. Convex ("random walker"); prefers a soft label at a boundary."""
    check_distributions(dim, p=p, q=q)
    return (p - q).square().sum(dim) / 2


def normalized_quadratic(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """P_NQ = 1 - p^T q / (||p|| ||q||) = ||p/||p|| - q/||q|| ||^2 / 2, in [0, 1]. Neither of Fig. 1's local minima."""
    check_distributions(dim, p=p, q=q)
    return quadratic(_normalized(p, dim), _normalized(q, dim), dim)


def collision_cross_entropy(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """P_CCE = -ln p^T q = -ln(1 - P_BL), in [0, inf); infinite on disjoint supports."""
    check_distributions(dim, p=p, q=q)
    return cross_entropy.collision_cross_entropy(p, q, dim)


def log_quadratic(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """P_LQ = -ln(1 - ||p - q||^2 / 2) = -ln(1 - P_Q), in [0, inf); infinite at two different vertices.

    Computed as -ln(p^T q + (1 - ||p||^2)/2 + (1 - ||q||^2)/2): near two vertices, where 1 - P_Q would be a difference of
    equal numbers and its logarithm noise, these are small non-negative terms.
    """
    check_distributions(dim, p=p, q=q)
    return -extended_log((p * q).sum(dim) + _half_impurity(p, dim) + _half_impurity(q, dim))


def collision_divergence(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """P_CD = -ln(p^T q / (||p|| ||q||)) = -ln(1 - P_NQ), in [0, inf); infinite on disjoint supports."""
    check_distributions(dim, p=p, q=q)
    return collision_cross_entropy(_normalized(p, dim), _normalized(q, dim), dim)


def _normalized(p: Tensor, dim: int) -> Tensor:
    """p / ||p||_2. On the simplex ||p|| >= 1/sqrt(K), so nothing can be divided by zero."""
    return p / p.square().sum(dim, keepdim=True).sqrt()


def _half_impurity(p: Tensor, dim: int) -> Tensor:
    """(1 - ||p||^2) / 2 as (sum_k p^k (1 - p^k) + 1 - sum_k p^k) / 2, which does not cancel at a vertex.

    Both parts are what they say for any p, except that rounding (a sum of probabilities that is not quite 1, a
    probability barely above 1) counts as zero; the gradient passes all the same.
    """
    rounding = 16 * finfo(p.dtype).eps
    impurity, off_simplex = (p * (1 - p)).sum(dim), 1 - p.sum(dim)
    impurity = impurity - impurity.where((impurity < 0) & (impurity >= -rounding), 0).detach()
    off_simplex = off_simplex - off_simplex.where(off_simplex.abs() <= rounding, 0).detach()
    return (impurity + off_simplex) / 2


#: The relaxations by the paper's abbreviations: f(p, q, dim=1). The second three are the first three's logarithms.
RELAXATIONS = {
    "BL": bilinear,
    "Q": quadratic,
    "NQ": normalized_quadratic,
    "CCE": collision_cross_entropy,
    "LQ": log_quadratic,
    "CD": collision_divergence,
}
