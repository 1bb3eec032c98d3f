"""A linear classifier of a network's features, fitted to the seeds: multinomial logistic regression with a ridge."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

#: Weight of the ridge beside the mean loss of the seeds.
RIDGE = 0.01
#: Cells with seeds per class that it is fitted to, taken at even intervals.
SEEDS = 500


def linear_scores(features: list[Tensor], seeds: Tensor, present: list[int], stride: int) -> Tensor:
    """Fit the classifier to one photo's seeds and return its log-probabilities.

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
    Tensor, float64 (len(present), h, w)
        On cells of `stride` pixels.

    Notes
    -----
    Each map is interpolated at the cells, centred, and scaled to a mean squared norm of 1, so that each counts alike however
    many channels it has. All classes count alike, however long their strokes are. The loss is convex; L-BFGS minimises it.
    """
    height, width = (-(-n // stride) for n in seeds.shape)
    points = torch.cat([_at_cells(x, height, width) for x in features])
    rows, columns, labels = [], [], []
    for number, k in enumerate(present):
        r, c = (x // stride for x in (seeds == k).nonzero(as_tuple=True))
        chosen = torch.linspace(0, len(r) - 1, min(len(r), SEEDS), device=r.device).round().long()
        rows.append(r[chosen])
        columns.append(c[chosen])
        labels.append(torch.full_like(r[chosen], number))
    x, y = points[:, torch.cat(rows), torch.cat(columns)].T, torch.cat(labels)
    weights = _logistic_regression(x.cpu().numpy(), y.cpu().numpy(), len(present))
    weight, bias = torch.from_numpy(weights).to(points.device).split([x.shape[1], 1], dim=1)
    return (torch.tensordot(weight, points, 1) + bias[:, :, None]).log_softmax(0)


def _logistic_regression(x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Return the weights of features x (N, C) and, in the last column, the biases: (classes, C + 1)."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    x = np.concatenate([x, np.ones((len(x), 1))], 1)
    truth = np.eye(classes)[y]
    share = (truth / truth.sum(0) / classes).sum(1)
    ridge = RIDGE * np.append(np.ones(x.shape[1] - 1), 0)  # none on the biases

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(classes, -1)
        scores = log_softmax(x @ weights.T, axis=1)
        value = -share @ scores[np.arange(len(y)), y] + (ridge * weights**2).sum() / 2
        slope = (share[:, None] * (np.exp(scores) - truth)).T @ x + ridge * weights
        return float(value), slope.ravel()

    start = np.zeros(classes * x.shape[1])
    return minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x.reshape(classes, -1)


def _at_cells(x: Tensor, height: int, width: int) -> Tensor:
    """Interpolate a map at the cells, centre it and scale it to a mean squared norm of 1."""
    x = F.interpolate(x[None].double(), (height, width), mode="bilinear", align_corners=False)[0]
    x = x - x.mean((1, 2), keepdim=True)
    return x / x.square().sum(0).mean().sqrt().clamp_min(1e-12)
