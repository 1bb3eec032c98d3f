"""The self-labelling loss, eq. (8), and the weakly-supervised loss, eq. (4): what a solver and a network minimise.

                sum_{i in S} -ln sigma_i^{y_i}  +  eta sum_{i not in S} H(y_i, sigma_i)  +  lam sum_{ij in N} w_ij P(y_i, y_j)
                \\_____ NLL on the seeds _____/     \\_____________________ the sub-problem in y ______________________/

Given the network's predictions sigma, a solver looks for pseudo-labels y (`Subproblem`); given y, the network takes a
step on the whole (`Energy.self_labeling_loss`). Without y, eq. (4) has the entropy of sigma and the Potts term on sigma
itself (`Energy.weakly_supervised_loss`).

In the sub-problem eta and lam multiply sums, so only their ratio matters. In a network's loss they also weigh the
unlabelled pixels against the seeds, and there eq. (8) can be read in two ways: see `toykit.energy.balance`.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from numbers import Real

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.conventions import PADDING, UNLABELLED, check_inputs, check_present
from toykit.cross_entropy import CROSS_ENTROPIES, entropy
from toykit.energy.balance import network_loss, seed_nll
from toykit.neighborhoods import Dense, Edges, NearestNeighbors, SparseNonLocal
from toykit.potts import RELAXATIONS
from toykit.simplex import one_hot, softmax


@dataclass(frozen=True)
class Energy:
    """A choice of the terms of eq. (8). Defaults are the paper's best on PASCAL VOC (section 3).

    cross_entropy: H between pseudo-labels and predictions: a key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    relaxation: P between neighbours: a key of `toykit.potts.RELAXATIONS`.
    eta, lam: weights of the two sums, finite and >= 0.
    neighborhood: the neighbourhood system and its affinities: `toykit.NearestNeighbors`, `SparseNonLocal` or `Dense`.

    Called as ``energy(y, logits, image, seeds)`` it returns the sub-problem's value at y, per image: (B,). The inputs
    are those of `toykit.conventions`; y is (B, K, H, W) in the logits' dtype and is taken as it is, seeds included.

    Raises: ValueError for an unknown name, a negative or infinite weight, or a relaxation that the neighbourhood cannot
        serve (`Dense`: BL and Q only).
    """

    cross_entropy: str = "CCE"
    relaxation: str = "CD"
    eta: float = 0.3
    lam: float = 6.0
    neighborhood: NearestNeighbors | SparseNonLocal | Dense = field(default_factory=NearestNeighbors)

    def __post_init__(self):
        check_choice("cross_entropy", self.cross_entropy, CROSS_ENTROPIES)
        check_choice("relaxation", self.relaxation, RELAXATIONS)
        for name in ("eta", "lam"):
            value = getattr(self, name)
            if not isinstance(value, Real) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise ValueError(f"{name}: expected a finite number >= 0, got {value!r}")
        if isinstance(self.neighborhood, type) or not hasattr(self.neighborhood, "edges"):
            raise ValueError(f"neighborhood: expected e.g. NearestNeighbors(), got {self.neighborhood!r}")
        if isinstance(self.neighborhood, Dense):
            self.neighborhood.check_relaxation(self.relaxation)

    def __call__(self, y: Tensor, logits: Tensor, image: Tensor, seeds: Tensor) -> Tensor:
        return self.subproblem(logits, image, seeds).value(y)

    def subproblem(self, logits: Tensor, image: Tensor, seeds: Tensor, present: Tensor | None = None) -> "Subproblem":
        """Check the inputs, compute predictions and affinities once: what every solver works on.

        present: bool (B, K), the classes that labels may take in each image; default all.
        Raises: TypeError or ValueError, see `toykit.conventions.check_inputs` and `check_present`.
        """
        logits, photo, seeds = check_inputs(logits, image, seeds)
        if present is not None:
            present = check_present(present, seeds, logits.shape[1])
        edges = self.neighborhood.edges(photo, seeds == PADDING)
        return Subproblem(self, logits, image, seeds, softmax(logits), edges, present)

    def self_labeling_loss(self, y: Tensor, logits: Tensor, image: Tensor, seeds: Tensor) -> Tensor:
        """Eq. (8) as a network's loss, a scalar, at given pseudo-labels y (through which no gradient passes)."""
        return self.subproblem(logits, image, seeds).self_labeling_loss(y)

    def weakly_supervised_loss(self, logits: Tensor, image: Tensor, seeds: Tensor, decisiveness: bool = True) -> Tensor:
        """Eq. (4) as a network's loss, a scalar, for direct gradient descent: entropy and Potts term on sigma itself.

        The choice of `cross_entropy` plays no part in it. With eta = lam = 0 it is the NLL (3) on the seeds.
        decisiveness: whether the entropy term is there; without it, a regularised loss as peers descend it (Tang et al. 2018).
        """
        problem = self.subproblem(logits, image, seeds)
        return problem.network_loss(problem.weakly_supervised(decisiveness))


@dataclass(frozen=True)
class Subproblem:
    """Eq. (8) in y for given predictions: checked inputs and all that does not depend on y.

    logits, sigma: (B, K, H, W); image: (B, 3, H, W) as it was given; seeds: int64 (B, H, W); edges: the neighbourhood's;
    present: bool (B, K), the classes that y may take in each image, or None: all. `toykit.solvers.solve_problem` applies it.
    """

    energy: Energy
    logits: Tensor
    image: Tensor
    seeds: Tensor
    sigma: Tensor
    edges: Edges
    present: Tensor | None = None

    def __post_init__(self):
        unlabelled, padding = self.seeds == UNLABELLED, self.seeds == PADDING
        for name, value in {"unlabelled": unlabelled, "padding": padding, "is_seed": ~(unlabelled | padding)}.items():
            object.__setattr__(self, name, value)

    @cached_property
    def vertices(self) -> Tensor:
        """The seeds' labels as vertices of the simplex (B, K, H, W); class 0's elsewhere."""
        return one_hot(self.seeds.where(self.is_seed, 0), self.sigma.shape[1], dtype=self.sigma.dtype)

    def __getitem__(self, images: slice | Tensor) -> "Subproblem":
        """The sub-problem of some of the batch's images: a slice, which shares memory, or their int64 indices (n,)."""
        parts = (x[images] for x in (self.logits, self.image, self.seeds, self.sigma, self.edges))
        return Subproblem(self.energy, *parts, None if self.present is None else self.present[images])

    def restrict(self, classes: Tensor) -> "Subproblem":
        """The sub-problem on at least two classes of each image, int64 (B, k) in rising order, with predictions given these.

        Predictions are conditioned: sigma^k over their sum, the softmax of the logits that remain. All seeds must be of
        these classes.
        """
        number = self.seeds.new_zeros(self.sigma.shape[:2])
        number.scatter_(1, classes, torch.arange(classes.shape[1], device=classes.device).expand_as(classes))
        logits = select(self.logits, classes)
        numbered = number.gather(1, self.seeds.where(self.is_seed, 0).flatten(1)).view_as(self.seeds)
        seeds = torch.where(self.is_seed, numbered, self.seeds)
        return Subproblem(self.energy, logits, self.image, seeds, softmax(logits), self.edges)

    def detach(self) -> "Subproblem":
        """The same, detached from the network's autograd graph."""
        return replace(self, logits=self.logits.detach(), sigma=self.sigma.detach())

    def double(self) -> "Subproblem":
        """The same in float64, from the photo on: affinities of steep edges are zero in float32."""
        if self.sigma.dtype == torch.float64:
            return self
        logits, image = self.logits.double(), self.image.double()
        edges = self.energy.neighborhood.edges(image, self.padding)
        return replace(self, logits=logits, sigma=softmax(logits), edges=edges)

    def value(self, y: Tensor) -> Tensor:
        """eta sum_{i not in S} H(y_i, sigma_i) + lam sum_{ij in N} w_ij P(y_i, y_j), per image: (B,)."""
        return self.energy.eta * self.unary(y) + self.energy.lam * self.pairwise(y)

    def unary(self, y: Tensor) -> Tensor:
        """sum_{i not in S} H(y_i, sigma_i), per image: (B,)."""
        return self.sum_unlabelled(self._unaries(y))

    def _unaries(self, y: Tensor) -> Tensor:
        """H(y_i, sigma_i) at each pixel: (B, H, W).

        RCE is infinite where y^k = 0 < sigma^k, as for every absent class: there it takes the predictions given the classes
        present, as solvers do.
        """
        self.check_labels(y)
        sigma = self.sigma
        if self.energy.cross_entropy == "RCE" and self.present is not None:
            sigma = self.logits.masked_fill(~self.present[:, :, None, None], -torch.inf).softmax(1)
        return CROSS_ENTROPIES[self.energy.cross_entropy](y, sigma)

    def pairwise(self, y: Tensor) -> Tensor:
        """sum_{ij in N} w_ij P(y_i, y_j), per image: (B,). Edges between two seeds count (a constant in y)."""
        self.check_labels(y)
        return self.edges.potts(y, RELAXATIONS[self.energy.relaxation])

    def constant(self) -> Tensor:
        """The part of `value` that no y changes, lam times the Potts term between neighbouring seeds, per image: (B,)."""
        relaxation = RELAXATIONS[self.energy.relaxation]
        one, other = torch.eye(2, dtype=self.sigma.dtype, device=self.sigma.device)[:, None]
        same, different = relaxation(one, one), relaxation(one, other)  # between two vertices it knows no third value
        equal, cut = self.edges.within(self.is_seed).weight_by_agreement(self.seeds)
        return self.energy.lam * (same * equal + different * cut)

    def fix_seeds(self, y: Tensor) -> Tensor:
        """y with the ground truth's vertex on each seed, and the prediction, which nothing reads, on padding."""
        y = torch.where(self.is_seed[:, None], self.vertices, y)
        return torch.where(self.padding[:, None], self.sigma, y) if self.padding.any() else y

    def sum_unlabelled(self, values: Tensor) -> Tensor:
        """Sum of (B, H, W) over the unlabelled pixels, per image: (B,)."""
        return values.where(self.unlabelled, 0).flatten(1).sum(1)

    def self_labeling_loss(self, y: Tensor, value: Tensor | None = None) -> Tensor:
        """Eq. (8) as a network's loss, a scalar, at given pseudo-labels y (through which no gradient passes)."""
        return self.network_loss(self.self_labeling(y, value))

    def self_labeling(self, y: Tensor, value: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """The sums of eq. (8) over unlabelled pixels and edges at given pseudo-labels, per image: (B,).

        No gradient passes through y. value: the sub-problem's value at y (B,), where a solver has found it: saves the Potts
        term, which has no gradient here. weights: (B, H, W), a factor for each pixel's cross-entropy; default 1.
        """
        y = y.detach().to(self.sigma.dtype)
        if value is None:
            value = self.value(y).detach()
        pixels = self._unaries(y)
        unary = self.energy.eta * self.sum_unlabelled(pixels)
        pairwise = (value.to(unary.dtype) - unary).detach()
        if weights is not None:
            unary = self.energy.eta * self.sum_unlabelled(weights * pixels)
        return unary + pairwise

    def weakly_supervised(self, decisiveness: bool = True) -> Tensor:
        """The sums of eq. (4) over unlabelled pixels and edges, per image: (B,); without the entropy unless `decisiveness`."""
        potts = self.energy.lam * self.pairwise(self.sigma)
        return potts + self.energy.eta * self.sum_unlabelled(entropy(self.sigma)) if decisiveness else potts

    def network_loss(self, unsupervised: Tensor) -> Tensor:
        """NLL (3) on the seeds and the unsupervised sums (B,) as a scalar, each term balanced by its own pixel count."""
        counts = (mask.flatten(1).sum(1) for mask in (self.is_seed, self.unlabelled))
        return network_loss(seed_nll(self.logits, self.seeds), unsupervised, *counts)

    def check_labels(self, y: Tensor, name: str = "y") -> None:
        """Raise ValueError for labels of another shape, dtype or device than the predictions'."""
        if y.shape != self.sigma.shape or y.dtype != self.sigma.dtype or y.device != self.sigma.device:
            raise ValueError(
                f"{name}: expected {self.sigma.dtype} {tuple(self.sigma.shape)} on {self.sigma.device} like the "
                f"predictions, got {y.dtype} {tuple(y.shape)} on {y.device}"
            )


def select(x: Tensor, classes: Tensor) -> Tensor:
    """The channels of (B, K, H, W) that belong to some classes of each image, int64 (B, k): (B, k, H, W)."""
    return x.gather(1, at_pixels(classes, x))


def at_pixels(classes: Tensor, x: Tensor) -> Tensor:
    """Classes of each image (B, k) repeated at the pixels of x (B, K, H, W): (B, k, H, W), the index of gather and scatter."""
    return classes[:, :, None, None].expand(-1, -1, *x.shape[2:])
