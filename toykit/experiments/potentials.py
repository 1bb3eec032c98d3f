"""Interaction potentials of two pixels with K = 2 (Fig. 2): over probabilities, over logits, and their gradients.

A binary distribution is (x, 1 - x), and its logit l is that of Fig. 2: x = 1 / (1 + exp(-2 l)).
"""

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.potts import RELAXATIONS


def binary(x: Tensor) -> Tensor:
    """Distributions (..., 2) of the first class' probability x (...)."""
    return torch.stack([x, 1 - x], -1)


def over_square(relaxation: str, n: int = 101) -> tuple[Tensor, Tensor]:
    """x (n,) from 0 to 1 and P(x_i, x_j) as (n, n) with rows x_j and columns x_i, float64: Fig. 2's contour maps."""
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return x, _potential(relaxation, x[None, :], x[:, None])


def over_logits(relaxation: str, limit: float = 3.0, n: int = 61) -> tuple[Tensor, Tensor]:
    """l (n,) from -limit to limit and P as (n, n) with rows l_j and columns l_i, float64: Fig. 2's surfaces."""
    logits = torch.linspace(-limit, limit, n, dtype=torch.float64)
    x = torch.sigmoid(2 * logits)
    return logits, _potential(relaxation, x[None, :], x[:, None])


def logit_gradient(relaxation: str, logits_i: Tensor, logits_j: Tensor) -> Tensor:
    """dP/dl_i at logits (...) of both pixels: what gradient descent feels."""
    with torch.enable_grad():
        l_i = logits_i.detach().double().requires_grad_()
        potential = _potential(relaxation, torch.sigmoid(2 * l_i), torch.sigmoid(2 * logits_j.detach().double()))
        (gradient,) = torch.autograd.grad(potential.sum(), l_i)
    return gradient


def cut(relaxation: str, logit_j: float, limit: float = 3.0, n: int = 121) -> tuple[Tensor, Tensor, Tensor]:
    """The surface along a line of fixed l_j: l_i (n,) from -limit to limit, P (n,), and its slope dP/dl_i (n,), float64."""
    l_i = torch.linspace(-limit, limit, n, dtype=torch.float64)
    l_j = torch.full_like(l_i, logit_j)
    values = _potential(relaxation, torch.sigmoid(2 * l_i), torch.sigmoid(2 * l_j))
    return l_i, values, logit_gradient(relaxation, l_i, l_j)


def descent_field(relaxation: str, limit: float = 3.0, n: int = 9) -> tuple[Tensor, Tensor, Tensor]:
    """Where gradient descent goes: l (n,) and -dP/dl_i, -dP/dl_j as (n, n) with rows l_j and columns l_i, float64."""
    logits = torch.linspace(-limit, limit, n, dtype=torch.float64)
    l_i, l_j = logits[None, :].expand(n, n), logits[:, None].expand(n, n)
    return logits, -logit_gradient(relaxation, l_i, l_j), -logit_gradient(relaxation, l_j, l_i)  # P is symmetric


def _potential(relaxation: str, x_i: Tensor, x_j: Tensor) -> Tensor:
    check_choice("relaxation", relaxation, RELAXATIONS)
    return RELAXATIONS[relaxation](binary(x_i), binary(x_j), dim=-1)
