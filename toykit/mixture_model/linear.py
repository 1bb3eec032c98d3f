"""A linear classifier of a network's features, fitted to soft targets: multinomial logistic regression with a ridge."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

#: Weight of the ridge on the weights, not the biases, beside the mean loss of the cells.
RIDGE = 0.01
#: Cells with seeds per class that it is fitted to, taken at even intervals.
SEEDS = 500


@dataclass(frozen=True)
class Classifier:
    """A classifier of one photo's cells.

    Parameters
    ----------
    maps : tuple of Tensor, float64 (C, h', w')
        Of the whole photo, each on its own grid, centred and scaled to a mean squared norm of 1, so that each counts alike,
        however many channels it has.
    weights : Tensor, float64 (classes, C + 1)
        Of all maps' channels, and the biases.
    size : (int, int)
        Rows and columns of cells.
    """

    maps: tuple[Tensor, ...]
    weights: Tensor
    size: tuple[int, int]

    def log_probabilities(self) -> Tensor:
        """Compute the cells' log-probabilities, float64 (classes, h, w)."""
        *parts, bias = self.weights.split([*(len(x) for x in self.maps), 1], dim=1)
        scores = bias[:, :, None]
        for weight, x in zip(parts, self.maps, strict=True):  # a sum over channels first: there are many
            scores = scores + _interpolate(torch.tensordot(weight, x, 1), self.size)
        return scores.log_softmax(0)

    def refit(self, cells: Tensor, counts: Tensor) -> Classifier:
        """Minimise the mean cross-entropy of some cells and the ridge.

        Parameters
        ----------
        cells : Tensor, int64 (N,)
            Numbers of the cells, row by row.
        counts : Tensor, float (N, classes)
            How much each cell counts for each class; not all 0.

        Returns
        -------
        Classifier

        Notes
        -----
        The loss is convex; L-BFGS minimises it.
        """
        x = torch.cat([_at(x, cells, self.size) for x in self.maps], 1)
        fitted = _logistic_regression(x.cpu().numpy(), (counts / counts.sum()).cpu().numpy())
        return replace(self, weights=torch.from_numpy(fitted).to(self.weights))


def fit_classifier(features: list[Tensor], seeds: Tensor, present: list[int], stride: int) -> Classifier:
    """Fit a classifier to one photo's seeds. All classes count alike, however long their strokes are.

    Parameters
    ----------
    features : list of Tensor, float (C, h', w')
        Maps of the whole photo, each on its own grid.
    seeds : Tensor, int64 (H, W)
    present : list of int
        The classes, each with a seed.
    stride : int
        Side of a cell in pixels.

    Returns
    -------
    Classifier
        Of len(present) classes.
    """
    maps = tuple(_scaled(x) for x in features)
    cells, truth = seed_targets(seeds, present, stride)
    weights = truth.new_zeros(len(present), 1 + sum(len(x) for x in maps))
    size = (-(-seeds.shape[0] // stride), -(-seeds.shape[1] // stride))
    return Classifier(maps, weights, size).refit(cells, truth / truth.sum(0))


def seed_targets(seeds: Tensor, present: list[int], stride: int) -> tuple[Tensor, Tensor]:
    """Return the numbers (N,) of cells with seeds, at most `SEEDS` per class, and their classes, one-hot (N, len(present))."""
    width = -(-seeds.shape[1] // stride)
    cells, labels = [], []
    for number, k in enumerate(present):
        rows, columns = (x // stride for x in (seeds == k).nonzero(as_tuple=True))
        chosen = torch.linspace(0, len(rows) - 1, min(len(rows), SEEDS), device=rows.device).round().long()
        cells.append((rows * width + columns)[chosen])
        labels.append(torch.full_like(chosen, number))
    return torch.cat(cells), F.one_hot(torch.cat(labels), len(present)).double()


def _logistic_regression(x: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the weights of features x (N, C) and, in the last column, the biases: (classes, C + 1).

    share: how much each point counts for each class, (N, classes); sum 1.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    ridge = RIDGE * np.append(np.ones(x.shape[1] - 1), 0)  # none on the biases

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(share.shape[1], -1)
        scores = log_softmax(x @ weights.T, axis=1)
        value = -(share * scores).sum() + (ridge * weights**2).sum() / 2
        slope = (share.sum(1, keepdims=True) * np.exp(scores) - share).T @ x + ridge * weights
        return float(value), slope.ravel()

    start = np.zeros(share.shape[1] * x.shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x.reshape(share.shape[1], -1)


def _scaled(x: Tensor) -> Tensor:
    """Centre a map and scale it to a mean squared norm of 1."""
    x = x.double() - x.double().mean((1, 2), keepdim=True)
    return x / x.square().sum(0).mean().sqrt().clamp_min(1e-12)


def _interpolate(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate a map at all cells."""
    return F.interpolate(x[None], size, mode="bilinear", align_corners=False)[0]


def _at(x: Tensor, cells: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate a map at some cells as `_interpolate` does: (N, C)."""
    height, width = size
    centres = torch.stack([cells % width, cells // width], 1).to(x) + 0.5
    grid = 2 * centres / torch.tensor([width, height]).to(x) - 1
    return F.grid_sample(x[None], grid[None, None], padding_mode="border", align_corners=False)[0, :, 0].T
