"""Augmentation of a photo together with its seeds and mask, controlled by one random generator."""

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_whole
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
    """Cut a random square from the photo at a random scale, and mirror it or not.

    Parameters
    ----------
    sample : Sample
    crop : int
        Side of the square in pixels, at least 1.
    generator : torch.Generator
        The only source of randomness.
    scale : (float, float), default (0.5, 2.0)
        Range of the scale factor, drawn uniformly.
    flip : bool, default True
        Mirror left and right half of the time.

    Returns
    -------
    image : Tensor, shape (3, crop, crop), uint8
        RGB.
    seeds : Tensor, shape (crop, crop), uint8
        Possibly without any seed.
    mask : Tensor, shape (crop, crop), uint8
        All 255 if the sample has no mask.

    Raises
    ------
    ValueError
        For a crop below 1 or a range that is not 0 < scale[0] <= scale[1].

    Notes
    -----
    A photo smaller than the square is padded at the right and at the bottom: with its mean colour, seeds 254 and mask 255.
    """
    check_whole("crop", crop)
    if not 0 < scale[0] <= scale[1]:
        raise ValueError(f"scale: expected 0 < scale[0] <= scale[1], got {scale}")
    factor, mirror, down, right = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    factor = scale[0] + factor * (scale[1] - scale[0])
    height, width = sample.seeds.shape
    size = [max(1, round(height * factor)), max(1, round(width * factor))]
    truth = np.full_like(sample.seeds, VOID) if sample.mask is None else sample.mask
    image = torch.from_numpy(np.array(sample.image.transpose(2, 0, 1), order="C"))
    labels = torch.from_numpy(np.stack([sample.seeds, truth]))
    if size != [height, width]:
        transforms = torchvision().transforms
        image = transforms.v2.functional.resize(image, size, transforms.InterpolationMode.BILINEAR, antialias=True)
        # by torch: older versions of torchvision resize a Mask by NEAREST in any mode, up to half a pixel away from the photo
        labels = torch.nn.functional.interpolate(labels[None], size, mode="nearest-exact")[0]
    top, left = (int(share * (max(side, crop) - crop + 1)) for share, side in zip((down, right), size, strict=True))
    kept = [min(crop, side) for side in size]
    window = (..., slice(top, top + kept[0]), slice(left, left + kept[1]))
    image, labels = image[window], labels[window]
    if flip and mirror < 0.5:
        image, labels = image.flip(-1), labels.flip(-1)
    if kept != [crop, crop]:
        color = torch.from_numpy(sample.image).float().mean((0, 1)).round().byte()
        image, labels = _extended(image, crop, color), _extended(labels, crop, torch.tensor([PADDING, VOID]))
    seeds, mask = labels
    return image.contiguous(), seeds.contiguous(), mask.contiguous()


def _extended(x: Tensor, side: int, fill: Tensor) -> Tensor:
    """Extend x (C, H, W) at the right and at the bottom to a square, with a value for each channel.

    torchvision's `pad` takes twice as long where the values differ.
    """
    square = x.new_empty(len(x), side, side)
    square[:] = fill[:, None, None]
    square[:, : x.shape[1], : x.shape[2]] = x
    return square
