"""Augmentation of a photo together with its seeds and mask, decided by one generator."""

import numpy as np
import torch
from torch import Tensor

from toykit._shared.torchvision import torchvision
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
    vision = torchvision()
    F, modes, tv_tensors = vision.transforms.v2.functional, vision.transforms.InterpolationMode, vision.tv_tensors
    if crop < 1 or not 0 < scale[0] <= scale[1]:
        raise ValueError(f"augment: expected crop >= 1 and 0 < scale[0] <= scale[1], got {crop} and {scale}")
    factor, mirror, down, right = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    factor = scale[0] + factor * (scale[1] - scale[0])
    height, width = sample.seeds.shape
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    truth = np.full_like(sample.seeds, VOID) if sample.mask is None else sample.mask
    image = tv_tensors.Image(torch.from_numpy(np.array(sample.image)).permute(2, 0, 1))
    labels = torch.from_numpy(np.stack([sample.seeds, truth]))
    if size != [height, width]:
        image = F.resize(image, size, modes.BILINEAR, antialias=True)
        # by torch: older torchvisions resize a Mask by NEAREST whatever is asked, up to half a pixel away from the photo
        labels = torch.nn.functional.interpolate(labels[None], size, mode="nearest-exact")[0]
    top, left = (int(share * (max(side, crop) - crop + 1)) for share, side in zip((down, right), size, strict=True))
    kept = [min(crop, side) for side in size]
    image, labels = F.crop(image, top, left, *kept), F.crop(labels, top, left, *kept)
    if flip and mirror < 0.5:
        image, labels = F.horizontal_flip(image), F.horizontal_flip(labels)
    if kept != [crop, crop]:
        beside = [0, 0, crop - kept[1], crop - kept[0]]
        # the whole photo's colour, as a whole number: `toykit.training.features` finds bytes sooner than fractions
        color = torch.from_numpy(sample.image).float().mean((0, 1)).round().int().tolist()
        image = F.pad(image, beside, color)
        labels = torch.cat([F.pad(labels[:1], beside, PADDING), F.pad(labels[1:], beside, VOID)])
    image, (seeds, mask) = image.as_subclass(Tensor).float(), labels.as_subclass(Tensor).long()
    return image.contiguous(), seeds.contiguous(), mask.contiguous()
