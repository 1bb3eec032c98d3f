"""Training under label noise (Fig. 3 d): which cross-entropy tolerates wrong labels?

The caption's protocol: ResNet-18; a share eta of the training images gets a wrong label; all losses see soft targets
eta * u + (1 - eta) * y, the mixture of the observed, perhaps wrong one-hot label y and the uniform distribution u
(`toykit.simplex.mix_with_uniform`); accuracy is measured on clean test images. "Replaced by a random label" is read as:
by one of the other K - 1 classes. `toykit.experiments.label_noise_training` trains a network,
`toykit sweep fig3d` the grid.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number, check_whole
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.simplex import mix_with_uniform, one_hot, softmax


@dataclass(frozen=True)
class Settings:
    """One network: its cross-entropy, its labels, its images, and how it is trained.

    Parameters
    ----------
    loss : str, default "CCE"
        Name in `toykit.cross_entropy.CROSS_ENTROPIES`.
    noise : float, default 0.0
        Share eta of wrong labels, in [0, 1].
    seed : int, default 0
        It draws the initial weights, the order of the images, their shifts and flips, and the wrong labels.
    epochs : int, default 8
        Passes over the training images.
    batch : int, default 64
        Images per step, at least 2.
    lr : float, default 1e-3
        Peak of Adam's learning rate. The rate rises for a fifth of the steps and then falls like a cosine to 0.
    shift : int, default 4
        Largest random shift of an image, in pixels.
    bfloat16 : bool, default False
        Train in mixed precision, for CPUs that support it.
    stages : int, default 4
        Number of ResNet-18's four stages that the network keeps, counted from the input. The later stages hold most of
        the weights, and see one or two pixels of a very small image.
    side : int, default 40
        Height and width of the images in pixels, at least 8.
    train_per_class, test_per_class : int, default 500 and 100
        Images per class to train on, and clean ones to test on.
    source : {"photos", "generated"}
        Natural Scenes, the default, or textures, see `toykit.datasets.scenes`.

    Raises
    ------
    ValueError
        For a value outside these ranges, or an unknown loss.
    """

    loss: str = "CCE"
    noise: float = 0.0
    seed: int = 0
    epochs: int = 8
    batch: int = 64
    lr: float = 1e-3
    shift: int = 4
    bfloat16: bool = False
    stages: int = 4
    side: int = 40
    train_per_class: int = 500
    test_per_class: int = 100
    source: str = "photos"

    def __post_init__(self):
        check_choice("loss", self.loss, CROSS_ENTROPIES)
        check_number("noise", self.noise, "[0, 1]")
        least = {"seed": 0, "epochs": 1, "batch": 2, "shift": 0, "stages": 1, "side": 8}
        for name, smallest in (least | {"train_per_class": 1, "test_per_class": 1}).items():
            check_whole(name, getattr(self, name), smallest)
        check_choice("stages", self.stages, range(1, 5))
        check_number("lr", self.lr, "(0, inf)")
        check_choice("source", self.source, ("photos", "generated"))


@dataclass(frozen=True)
class Cell:
    """The result of one training run.

    Parameters
    ----------
    loss : str
        Name of the cross-entropy.
    noise : float
        Share eta of wrong labels, in [0, 1].
    seed : int
        Seed of the run.
    accuracies : tuple of float
        Accuracy on the clean test images after each epoch, in [0, 1].
    confidence : float
        Mean over the test images of the largest predicted probability after the last epoch.
    """

    loss: str
    noise: float
    seed: int
    accuracies: tuple[float, ...]
    confidence: float

    @property
    def accuracy(self) -> float:
        """Accuracy after the last epoch. No epoch is chosen by its test accuracy."""
        return self.accuracies[-1]


def corrupt(labels: Tensor, share: float, num_classes: int, generator: torch.Generator) -> Tensor:
    """Replace a share of the labels by another class, drawn uniformly from the other K - 1 classes.

    Parameters
    ----------
    labels : Tensor, int64 (N,)
        Class ids, 0..K-1. They are not changed.
    share : float
        Share of wrong labels, in [0, 1]: round(share * N) labels are replaced.
    num_classes : int
        Number K of classes.
    generator : torch.Generator
        Source of randomness. From one state of it, the wrong labels of a smaller share are among those of a larger one.

    Returns
    -------
    Tensor, int64 (N,)
        The labels with the replacements.
    """
    wrong = torch.randperm(len(labels), generator=generator)[: round(share * len(labels))]
    other = torch.randint(1, num_classes, labels.shape, generator=generator)
    corrupted = labels.clone()
    corrupted[wrong] = (labels[wrong] + other[wrong]) % num_classes
    return corrupted


def targets(observed: Tensor, eta: float, num_classes: int) -> Tensor:
    """Return the caption's soft targets, eta * u + (1 - eta) * y.

    Parameters
    ----------
    observed : Tensor, int64 (N,)
        Observed labels, some of them wrong.
    eta : float
        Weight of the uniform distribution u, in [0, 1].
    num_classes : int
        Number K of classes.

    Returns
    -------
    Tensor, float32 (N, K)
        One distribution per label.
    """
    return mix_with_uniform(one_hot(observed, num_classes), eta)


def pull(loss: str, eta: float, sure: float, num_classes: int = 6) -> float:
    """Return how hard one image pulls on the logit l of its observed class: -dH/dl, in float64.

    Parameters
    ----------
    loss : str
        Name in `toykit.cross_entropy.CROSS_ENTROPIES`.
    eta : float
        Share of wrong labels that the soft target assumes, in [0, 1].
    sure : float
        Probability that the network gives to the observed class, strictly between 0 and 1. The other classes share the
        rest evenly.
    num_classes : int, default 6
        Number K of classes.

    Returns
    -------
    float
        The negative derivative. It is positive where the loss raises the probability of the observed class.

    Raises
    ------
    ValueError
        If `sure` is not strictly between 0 and 1.
    """
    check_number("sure", sure, "(0, 1)")
    sigma = torch.full((1, num_classes), (1 - sure) / (num_classes - 1), dtype=torch.float64)
    sigma[0, 0] = sure
    with torch.enable_grad():
        logits = sigma.log().requires_grad_()
        soft = targets(torch.tensor([0]), eta, num_classes).double()
        (gradient,) = torch.autograd.grad(CROSS_ENTROPIES[loss](soft, softmax(logits)).sum(), logits)
    return -float(gradient[0, 0])


def interval(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float]:
    """Return the mean and the half-width of Student's t interval for the mean.

    Parameters
    ----------
    values : sequence of float
        At least one value.
    confidence : float, default 0.95
        Probability that the interval covers the mean, strictly between 0 and 1.

    Returns
    -------
    mean : float
        Mean of the values.
    half_width : float
        Half the width of the interval; NaN for a single value.

    Raises
    ------
    ValueError
        If there are no values, or for another `confidence`.
    """
    from scipy import stats

    if not values or not 0 < confidence < 1:
        raise ValueError(f"expected values and a confidence in (0, 1), got {len(values)} values and {confidence}")
    x = torch.tensor(values, dtype=torch.float64)
    if len(values) == 1:
        return float(x), math.nan
    return float(x.mean()), float(stats.t.ppf((1 + confidence) / 2, len(values) - 1) * x.std() / math.sqrt(len(values)))
