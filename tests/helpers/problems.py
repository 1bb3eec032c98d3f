"""Small sub-problems for tests."""

import torch

from toykit import PADDING, UNLABELLED


def tiny(seed, classes, height, width, contrast=1.0):
    """Return random (logits, image, seeds): about one pixel in five is a seed, one in ten is padding."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(1, classes, height, width, generator=g, dtype=torch.float64) * contrast
    image = torch.rand(1, 3, height, width, generator=g, dtype=torch.float64) * 20
    seeds = torch.randint(0, classes, (1, height, width), generator=g)
    chance = torch.rand(seeds.shape, generator=g)
    seeds = seeds.where(chance < 0.2, UNLABELLED).where(chance < 0.9, PADDING)
    return logits, image, seeds


def make_problem(batch=2, classes=3, height=6, width=7, dtype=torch.float64, seed=0, padding=False):
    """Return noisy logits, a smooth image in 0..255, and seeds: one pixel in six labelled, the others unlabelled."""
    g = torch.Generator().manual_seed(seed)
    logits = torch.randn(batch, classes, height, width, generator=g, dtype=torch.float64) * 2
    coarse = torch.rand(batch, 3, 3, 3, generator=g, dtype=torch.float64) * 120
    image = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    image = image + 4 * torch.rand(image.shape, generator=g, dtype=torch.float64)
    seeds = torch.randint(0, classes, (batch, height, width), generator=g)
    keep = torch.rand(seeds.shape, generator=g) < 1 / 6
    seeds = seeds.where(keep, UNLABELLED)
    if padding:
        seeds[:, -1], seeds[:, :, -1] = PADDING, PADDING
    return logits.to(dtype), image.to(dtype), seeds
