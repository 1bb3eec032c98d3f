"""Cross-entropy functions that connect soft pseudo-labels y with predictions sigma (paper, section 2.2, eq. 9-11).

    standard    H_CE (y, sigma) = - sum_k y^k ln sigma^k        (9)   sigma mimics the uncertainty of y
    reverse     H_RCE(y, sigma) = - sum_k sigma^k ln y^k        (10)  y mimics the uncertainty of sigma
    collision   H_CCE(y, sigma) = - ln sum_k sigma^k y^k        (11)  neither mimics the other
    quadratic   H_Q  (y, sigma) = ||y - sigma||^2               (section 3.1)  closed-form pseudo-labels

``ln`` is `toykit.simplex.extended_log`: at vertices and faces of the simplex, where (9)-(11) may be infinite, value and
gradient stay finite, and the gradient still points to the inside of the simplex.
"""

from torch import Tensor

from toykit.simplex import check_distributions, extended_log


def cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Compute the standard cross-entropy H_CE, eq. (9).

    Parameters
    ----------
    y, sigma : Tensor, float32 or float64
        Distributions (pseudo-labels and predictions) with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per point, in [0, inf); `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    H_CE(y, sigma) = - sum_k y^k ln sigma^k. The formula is infinite where sigma^k = 0 < y^k; there `extended_log` keeps
    value and gradient finite. Trained with this loss, sigma mimics the uncertainty of y (Fig. 3a).
    """
    check_distributions(dim, y=y, sigma=sigma)
    return -(y * extended_log(sigma)).sum(dim)


def reverse_cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Compute the reverse cross-entropy H_RCE, eq. (10).

    Parameters
    ----------
    y, sigma : Tensor, float32 or float64
        Distributions (pseudo-labels and predictions) with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per point, in [0, inf); `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    H_RCE(y, sigma) = - sum_k sigma^k ln y^k = H_CE(sigma, y). The formula is infinite where y^k = 0 < sigma^k.

    At a vertex, y^k = 1, it is infinite for every other sigma. The value returned there is (1 - sigma^k) times the floor of
    the logarithm, ``-extended_log(0)``: 35.9 in float32, 284.4 in float64. That factor is a property of the number format and
    contains no information about y or sigma. So RCE on one-hot labels, as in label noise with noise level 0, is a multiple
    of 1 - sigma^k.
    """
    check_distributions(dim, y=y, sigma=sigma)
    return cross_entropy(sigma, y, dim)


def collision_cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Compute the collision cross-entropy H_CCE, eq. (11).

    Parameters
    ----------
    y, sigma : Tensor, float32 or float64
        Distributions (pseudo-labels and predictions) with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per point, in [0, inf); `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    H_CCE(y, sigma) = - ln sum_k sigma^k y^k = - ln Pr(C = T), where C and T are independent classes drawn from sigma and y.
    It is symmetric. The formula is infinite on disjoint supports; there `extended_log` keeps value and gradient finite.
    """
    check_distributions(dim, y=y, sigma=sigma)
    return -extended_log((y * sigma).sum(dim))


def quadratic_cross_entropy(y: Tensor, sigma: Tensor, dim: int = 1) -> Tensor:
    """Compute the quadratic "cross-entropy" H_Q of section 3.1.

    Parameters
    ----------
    y, sigma : Tensor, float32 or float64
        Distributions (pseudo-labels and predictions) with the same K >= 2 classes on `dim`; other axes broadcast.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        One value per point, in [0, 2]; `dim` is removed.

    Raises
    ------
    TypeError
        For other dtypes, or two different ones.
    ValueError
        If the numbers of classes differ.

    Notes
    -----
    H_Q(y, sigma) = ||y - sigma||^2, without a factor 1/2. It is symmetric and finite everywhere. Together with the
    quadratic relaxation, pseudo-labels have a closed form (`toykit.random_walker`).
    """
    check_distributions(dim, y=y, sigma=sigma)
    return (y - sigma).square().sum(dim)


def entropy(sigma: Tensor, dim: int = 1) -> Tensor:
    """Compute Shannon's entropy, the "decisiveness" term of eq. (4).

    Parameters
    ----------
    sigma : Tensor, float32 or float64
        Distributions with K >= 2 classes on `dim`.
    dim : int, default 1
        The class axis.

    Returns
    -------
    Tensor
        H(sigma) = - sum_k sigma^k ln sigma^k = H_CE(sigma, sigma), in [0, ln K]; `dim` is removed.

    Raises
    ------
    TypeError
        For another dtype.
    ValueError
        For fewer than two classes.
    """
    return cross_entropy(sigma, sigma, dim)


#: The cross-entropies by the paper's abbreviations: f(y, sigma, dim=1).
CROSS_ENTROPIES = {
    "CE": cross_entropy,
    "RCE": reverse_cross_entropy,
    "CCE": collision_cross_entropy,
    "Q": quadratic_cross_entropy,
}
