"""Statistics of the steps of an epoch, for its row of the history; a checkpoint within the epoch contains them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from toykit.conventions import UNLABELLED
from toykit.energy.cells import to_pixels
from toykit.simplex import most_likely
from toykit.training.evaluation import confusion_matrix, mean_iou, number

if TYPE_CHECKING:
    from lightning_fabric import Fabric


@dataclass
class Tally:
    """Sums over steps.

    Attributes
    ----------
    confusion : Tensor, int64, shape (K, K)
        Confusion matrix of pseudo-labels against masks, on unlabelled pixels.
    loss : float
        Sum of the losses of the steps, each over the whole batch.
    images : int
        Images of this process.
    seconds, solver_seconds : float
        Time of this process for the steps, and for finding pseudo-labels in them.
    """

    confusion: Tensor
    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0
    solver_seconds: float = 0.0

    @classmethod
    def empty(cls, num_classes: int, device: torch.device) -> Tally:
        """Return the statistics of zero steps."""
        return cls(torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device))

    def add(self, loss: float, labels: Tensor | None, seeds: Tensor, mask: Tensor, stride: int = 1) -> None:
        """Add one step.

        Parameters
        ----------
        loss : float
        labels : Tensor, shape (B, K, h, w), or None
            Soft pseudo-labels on cells of `stride` pixels; the most likely class at each pixel is compared with the mask.
        seeds, mask : Tensor, uint8 or int64, shape (B, H, W)
        stride : int, default 1, in pixels
        """
        self.loss += loss
        self.images += len(seeds)
        if labels is not None:
            unlabelled = mask.where(seeds == UNLABELLED, UNLABELLED)
            for own, target in zip(labels, unlabelled, strict=True):
                shown = own.flatten(1).any(1).nonzero()[:, 0]  # the classes of this image: few, where they are limited
                place = most_likely(to_pixels(own[None, shown], target.shape, stride)[0])  # in `shown`
                self.confusion[:, shown] += confusion_matrix(place, target, len(self.confusion))[:, : len(shown)]

    def total(self, fabric: Fabric) -> Tally:
        """Return the counts summed over all processes, on each of them."""
        images = fabric.all_reduce(torch.tensor(self.images, device=fabric.device), reduce_op="sum")
        confusion = fabric.all_reduce(self.confusion.clone(), reduce_op="sum")
        assert isinstance(images, Tensor)
        assert isinstance(confusion, Tensor)
        return replace(self, confusion=confusion, images=int(images))

    @property
    def images_per_second(self) -> float:
        """Images per second of this process, or of all processes after `total`."""
        return self.images / self.seconds

    @property
    def solver_share(self) -> float:
        """Share of the time of the steps that finding pseudo-labels took, in [0, 1]."""
        return self.solver_seconds / self.seconds

    def row(self, steps: int) -> dict:
        """Return the epoch's entries of the history, after `total`; `steps`: how many there were."""
        return {
            "loss": self.loss / steps,
            "label_miou": number(mean_iou(self.confusion)),
            "images_per_second": self.images_per_second,
            "solver_share": self.solver_share,
        }
