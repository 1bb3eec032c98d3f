"""Sums over the steps of an epoch, from which its row of the history comes; a checkpoint within the epoch carries them."""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from toykit.conventions import UNLABELLED
from toykit.energy.cells import to_pixels
from toykit.training.evaluation import confusion_matrix, mean_iou, most_likely


@dataclass
class Tally:
    """confusion: of pseudo-labels against masks, on unlabelled pixels, int64 (K, K). loss: of the steps' whole batches.

    images, seconds, solver_seconds: of this process.
    """

    confusion: Tensor
    loss: float = 0.0
    images: int = 0
    seconds: float = 0.0
    solver_seconds: float = 0.0

    @classmethod
    def empty(cls, num_classes: int, device: torch.device) -> "Tally":
        """Return the statistics of zero steps."""
        return cls(torch.zeros(num_classes, num_classes, dtype=torch.int64, device=device))

    def add(self, loss: float, labels: Tensor | None, seeds: Tensor, mask: Tensor, stride: int = 1) -> None:
        """One step: its loss, and its pseudo-labels, if it has any, against seeds and mask (B, H, W).

        labels: soft, (B, K, h, w) on cells of `stride` pixels; the most likely class at each pixel is judged.
        """
        self.loss += loss
        self.images += len(seeds)
        if labels is not None:
            judged = mask.where(seeds == UNLABELLED, UNLABELLED)
            for own, target in zip(labels, judged, strict=True):
                shown = own.flatten(1).any(1).nonzero()[:, 0]  # the classes of this image: few, where they are limited
                winner = most_likely(to_pixels(own[None, shown], target.shape, stride)[0])
                self.confusion += confusion_matrix(shown[winner], target, len(self.confusion))

    def total(self, fabric) -> "Tally":
        """Return the counts summed over all processes, on each of them."""
        images = fabric.all_reduce(torch.tensor(self.images, device=fabric.device), reduce_op="sum")
        confusion = fabric.all_reduce(self.confusion.clone(), reduce_op="sum")
        return replace(self, confusion=confusion, images=int(images))

    @property
    def images_per_second(self) -> float:
        """Of this process, or after `total` of all."""
        return self.images / self.seconds

    @property
    def solver_share(self) -> float:
        """Of the steps' time, in [0, 1]."""
        return self.solver_seconds / self.seconds

    def row(self, steps: int) -> dict:
        """The epoch's numbers, after `total`."""
        return {
            "loss": self.loss / steps,
            "label_miou": number(mean_iou(self.confusion)),
            "images_per_second": self.images_per_second,
            "solver_share": self.solver_share,
        }


def number(value: float) -> float | None:
    """A number as JSON knows it: None for NaN."""
    return None if math.isnan(value) else value
