"""Cross-entropies of binary distributions (Fig. 3 a-c) and their minimisers: which side mimics the uncertainty of the other."""

from collections.abc import Callable

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.experiments.potentials import binary


def loss_curve(cross_entropy: str, label: float, n: int = 199) -> tuple[Tensor, Tensor]:
    """Compute H(y, sigma) over predictions, for a given label.

    Parameters
    ----------
    cross_entropy : str
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    label : float
        y = (label, 1 - label), in [0, 1].
    n : int, default 199
        Number of predictions.

    Returns
    -------
    x : Tensor, shape (n,), float64
        Predictions sigma = (x, 1 - x), strictly inside (0, 1).
    values : Tensor, shape (n,), float64

    Raises
    ------
    ValueError
        For another cross-entropy, or a probability out of range.
    """
    x = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
    return x, _function(cross_entropy)(_distribution(label)[None], binary(x))


def label_curve(cross_entropy: str, prediction: float, n: int = 199) -> tuple[Tensor, Tensor]:
    """Compute H(y, sigma) over labels, for a given prediction.

    Parameters
    ----------
    cross_entropy : str
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    prediction : float
        sigma = (prediction, 1 - prediction), in [0, 1].
    n : int, default 199
        Number of labels.

    Returns
    -------
    x : Tensor, shape (n,), float64
        Labels y = (x, 1 - x), strictly inside (0, 1).
    values : Tensor, shape (n,), float64

    Raises
    ------
    ValueError
        For another cross-entropy, or a probability out of range.
    """
    x = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1)
    return x, _function(cross_entropy)(binary(x), _distribution(prediction)[None])


def prediction_gradient(cross_entropy: str, label: float, prediction: float) -> float:
    """Compute dH/dl at a prediction: the gradient that the network receives from the label.

    Parameters
    ----------
    cross_entropy : str
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    label : float
        y = (label, 1 - label), in [0, 1].
    prediction : float
        sigma = (x, 1 - x), x = sigmoid(l) = prediction, in (0, 1).

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For another cross-entropy, or a probability out of range.
    """
    return _gradient(lambda x: _function(cross_entropy)(_distribution(label)[None], binary(x)), prediction)


def label_gradient(cross_entropy: str, label: float, prediction: float) -> float:
    """Compute dH/dl at a label: the gradient that the pseudo-label receives from the network.

    Parameters
    ----------
    cross_entropy : str
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    label : float
        y = (x, 1 - x), x = sigmoid(l) = label, in (0, 1).
    prediction : float
        sigma = (prediction, 1 - prediction), in [0, 1].

    Returns
    -------
    float

    Raises
    ------
    ValueError
        For another cross-entropy, or a probability out of range.
    """
    return _gradient(lambda x: _function(cross_entropy)(binary(x), _distribution(prediction)[None]), label)


def best_prediction(cross_entropy: str, label: float, n: int = 1001) -> Tensor:
    """Find the best predictions for a given label: does sigma mimic y?

    Parameters
    ----------
    cross_entropy : str
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    label : float
        y = (label, 1 - label), in [0, 1].
    n : int, default 1001
        Points of the grid of [0, 1] to search.

    Returns
    -------
    Tensor, shape (M,), float64
        All minimisers x of H(y, (x, 1 - x)) on the grid.

    Raises
    ------
    ValueError
        For another cross-entropy, or a probability out of range.
    """
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return _minimisers(x, _function(cross_entropy)(_distribution(label)[None], binary(x)))


def best_label(cross_entropy: str, prediction: float, n: int = 1001) -> Tensor:
    """Find the best labels for a given prediction: does y mimic sigma?

    Parameters
    ----------
    cross_entropy : str
        A key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    prediction : float
        sigma = (prediction, 1 - prediction), in [0, 1].
    n : int, default 1001
        Points of the grid of [0, 1] to search.

    Returns
    -------
    Tensor, shape (M,), float64
        All minimisers x of H((x, 1 - x), sigma) on the grid.

    Raises
    ------
    ValueError
        For another cross-entropy, or a probability out of range.
    """
    x = torch.linspace(0, 1, n, dtype=torch.float64)
    return _minimisers(x, _function(cross_entropy)(binary(x), _distribution(prediction)[None]))


def _minimisers(x: Tensor, values: Tensor) -> Tensor:
    """Return the x whose values are minimal up to rounding."""
    return x[values <= values.min() + 1e-12]


def _distribution(probability: float) -> Tensor:
    """Return (probability, 1 - probability), float64, after checking the range."""
    check_number("probability", probability, "[0, 1]")
    return binary(torch.tensor(probability, dtype=torch.float64))


def _gradient(function: Callable[[Tensor], Tensor], probability: float) -> float:
    """Compute the derivative of function(sigmoid(l)) in l, where sigmoid(l) is the probability."""
    check_number("probability", probability, "(0, 1)")
    with torch.enable_grad():
        logit = torch.tensor([probability], dtype=torch.float64).logit().requires_grad_()
        (gradient,) = torch.autograd.grad(function(torch.sigmoid(logit)).sum(), logit)
    return float(gradient)


def _function(cross_entropy: str) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a cross-entropy by its abbreviation."""
    check_choice("cross_entropy", cross_entropy, CROSS_ENTROPIES)
    return CROSS_ENTROPIES[cross_entropy]
