"""Cross-entropy functions connecting soft pseudo-labels y with predictions sigma (paper, section 2.2, eq. 9-11).

All four take distributions and return one value a point, the class axis removed:

    standard    H_CE (y, sigma) = - sum_k y^k ln sigma^k        (9)   sigma mimics the uncertainty of y
    reverse     H_RCE(y, sigma) = - sum_k sigma^k ln y^k        (10)  y mimics the uncertainty of sigma
    collision   H_CCE(y, sigma) = - ln sum_k sigma^k y^k        (11)  nobody mimics anybody
    quadratic   H_Q  (y, sigma) = ||y - sigma||^2               (section 3.1)  closed-form pseudo-labels

Arguments of each: ``y``, ``sigma`` float32 or float64 with the same K >= 2 classes on ``dim`` (default 1), other axes
broadcast. ``ln`` is `toykit.simplex.extended_log`: at vertices and faces of the simplex, where (9)-(11) may be
infinite, value and gradient stay finite, and the gradient still points to the simplex' inside.
Each raises TypeError for other dtypes and ValueError for class counts that differ.
"""

from torch import Tensor

from toykit.simplex import check_distributions, extended_log


def cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Standard cross-entropy, eq. (9): - sum_k y^k ln sigma^k, in [0, inf); infinite where sigma^k = 0 < y^k."""
    check_distributions(dim, y=y, sigma=sigma)
    return -(y * extended_log(sigma)).sum(dim)


def reverse_cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Reverse cross-entropy, eq. (10): - sum_k sigma^k ln y^k = H_CE(sigma, y); infinite where y^k = 0 < sigma^k.

    At a vertex, y^k = 1, it is infinite for every other sigma. The value returned there is (1 - sigma^k) times the floor of
    the logarithm, -`extended_log`(0): 35.9 in float32, 284.4 in float64. That factor is a property of the number format and
    contains no information about y or sigma. So RCE on one-hot labels, as in label noise with noise level 0, is a multiple
    of 1 - sigma^k.
    """
    check_distributions(dim, y=y, sigma=sigma)
    return cross_entropy(sigma, y, dim)


def collision_cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Collision cross-entropy, eq. (11): - ln sigma^T y = - ln Pr(C = T), in [0, inf); infinite on disjoint supports.

    C and T are independent classes drawn from sigma and y. Symmetric in y and sigma.
    """
    check_distributions(dim, y=y, sigma=sigma)
    return -extended_log((y * sigma).sum(dim))


def quadratic_cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Quadratic "cross-entropy" of section 3.1: ||y - sigma||^2, in [0, 2]; no factor 1/2."""
    check_distributions(dim, y=y, sigma=sigma)
    return (y - sigma).square().sum(dim)


def entropy(sigma: Tensor, dim: int = 1) -> Tensor:
    """Shannon's entropy of eq. (4): - sum_k sigma^k ln sigma^k = H_CE(sigma, sigma), in [0, ln K] ("decisiveness")."""
    return cross_entropy(sigma, sigma, dim)


#: The cross-entropies by the paper's abbreviations: f(y, sigma, dim=1).
CROSS_ENTROPIES = {
    "CE": cross_entropy,
    "RCE": reverse_cross_entropy,
    "CCE": collision_cross_entropy,
    "Q": quadratic_cross_entropy,
}
