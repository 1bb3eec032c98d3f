"""Who mimics whose uncertainty (Fig. 3 a-c): cross-entropies of binary distributions and their best responses."""

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.experiments.potentials import binary


def loss_curve(cross_entropy: str, label: float, n: int = 199) -> tuple[Tensor, Tensor]:
    """Predictions x (n,), strictly inside (0, 1), and H(y, sigma) (n,) for y = (label, 1 - label), float64."""
    x = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
    return x, _function(cross_entropy)(_label(label)[None], binary(x))


def label_curve(cross_entropy: str, prediction: float, n: int = 199) -> tuple[Tensor, Tensor]:
    """Labels x (n,), strictly inside (0, 1), and H(y, sigma) (n,) for sigma = (prediction, 1 - prediction), float64."""
    x = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
    return x, _function(cross_entropy)(binary(x), _label(prediction)[None])


def loss_at(cross_entropy: str, label: float, prediction: float) -> float:
    """Return H(y, sigma) for y = (label, 1 - label), sigma = (prediction, 1 - prediction), float64.

    Where the formula is infinite, the value is on the floor of the logarithm (`toykit.simplex.extended_log`): RCE at label 1 is
    284.4 (1 - prediction). That factor comes from the number format.
    """
    return float(_function(cross_entropy)(_label(label)[None], _label(prediction)[None]))


def prediction_gradient(cross_entropy: str, label: float, prediction: float) -> float:
    """dH/dl at sigma = (x, 1 - x), x = sigmoid(l) = prediction: what the network is told by the label."""
    return _gradient(lambda x: _function(cross_entropy)(_label(label)[None], binary(x)), prediction)


def label_gradient(cross_entropy: str, label: float, prediction: float) -> float:
    """dH/dl at y = (x, 1 - x), x = sigmoid(l) = label: what the pseudo-label is told by the network."""
    return _gradient(lambda x: _function(cross_entropy)(binary(x), _label(prediction)[None]), label)


def best_prediction(cross_entropy: str, label: float, n: int = 1001) -> Tensor:
    """All minimisers x (M,) of H(y, (x, 1 - x)) on a grid of [0, 1], for y = (label, 1 - label): does sigma mimic y?"""
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return _minimisers(x, _function(cross_entropy)(_label(label)[None], binary(x)))


def best_label(cross_entropy: str, prediction: float, n: int = 1001) -> Tensor:
    """All minimisers x (M,) of H((x, 1 - x), sigma) on a grid of [0, 1], for a given prediction: does y mimic sigma?"""
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return _minimisers(x, _function(cross_entropy)(binary(x), _label(prediction)[None]))


def verdict(minimisers: Tensor, other: float) -> str:
    """In words, what minimisers (M,) have to do with the distribution (other, 1 - other) that they answer to.

    "mimics it", "anything goes" (a flat loss), or "goes to 1" (or 0), a corner that the other does not hold.
    """
    if len(minimisers) > 1:
        return "anything goes"
    found = float(minimisers[0])
    return "mimics it" if abs(found - other) < 1e-6 else f"goes to {found:g}"


def _minimisers(x: Tensor, values: Tensor) -> Tensor:
    return x[values <= values.min() + 1e-12]


def _label(share: float) -> Tensor:
    if not 0 <= share <= 1:
        raise ValueError(f"expected a probability in [0, 1], got {share}")
    return binary(torch.tensor(share, dtype=torch.float64))


def _gradient(function, probability: float) -> float:
    if not 0 < probability < 1:
        raise ValueError(f"expected a probability strictly between 0 and 1, got {probability}")
    with torch.enable_grad():
        logit = torch.tensor([probability], dtype=torch.float64).logit().requires_grad_()
        (gradient,) = torch.autograd.grad(function(torch.sigmoid(logit)).sum(), logit)
    return float(gradient)


def _function(cross_entropy: str):
    check_choice("cross_entropy", cross_entropy, CROSS_ENTROPIES)
    return CROSS_ENTROPIES[cross_entropy]
