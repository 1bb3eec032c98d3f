"""Sizes and generated sub-problems of `toykit.bench.gpu`."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate, one_hot

from toykit.bench.problems import Inputs
from toykit.conventions import UNLABELLED


@dataclass(frozen=True)
class Scale:
    """Sizes of the measurements.

    Attributes
    ----------
    images, classes, size : int
        Batch, number of classes, and side of the photos in pixels.
    step_size : int
        Side of the crops of the training step.
    repeats : int
        Number of calls of which the fastest counts.
    """

    images: int
    classes: int
    size: int
    step_size: int
    repeats: int


def generated(count: int, height: int, width: int, classes: int, device: torch.device) -> Inputs:
    """Generate sub-problems that resemble photos: regions with a colour of their own, sparse seeds, noisy predictions.

    Parameters
    ----------
    count, height, width, classes : int
        Number of images, their size in pixels, and number of classes.
    device : torch.device
        Where the tensors are returned; they are drawn on the CPU, so that they are the same on each device.

    Returns
    -------
    logits : Tensor, float32 (B, K, H, W)
    image : Tensor, float32 (B, 3, H, W)
        Colours in 0..255.
    seeds : Tensor, int64 (B, H, W)
        One pixel in 50 labelled, 255 elsewhere.
    """
    generator = torch.Generator().manual_seed(0)

    def smooth(channels: int) -> Tensor:
        """Return smooth noise (B, channels, H, W)."""
        return interpolate(torch.randn(count, channels, 8, 8, generator=generator), (height, width), mode="bicubic")

    region = smooth(classes).argmax(1)
    colours = 255 * torch.rand(classes, 3, generator=generator)
    noise = 4 * torch.randn(count, 3, height, width, generator=generator)
    image = (colours[region].movedim(-1, 1) + 10 * smooth(3) + noise).clamp(0, 255)
    logits = 2 * one_hot(region, classes).movedim(-1, 1) + 2 * smooth(classes)
    labelled = torch.rand(count, height, width, generator=generator) < 0.02
    seeds = region.where(labelled, UNLABELLED)
    return logits.float().to(device), image.to(device), seeds.to(device)
