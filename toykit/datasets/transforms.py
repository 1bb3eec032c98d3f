"""Augmentation of a photo together with its seeds and mask, decided by one generator."""

import numpy as np
import torch
from torch import Tensor

from toykit.conventions import PADDING
from toykit.datasets.layout import VOID
from toykit.datasets.sample import Sample


def augment(
    sample: Sample,
    crop: int,
    generator: torch.Generator,
    scale: tuple[float, float] = (0.5, 2.0),
    flip: bool = True,
) -> tuple[Tensor, Tensor, Tensor]:
    """A random square cut from the photo at a random scale, perhaps mirrored.

    crop: side in pixels. scale: range of the factor, drawn uniformly. flip: mirror left and right half of the time.
    A photo that is smaller is padded at the right and at the bottom: with its mean colour, seeds 254, mask 255.
    Returns image float32 (3, crop, crop) in 0..255, seeds int64 (crop, crop) and mask int64 (crop, crop), all 255 where
    the sample has none. A crop without any seed is fine. Raises: ValueError for a crop below 1 or a bad range.
    """
    from torchvision import tv_tensors
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2 import functional as F

    if crop < 1 or not 0 < scale[0] <= scale[1]:
        raise ValueError(f"augment: expected crop >= 1 and 0 < scale[0] <= scale[1], got {crop} and {scale}")
    factor, mirror, down, right = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    factor = scale[0] + factor * (scale[1] - scale[0])
    height, width = sample.seeds.shape
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    truth = np.full_like(sample.seeds, VOID) if sample.mask is None else sample.mask
    image = tv_tensors.Image(torch.from_numpy(np.array(sample.image)).permute(2, 0, 1).float())
    mean = image.mean((1, 2)).tolist()
    labels = tv_tensors.Mask(torch.from_numpy(np.stack([sample.seeds, truth])).long())
    image = F.resize(image, size, InterpolationMode.BILINEAR, antialias=True)
    labels = F.resize(labels, size, InterpolationMode.NEAREST_EXACT)
    if flip and mirror < 0.5:
        image, labels = F.horizontal_flip(image), F.horizontal_flip(labels)
    missing = [max(0, crop - side) for side in size]
    beside = [0, 0, missing[1], missing[0]]
    image = F.pad(image, beside, mean)
    seeds, mask = F.pad(labels[:1], beside, PADDING), F.pad(labels[1:], beside, VOID)
    top, left = (int(share * (max(side, crop) - crop + 1)) for share, side in zip((down, right), size, strict=True))
    image, seeds, mask = (F.crop(t, top, left, crop, crop).as_subclass(Tensor) for t in (image, seeds, mask))
    return image.clamp(0, 255).contiguous(), seeds[0].contiguous(), mask[0].contiguous()
