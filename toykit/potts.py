"""Second-order relaxations of the Potts model (paper, section 2.1, Tables 1 and 2).

The Potts model penalises two neighbours whose labels differ: [p != q]. Each relaxation extends it from the vertices of the
simplex to all distributions. At one-hot labels BL, Q and NQ equal [p != q]. The six relaxations are two formulas x, applied
either to p, q or to the normalised p/||p||, q/||q||, and either taken as they are or composed with -ln(1 - x)::

                      x = 1 - p.q            x = ||p - q||^2 / 2        of p/||p||, q/||q|| (both formulas agree)
    x                 BL  bi-linear          Q   quadratic              NQ  normalised quadratic
    -ln(1 - x)        CCE collision c.-e.    LQ  log-quadratic          CD  collision divergence

All are symmetric and, up to rounding, non-negative. ``ln`` is `toykit.simplex.extended_log`: CCE and CD (infinite on
disjoint supports) and LQ (infinite at two different vertices) keep finite values and gradients there, and a step against
the gradient still brings p and q closer.
"""

from torch import Tensor, finfo

from toykit import cross_entropy
from toykit.simplex import check_distributions, extended_log


def bilinear(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """Compute the bi-linear relaxation P_BL of the Potts model.

    Parameters
    ----------
    p, q : Tensor, float32 or float64
        Distributions of two neighbours, with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per pair, in [0, 1]; `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    P_BL(p, q) = 1 - p^T q (Table 1; Fig. 2a). It is tight ("graph cut") but not convex, and it is positive between two
    equal uncertain labels: a local minimum in the move of Fig. 1(a).
    """
    check_distributions(dim, p=p, q=q)
    return 1 - (p * q).sum(dim)


def quadratic(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """Compute the quadratic relaxation P_Q of the Potts model.

    Parameters
    ----------
    p, q : Tensor, float32 or float64
        Distributions of two neighbours, with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per pair, in [0, 1]; `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    P_Q(p, q) = ||p - q||^2 / 2 (Table 1; Fig. 2b). It is convex ("random walker"), and it prefers a soft label at a
    boundary: a local minimum in the move of Fig. 1(b).
    """
    check_distributions(dim, p=p, q=q)
    return (p - q).square().sum(dim) / 2


def normalized_quadratic(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """Compute the normalised quadratic relaxation P_NQ of the Potts model.

    Parameters
    ----------
    p, q : Tensor, float32 or float64
        Distributions of two neighbours, with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per pair, in [0, 1]; `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    P_NQ(p, q) = 1 - p^T q / (||p|| ||q||) = || p/||p|| - q/||q|| ||^2 / 2 (Table 1; Fig. 2c). It has neither of the local
    minima of Fig. 1.
    """
    check_distributions(dim, p=p, q=q)
    return quadratic(_normalized(p, dim), _normalized(q, dim), dim)


def collision_cross_entropy(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """Compute the collision cross-entropy P_CCE as a relaxation of the Potts model.

    Parameters
    ----------
    p, q : Tensor, float32 or float64
        Distributions of two neighbours, with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per pair, in [0, inf); `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    P_CCE(p, q) = -ln p^T q = -ln(1 - P_BL(p, q)) (Table 2; Fig. 2d). The formula is infinite on disjoint supports; there
    `toykit.simplex.extended_log` keeps value and gradient finite. The same function of y and sigma is eq. (11).
    """
    check_distributions(dim, p=p, q=q)
    return cross_entropy.collision_cross_entropy(p, q, dim)


def log_quadratic(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """Compute the log-quadratic relaxation P_LQ of the Potts model.

    Parameters
    ----------
    p, q : Tensor, float32 or float64
        Distributions of two neighbours, with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per pair, in [0, inf); `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    P_LQ(p, q) = -ln(1 - ||p - q||^2 / 2) = -ln(1 - P_Q(p, q)) (Table 2; Fig. 2e). The formula is infinite at two different
    vertices; there `toykit.simplex.extended_log` keeps value and gradient finite.

    It is computed as -ln(p^T q + (1 - ||p||^2)/2 + (1 - ||q||^2)/2), a sum of small non-negative terms near two vertices.
    There 1 - P_Q would be the difference of equal numbers, and its logarithm would be noise.
    """
    check_distributions(dim, p=p, q=q)
    return -extended_log((p * q).sum(dim) + _half_impurity(p, dim) + _half_impurity(q, dim))


def collision_divergence(p: Tensor, q: Tensor, dim: int = 1) -> Tensor:
    """Compute the collision divergence P_CD, the log-based relaxation that the paper prefers.

    Parameters
    ----------
    p, q : Tensor, float32 or float64
        Distributions of two neighbours, with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per pair, in [0, inf); `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    P_CD(p, q) = -ln(p^T q / (||p|| ||q||)) = -ln(1 - P_NQ(p, q)) (Table 2; Fig. 2f). The formula is infinite on disjoint
    supports; there `toykit.simplex.extended_log` keeps value and gradient finite.
    """
    check_distributions(dim, p=p, q=q)
    return collision_cross_entropy(_normalized(p, dim), _normalized(q, dim), dim)


def _normalized(p: Tensor, dim: int) -> Tensor:
    """Return p / ||p||_2; on the simplex ||p|| >= 1/sqrt(K), so it never divides by zero."""
    return p / p.square().sum(dim, keepdim=True).sqrt()


def _half_impurity(p: Tensor, dim: int) -> Tensor:
    """Compute (1 - ||p||^2) / 2 as (sum_k p^k (1 - p^k) + 1 - sum_k p^k) / 2, which does not cancel at a vertex.

    Both parts are computed as written for any p, except that rounding errors count as zero: a sum of probabilities that is
    not quite 1, or a probability barely above 1. Their gradient is kept.
    """
    rounding = 16 * finfo(p.dtype).eps
    impurity, off_simplex = (p * (1 - p)).sum(dim), 1 - p.sum(dim)
    impurity = impurity - impurity.where((impurity < 0) & (impurity >= -rounding), 0).detach()
    off_simplex = off_simplex - off_simplex.where(off_simplex.abs() <= rounding, 0).detach()
    return (impurity + off_simplex) / 2


#: The relaxations by the paper's abbreviations: f(p, q, dim=1). The last three are the logarithms of the first three.
RELAXATIONS = {
    "BL": bilinear,
    "Q": quadratic,
    "NQ": normalized_quadratic,
    "CCE": collision_cross_entropy,
    "LQ": log_quadratic,
    "CD": collision_divergence,
}
