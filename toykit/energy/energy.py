"""The self-labelling loss, eq. (8), and the weakly-supervised loss, eq. (4): what a solver and a network minimise.

                sum_{i in S} -ln sigma_i^{y_i}  +  eta sum_{i not in S} H(y_i, sigma_i)  +  lam sum_{ij in N} w_ij P(y_i, y_j)
                \\_____ NLL on the seeds _____/     \\_____________________ the sub-problem in y ______________________/

Given the network's predictions sigma, a solver looks for pseudo-labels y (`Subproblem`); given y, the network takes a
step on the whole (`Energy.self_labeling_loss`). Without y, eq. (4) has the entropy of sigma and the Potts term on sigma
itself (`Energy.weakly_supervised_loss`).

In the sub-problem eta and lam multiply sums, so only their ratio matters. In a network's loss they also weigh the
unlabelled pixels against the seeds, and there eq. (8) can be read in two ways: see `toykit.energy.balance`.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number
from toykit.conventions import PADDING, UNLABELLED, check_inputs, check_present
from toykit.cross_entropy import CROSS_ENTROPIES, entropy
from toykit.energy.balance import network_loss, seed_nll
from toykit.neighborhoods import Edges, NearestNeighbors, Neighborhood
from toykit.potts import RELAXATIONS
from toykit.simplex import one_hot, softmax


@dataclass(frozen=True)
class Energy:
    """A choice of the terms of eq. (8). The defaults are the paper's best on PASCAL VOC (section 3).

    Called as ``energy(y, logits, image, seeds)`` it returns the sub-problem's value at y per image, (B,). The inputs are
    those of `toykit.conventions`; y is (B, K, H, W) in the logits' dtype and is taken as it is, seeds included.

    Parameters
    ----------
    cross_entropy : str, default "CCE"
        H between pseudo-labels and predictions: a key of `toykit.cross_entropy.CROSS_ENTROPIES`.
    relaxation : str, default "CD"
        P between neighbours: a key of `toykit.potts.RELAXATIONS`.
    eta : float, default 0.3
        Weight of the sum over unlabelled pixels, finite and >= 0.
    lam : float, default 6.0
        Weight of the sum over edges, finite and >= 0.
    neighborhood : Neighborhood, default NearestNeighbors()
        Neighbourhood system and affinities: `toykit.NearestNeighbors`, `SparseNonLocal` or `Dense`.

    Raises
    ------
    ValueError
        For an unknown name, a negative or infinite weight, or a relaxation that the neighbourhood does not support
        (`Dense` supports BL and Q only).
    """

    cross_entropy: str = "CCE"
    relaxation: str = "CD"
    eta: float = 0.3
    lam: float = 6.0
    neighborhood: Neighborhood = field(default_factory=NearestNeighbors)

    def __post_init__(self):
        check_choice("cross_entropy", self.cross_entropy, CROSS_ENTROPIES)
        check_choice("relaxation", self.relaxation, RELAXATIONS)
        check_number("eta", self.eta, "[0, inf)")
        check_number("lam", self.lam, "[0, inf)")
        if isinstance(self.neighborhood, type) or not isinstance(self.neighborhood, Neighborhood):
            raise ValueError(f"neighborhood: expected e.g. NearestNeighbors(), got {self.neighborhood!r}")
        self.neighborhood.check_relaxation(self.relaxation)

    def __call__(self, y: Tensor, logits: Tensor, image: Tensor, seeds: Tensor) -> Tensor:
        return self.subproblem(logits, image, seeds).value(y)

    def subproblem(self, logits: Tensor, image: Tensor, seeds: Tensor, present: Tensor | None = None) -> "Subproblem":
        """Check the inputs and compute predictions and affinities once, for any solver.

        Parameters
        ----------
        logits, image, seeds : Tensor
            See `toykit.conventions`.
        present : Tensor, bool (B, K), optional
            The classes that labels may take in each image. Default: all.

        Returns
        -------
        Subproblem

        Raises
        ------
        TypeError, ValueError
            See `toykit.conventions.check_inputs` and `check_present`.
        """
        logits, photo, seeds = check_inputs(logits, image, seeds)
        if present is not None:
            present = check_present(present, seeds, logits.shape[1])
        edges = self.neighborhood.edges(photo, seeds == PADDING)
        return Subproblem(self, logits, image, seeds, softmax(logits), edges, present)

    def self_labeling_loss(self, y: Tensor, logits: Tensor, image: Tensor, seeds: Tensor) -> Tensor:
        """Compute eq. (8) as a network's loss, a scalar, at given pseudo-labels y. No gradient passes through y."""
        return self.subproblem(logits, image, seeds).self_labeling_loss(y)

    def weakly_supervised_loss(self, logits: Tensor, image: Tensor, seeds: Tensor, decisiveness: bool = True) -> Tensor:
        """Compute eq. (4) as a network's loss, a scalar, for direct gradient descent.

        It has the entropy of sigma and the Potts term on sigma itself; `cross_entropy` has no effect. With eta = lam = 0 it is
        the NLL (3) on the seeds.

        Parameters
        ----------
        logits, image, seeds : Tensor
            See `toykit.conventions`.
        decisiveness : bool, default True
            Whether the entropy term is included. Without it, the loss is a regularised loss as peers use it (Tang et al. 2018).
        """
        problem = self.subproblem(logits, image, seeds)
        return problem.network_loss(problem.weakly_supervised(decisiveness))


@dataclass(frozen=True)
class Subproblem:
    """Eq. (8) in y for given predictions: checked inputs, and everything that does not depend on y.

    Parameters
    ----------
    energy : Energy
    logits : Tensor, float (B, K, H, W)
    image : Tensor, float (B, C, H, W)
        As it was given.
    seeds : Tensor, int64 (B, H, W)
    sigma : Tensor, float (B, K, H, W)
        The softmax of the logits.
    edges : Edges
        The neighbourhood's.
    present : Tensor, bool (B, K), optional
        The classes that y may take in each image. Default: all. `toykit.solvers.solve_problem` applies it.
    """

    energy: Energy
    logits: Tensor
    image: Tensor
    seeds: Tensor
    sigma: Tensor
    edges: Edges
    present: Tensor | None = None

    @cached_property
    def unlabelled(self) -> Tensor:
        """Pixels without a seed, bool (B, H, W)."""
        return self.seeds == UNLABELLED

    @cached_property
    def padding(self) -> Tensor:
        """Pixels outside the image, bool (B, H, W)."""
        return self.seeds == PADDING

    @cached_property
    def is_seed(self) -> Tensor:
        """Pixels with a seed, bool (B, H, W)."""
        return ~(self.unlabelled | self.padding)

    @cached_property
    def vertices(self) -> Tensor:
        """The seeds' labels as vertices of the simplex (B, K, H, W); class 0's elsewhere."""
        return one_hot(self.seeds.where(self.is_seed, 0), self.sigma.shape[1], dtype=self.sigma.dtype)

    def __getitem__(self, images: slice | Tensor) -> "Subproblem":
        """Return the sub-problem of some images: a slice, which shares memory, or their int64 indices (n,)."""
        logits, image, seeds, sigma = (x[images] for x in (self.logits, self.image, self.seeds, self.sigma))
        present = None if self.present is None else self.present[images]
        return Subproblem(self.energy, logits, image, seeds, sigma, self.edges[images], present)

    def restrict(self, classes: Tensor) -> "Subproblem":
        """Return the sub-problem on some classes of each image, with the predictions given that no other occurs.

        These are sigma^k over their sum: the softmax of the logits that remain.

        Parameters
        ----------
        classes : Tensor, int64 (B, k)
            At least two classes of each image in rising order, those of its seeds among them.
        """
        number = self.seeds.new_zeros(self.sigma.shape[:2])
        number.scatter_(1, classes, torch.arange(classes.shape[1], device=classes.device).expand_as(classes))
        logits = select(self.logits, classes)
        numbered = number.gather(1, self.seeds.where(self.is_seed, 0).flatten(1)).view_as(self.seeds)
        seeds = torch.where(self.is_seed, numbered, self.seeds)
        return Subproblem(self.energy, logits, self.image, seeds, softmax(logits), self.edges)

    def detach(self) -> "Subproblem":
        """Return the sub-problem detached from the network's autograd graph."""
        return replace(self, logits=self.logits.detach(), sigma=self.sigma.detach())

    def double(self) -> "Subproblem":
        """Return the sub-problem in float64, affinities recomputed: those of steep edges are zero in float32."""
        if self.sigma.dtype == torch.float64:
            return self
        logits, image = self.logits.double(), self.image.double()
        edges = self.energy.neighborhood.edges(image, self.padding)
        return replace(self, logits=logits, sigma=softmax(logits), edges=edges)

    def value(self, y: Tensor) -> Tensor:
        """Compute eta sum_{i not in S} H(y_i, sigma_i) + lam sum_{ij in N} w_ij P(y_i, y_j) per image: (B,)."""
        return self.energy.eta * self.unary(y) + self.energy.lam * self.pairwise(y)

    def unary(self, y: Tensor) -> Tensor:
        """Compute sum_{i not in S} H(y_i, sigma_i) per image: (B,)."""
        return self.sum_unlabelled(self._unaries(y))

    def _unaries(self, y: Tensor) -> Tensor:
        """Compute H(y_i, sigma_i) at each pixel: (B, H, W).

        RCE is infinite where y^k = 0 < sigma^k, as for every absent class: there it takes the predictions given the classes
        present, as solvers do.
        """
        self.check_labels(y)
        sigma = self.sigma
        if self.energy.cross_entropy == "RCE" and self.present is not None:
            sigma = self.logits.masked_fill(~self.present[:, :, None, None], -torch.inf).softmax(1)
        return CROSS_ENTROPIES[self.energy.cross_entropy](y, sigma)

    def pairwise(self, y: Tensor) -> Tensor:
        """Compute sum_{ij in N} w_ij P(y_i, y_j) per image: (B,). Edges between two seeds count (a constant in y)."""
        self.check_labels(y)
        return self.edges.potts(y, RELAXATIONS[self.energy.relaxation])

    def constant(self) -> Tensor:
        """Compute the part of `value` that is constant in y, lam times the Potts term between seeds, per image: (B,)."""
        relaxation = RELAXATIONS[self.energy.relaxation]
        one, other = torch.eye(2, dtype=self.sigma.dtype, device=self.sigma.device)[:, None]
        same, different = relaxation(one, one), relaxation(one, other)  # only these two values occur at vertices
        equal, cut = self.edges.weight_by_agreement(self.seeds, self.is_seed)
        return self.energy.lam * (same * equal + different * cut)

    def fix_seeds(self, y: Tensor) -> Tensor:
        """Return y with the ground truth's vertex at each seed, and the prediction, which is never read, in the padding."""
        y = torch.where(self.is_seed[:, None], self.vertices, y)
        return torch.where(self.padding[:, None], self.sigma, y) if self.padding.any() else y

    def sum_unlabelled(self, values: Tensor) -> Tensor:
        """Sum values (B, H, W) over the unlabelled pixels, per image: (B,)."""
        return values.where(self.unlabelled, 0).flatten(1).sum(1)

    def self_labeling_loss(self, y: Tensor, value: Tensor | None = None) -> Tensor:
        """Compute eq. (8) as a network's loss, a scalar; y and value as for `self_labeling`."""
        return self.network_loss(self.self_labeling(y, value))

    def self_labeling(self, y: Tensor, value: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
        """Compute the sums of eq. (8) over unlabelled pixels and edges, per image: (B,).

        Parameters
        ----------
        y : Tensor, float (B, K, H, W)
            Pseudo-labels. No gradient passes through them.
        value : Tensor, float (B,), optional
            The sub-problem's value at y, if a solver has computed it. Saves the Potts term, which has no gradient here.
        weights : Tensor, float (B, H, W), optional
            A factor for each pixel's cross-entropy. Default: 1.
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
        """Compute the sums of eq. (4) over unlabelled pixels and edges per image, (B,); entropy only with `decisiveness`."""
        potts = self.energy.lam * self.pairwise(self.sigma)
        return potts + self.energy.eta * self.sum_unlabelled(entropy(self.sigma)) if decisiveness else potts

    def network_loss(self, unsupervised: Tensor) -> Tensor:
        """Add the NLL (3) on the seeds to the unsupervised sums (B,), each term divided by its own pixel count: a scalar."""
        seeds, unlabelled = (mask.flatten(1).sum(1) for mask in (self.is_seed, self.unlabelled))
        return network_loss(seed_nll(self.logits, self.seeds), unsupervised, seeds, unlabelled)

    def check_labels(self, y: Tensor, name: str = "y") -> None:
        """Raise ValueError unless labels have the predictions' shape, dtype and device."""
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
