"""A mixture of Gaussians and one uniform component per class, fitted to weighted points by expectation-maximisation (EM).

The density of a point f under a class is

    p(f) = (1 - OUTLIERS) sum_m pi_m N(f; mu_m, Sigma_m)  +  OUTLIERS,

the last term being the uniform density on a box of volume 1. Far from all Gaussians every class has the same density, so
Bayes' rule returns no opinion there instead of a confident extrapolation.

Each covariance has an inverse-Wishart prior whose scale is the class's own pooled covariance. With it, one EM step never raises

    loss = - sum_i w_i ln p(f_i)  +  STRENGTH / 2  sum_m (ln |Sigma_m| + tr(Sigma_m^-1 prior)),

for any weights w_i >= 0 (Dempster, Laird and Rubin 1977). scikit-learn's GaussianMixture takes no weights and no such prior.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

#: Share of the uniform component.
OUTLIERS = 0.5
#: Weight of the prior on each covariance, in points.
STRENGTH = 10.0
#: Standard deviation that the prior adds to every feature: a stroke of one shade must match similar shades, too.
NOISE = 0.02
#: Share of the pooled covariance in the prior.
POOLED = 0.1
#: Largest number of EM steps of `fit`, and the share of the loss below which it stops.
STEPS, TOLERANCE = 25, 1e-4


@dataclass(frozen=True)
class Mixture:
    """A mixture of M Gaussians in F dimensions and a uniform component.

    Parameters
    ----------
    shares : Tensor, float64 (M,)
        pi_m; sum 1.
    means : Tensor, float64 (M, F)
    covariances : Tensor, float64 (M, F, F)
    prior : Tensor, float64 (F, F)
        The covariance that the prior prefers.
    """

    shares: Tensor
    means: Tensor
    covariances: Tensor
    prior: Tensor

    def log_components(self, points: Tensor) -> Tensor:
        """Compute the weighted log-density of each Gaussian at points (N, F): float64 (N, M)."""
        root = torch.linalg.cholesky(self.covariances)
        inverse = torch.linalg.solve_triangular(root, torch.eye(points.shape[1]).to(root), upper=False)
        whitened = inverse @ points.T - inverse @ self.means[..., None]  # faster than solving for each point
        constant = root.diagonal(dim1=1, dim2=2).log().sum(1) + points.shape[1] / 2 * math.log(2 * math.pi)
        shares = (self.shares * (1 - OUTLIERS)).clamp_min(torch.finfo(points.dtype).tiny).log()
        return ((shares - constant)[:, None] - whitened.square().sum(1) / 2).T

    def log_density(self, points: Tensor) -> Tensor:
        """Compute ln p at points (N, F): float64 (N,)."""
        return _with_outliers(self.log_components(points))

    def step(self, points: Tensor, weights: Tensor) -> Mixture:
        """Take one EM step on points (N, F) with weights (N,). It never raises `loss`."""
        components = self.log_components(points)
        shares = (components - _with_outliers(components)[:, None]).exp() * weights[:, None]
        counts = shares.sum(0)
        means = torch.where(counts[:, None] > 0, (shares.T @ points) / counts.clamp_min(1e-12)[:, None], self.means)
        centred = points - means[:, None]
        scatter = (shares.T[..., None] * centred).mT @ centred
        covariances = (scatter + STRENGTH * self.prior) / (counts + STRENGTH)[:, None, None]
        total = counts.sum()
        return Mixture(counts / total if total > 0 else self.shares, means, covariances, self.prior)

    def penalty(self) -> float:
        """Compute the prior's part of `loss`."""
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(self.covariances))
        return STRENGTH / 2 * float((torch.logdet(self.covariances) + (inverse * self.prior).sum((1, 2))).sum())

    def loss(self, points: Tensor, weights: Tensor) -> float:
        """Compute the loss of this module's first lines."""
        return -float(weights @ self.log_density(points)) + self.penalty()


def _with_outliers(components: Tensor) -> Tensor:
    """Return ln p from the weighted log-densities of the Gaussians (N, M): float64 (N,)."""
    return torch.logaddexp(components.logsumexp(1), components.new_tensor(math.log(OUTLIERS)))


def fit(points: Tensor, components: tuple[int, ...] = (1, 2, 4, 8)) -> Mixture:
    """Fit a mixture to points, with the number of Gaussians that Schwarz's criterion (BIC) prefers.

    Parameters
    ----------
    points : Tensor, float64 (N, F)
        At least one point.
    components : tuple of int
        Numbers of Gaussians to try; those above N are left out.

    Returns
    -------
    Mixture
        The start is deterministic: means on points that are far from each other.
    """
    count, dimension = points.shape
    centred = points - points.mean(0)
    prior = POOLED * centred.T @ centred / count + NOISE**2 * torch.eye(dimension, dtype=points.dtype)
    weights = points.new_ones(count)
    best, lowest = None, math.inf
    for number in components:
        if number > count:
            break
        mixture = _start(points, number, prior)
        loss = mixture.loss(points, weights)
        for _ in range(STEPS):
            mixture, last = mixture.step(points, weights), loss
            loss = mixture.loss(points, weights)
            if last - loss <= TOLERANCE * abs(last):
                break
        parameters = number * (1 + dimension + dimension * (dimension + 1) / 2) - 1
        criterion = -2 * float(mixture.log_density(points).sum()) + parameters * math.log(count)
        if criterion < lowest:
            best, lowest = mixture, criterion
    assert best is not None
    return best


def _start(points: Tensor, number: int, prior: Tensor) -> Mixture:
    """Place each mean on the point farthest from the others, then average the points nearest to each."""
    chosen = [int((points - points.mean(0)).square().sum(1).argmin())]
    distance = points.new_full((len(points),), math.inf)
    for _ in range(number - 1):
        distance = torch.minimum(distance, (points - points[chosen[-1]]).square().sum(1))
        chosen.append(int(distance.argmax()))
    means, nearest = points[chosen], torch.zeros(len(points), dtype=torch.long, device=points.device)
    for _ in range(5):  # k-means: farthest points are outliers
        nearest = torch.cdist(points, means).argmin(1)
        counts = torch.bincount(nearest, minlength=number)
        sums = torch.zeros_like(means).index_add_(0, nearest, points)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], means)
    shares = points.new_full((number,), 1 / number)
    spread = (points - means[nearest]).T @ (points - means[nearest]) / len(points) + prior
    return Mixture(shares, means, spread.expand(number, -1, -1).clone(), prior)
