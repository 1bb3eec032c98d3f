"""Interaction potentials of two pixels with two classes (Fig. 2): over probabilities, over logits, and their gradients.

A binary distribution is (x, 1 - x), and its logit l is that of Fig. 2: x = 1 / (1 + exp(-2 l)).
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.potts import RELAXATIONS


def binary(x: Tensor) -> Tensor:
    """Return the binary distributions (x, 1 - x).

    Parameters
    ----------
    x : Tensor, any shape (...)
        Probability of the first class.

    Returns
    -------
    Tensor, shape (..., 2)
    """
    return torch.stack([x, 1 - x], -1)


def over_square(relaxation: str, n: int = 101) -> tuple[Tensor, Tensor]:
    """Compute a potential over all pairs of binary distributions: the contour maps of Fig. 2.

    Parameters
    ----------
    relaxation : str
        A key of `toykit.potts.RELAXATIONS`.
    n : int, default 101
        Points per axis.

    Returns
    -------
    x : Tensor, shape (n,), float64
        Probabilities from 0 to 1.
    potential : Tensor, shape (n, n), float64
        P with rows x_j and columns x_i.

    Raises
    ------
    ValueError
        For another relaxation.
    """
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return x, _potential(relaxation, x[None, :], x[:, None])


def over_logits(relaxation: str, limit: float = 3.0, n: int = 61) -> tuple[Tensor, Tensor]:
    """Compute a potential over all pairs of logits: the surfaces of Fig. 2.

    Parameters
    ----------
    relaxation : str
        A key of `toykit.potts.RELAXATIONS`.
    limit : float, default 3.0
        Logits go from -limit to limit.
    n : int, default 61
        Points per axis.

    Returns
    -------
    logits : Tensor, shape (n,), float64
    potential : Tensor, shape (n, n), float64
        P with rows l_j and columns l_i.

    Raises
    ------
    ValueError
        For another relaxation.
    """
    logits = torch.linspace(-limit, limit, n, dtype=torch.float64)
    x = torch.sigmoid(2 * logits)
    return logits, _potential(relaxation, x[None, :], x[:, None])


def logit_gradient(relaxation: str, logits_i: Tensor, logits_j: Tensor) -> Tensor:
    """Compute dP/dl_i, the gradient that gradient descent follows.

    Parameters
    ----------
    relaxation : str
        A key of `toykit.potts.RELAXATIONS`.
    logits_i, logits_j : Tensor, any shape
        Logits of both pixels.

    Returns
    -------
    Tensor, same shape, float64

    Raises
    ------
    ValueError
        For another relaxation.
    """
    with torch.enable_grad():
        l_i = logits_i.detach().double().requires_grad_()
        potential = _potential(relaxation, torch.sigmoid(2 * l_i), torch.sigmoid(2 * logits_j.detach().double()))
        (gradient,) = torch.autograd.grad(potential.sum(), l_i)
    return gradient


def cut(relaxation: str, logit_j: float, limit: float = 3.0, n: int = 121) -> tuple[Tensor, Tensor, Tensor]:
    """Compute a potential and its slope along a line of fixed l_j.

    Parameters
    ----------
    relaxation : str
        A key of `toykit.potts.RELAXATIONS`.
    logit_j : float
        The fixed logit.
    limit : float, default 3.0
        l_i goes from -limit to limit.
    n : int, default 121
        Number of points.

    Returns
    -------
    l_i, potential, slope : Tensor, shape (n,), float64
        The logits, P, and dP/dl_i.

    Raises
    ------
    ValueError
        For another relaxation.
    """
    l_i = torch.linspace(-limit, limit, n, dtype=torch.float64)
    l_j = torch.full_like(l_i, logit_j)
    values = _potential(relaxation, torch.sigmoid(2 * l_i), torch.sigmoid(2 * l_j))
    return l_i, values, logit_gradient(relaxation, l_i, l_j)


def descent_field(relaxation: str, limit: float = 3.0, n: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Compute the directions of gradient descent over all pairs of logits.

    Parameters
    ----------
    relaxation : str
        A key of `toykit.potts.RELAXATIONS`.
    limit : float, default 3.0
        Logits go from -limit to limit.
    n : int, default 9
        Points per axis.

    Returns
    -------
    logits : Tensor, shape (n,), float64
    along_i, along_j : Tensor, shape (n, n), float64
        -dP/dl_i and -dP/dl_j with rows l_j and columns l_i.

    Raises
    ------
    ValueError
        For another relaxation.
    """
    logits = torch.linspace(-limit, limit, n, dtype=torch.float64)
    l_i, l_j = logits[None, :].expand(n, n), logits[:, None].expand(n, n)
    return logits, -logit_gradient(relaxation, l_i, l_j), -logit_gradient(relaxation, l_j, l_i)  # P is symmetric


def _potential(relaxation: str, x_i: Tensor, x_j: Tensor) -> Tensor:
    """Compute P of binary distributions with these first probabilities."""
    check_choice("relaxation", relaxation, RELAXATIONS)
    return RELAXATIONS[relaxation](binary(x_i), binary(x_j), dim=-1)
