"""A linear classifier of a network's features, fitted to the seeds: multinomial logistic regression with a ridge."""

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
    share = 1 / (len(present) * torch.bincount(y).double())[y]
    weight = x.new_zeros(len(present), x.shape[1], requires_grad=True)
    bias = x.new_zeros(len(present), requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        nll = F.cross_entropy(F.linear(x, weight, bias), y, reduction="none")
        value = (share * nll).sum() + RIDGE / 2 * weight.square().sum()
        value.backward()
        return value

    with torch.inference_mode(False), torch.enable_grad():
        optimizer.step(loss)  # pyright: ignore[reportArgumentType] # the closure may return a tensor
    scores = torch.tensordot(weight.detach(), points, 1) + bias.detach()[:, None, None]
    return scores.log_softmax(0)


def _at_cells(x: Tensor, height: int, width: int) -> Tensor:
    """Interpolate a map at the cells, centre it and scale it to a mean squared norm of 1."""
    x = F.interpolate(x[None].double(), (height, width), mode="bilinear", align_corners=False)[0]
    x = x - x.mean((1, 2), keepdim=True)
    return x / x.square().sum(0).mean().sqrt().clamp_min(1e-12)
