"""Shapes, units and reserved seed values: what the sub-problem's inputs look like, checked in one place.

    logits  (B, K, H, W)  float32 or float64 (half precision is raised to float32); K in 2..254; finite
    image   (B, 3, H, W)  RGB in 0..255, any real dtype; finite
    seeds   (B, H, W)     any integer dtype that can hold 255: class id 0..K-1, UNLABELLED = 255, PADDING = 254
    present (B, K)        bool, optional: the classes that may occur in each image

An unlabelled pixel is part of the image and gets a pseudo-label. A padded pixel lies outside of it: no unary, no edge.
"""

import warnings

import torch
from torch import Tensor

UNLABELLED = 255
PADDING = 254


def check_inputs(logits: Tensor, image: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Check the three inputs of a sub-problem and return them as (floating logits, image of that dtype, int64 seeds).

    Raises: TypeError for dtypes; ValueError for shapes, devices, NaN or infinite values, and seeds outside 0..K-1, 254,
    255. Warns if the image looks as if it were scaled to 0..1.
    """
    logits = check_logits(logits)
    batch, num_classes, height, width = logits.shape
    seeds = check_seeds(seeds, num_classes)
    image = check_image(image, logits.dtype)
    if image.shape != (batch, 3, height, width) or seeds.shape != (batch, height, width):
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} need image {(batch, 3, height, width)} and seeds "
            f"{(batch, height, width)}; got image {tuple(image.shape)} and seeds {tuple(seeds.shape)}"
        )
    check_one_device(logits, image, seeds)
    return logits, image, seeds


def check_one_device(logits: Tensor, image: Tensor, seeds: Tensor) -> None:
    """Raise ValueError if the three are not on one device."""
    if not logits.device == image.device == seeds.device:
        raise ValueError(
            f"expected one device, got logits on {logits.device}, image on {image.device}, seeds on {seeds.device}"
        )


def check_logits(logits: Tensor) -> Tensor:
    """Finite floating (B, K, H, W) with 2 <= K <= 254 (ids below PADDING); half precision comes back as float32."""
    _check_tensor("logits", logits, "(B, K, H, W)")
    if not logits.dtype.is_floating_point:
        raise TypeError(f"logits: expected a floating dtype, got {logits.dtype}; call .float()")
    if not 2 <= logits.shape[1] <= PADDING:
        raise ValueError(f"logits: expected 2 to {PADDING} classes on dim=1, got shape {tuple(logits.shape)}")
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    _check_finite("logits", logits)
    return logits


def check_image(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Finite (B, 3, H, W) with values in 0..255, returned as `dtype`."""
    _check_tensor("image", image, "(B, 3, H, W)")
    if image.shape[1] != 3:
        raise ValueError(f"image: expected 3 channels (RGB) on dim=1, got shape {tuple(image.shape)}")
    if image.dtype.is_complex or image.dtype == torch.bool:
        raise TypeError(f"image: expected numbers in 0..255, got {image.dtype}")
    floating = image.dtype.is_floating_point
    image = image.to(dtype)
    _check_finite("image", image)
    low, high = image.min().item(), image.max().item()
    if low < -0.5 or high > 255.5:
        raise ValueError(
            f"image: expected RGB in 0..255, got {low:.4g}..{high:.4g}; give the photo itself, without normalisation"
        )
    if floating and low < high <= 1:
        warnings.warn(
            f"image: all values lie in {low:.4g}..{high:.4g}. Affinities expect 0..255: multiply by 255 if it is 0..1",
            stacklevel=2,
        )
    return image


def check_seeds(seeds: Tensor, num_classes: int) -> Tensor:
    """Integer (B, H, W) with values 0..K-1, 254 or 255, returned as int64."""
    _check_tensor("seeds", seeds, "(B, H, W)")
    if seeds.dtype.is_floating_point or seeds.dtype.is_complex or seeds.dtype == torch.bool:
        raise TypeError(f"seeds: expected integers (int64), got {seeds.dtype}; call .long()")
    seeds = seeds.long()
    wrong = (seeds < 0) | ((seeds >= num_classes) & (seeds != UNLABELLED) & (seeds != PADDING))
    if wrong.any():
        found = seeds[wrong].unique().tolist()
        raise ValueError(
            f"seeds: expected a class in 0..{num_classes - 1}, {UNLABELLED} (unlabelled) or {PADDING} (padding); "
            f"got {found[:8]}{' ...' if len(found) > 8 else ''} at {int(wrong.sum())} pixels"
        )
    return seeds


def check_present(present: Tensor, seeds: Tensor, num_classes: int) -> Tensor:
    """Check which classes may occur in each image, bool (B, K), against the seeds (B, H, W), and return them.

    Raises: TypeError for another dtype; ValueError for another shape or device, an image without any class, or one with
    seeds of a class that is not present.
    """
    _check_tensor("present", present, "(B, K)")
    if present.dtype != torch.bool:
        raise TypeError(f"present: expected bool (B, K), got {present.dtype}; call .bool()")
    if present.shape != (len(seeds), num_classes) or present.device != seeds.device:
        raise ValueError(
            f"present: expected shape {(len(seeds), num_classes)} on {seeds.device}, one row per image and one column per "
            f"class, got {tuple(present.shape)} on {present.device}"
        )
    if not present.any(1).all():
        image = int((~present.any(1)).nonzero()[0])
        raise ValueError(f"present: expected at least one class per image, got none for image {image}")
    absent = seeded_classes(seeds, num_classes) & ~present
    if absent.any():
        image = absent.any(1).nonzero()[0].item()
        missing = absent[image].nonzero()[:8, 0].tolist()
        raise ValueError(f"present: image {image} has seeds of classes {missing}, which are marked as absent there")
    return present


def seeded_classes(seeds: Tensor, num_classes: int) -> Tensor:
    """The classes that each image has seeds of, bool (B, K), from int64 seeds (B, H, W)."""
    found = torch.zeros(len(seeds), UNLABELLED + 1, dtype=torch.bool, device=seeds.device)
    return found.scatter_(1, seeds.flatten(1), True)[:, :num_classes]


def _check_tensor(name: str, tensor: Tensor, axes: str) -> None:
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor {axes}, got {type(tensor).__name__}; use torch.as_tensor")
    if tensor.ndim != axes.count(",") + 1:
        raise ValueError(f"{name}: expected {axes}, got shape {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        raise ValueError(f"{name}: expected at least one image, class and pixel, got shape {tuple(tensor.shape)}")


def _check_finite(name: str, tensor: Tensor) -> None:
    if tensor.sum().isfinite():  # quick, and enough; a sum may overflow without an infinite value
        return
    finite = tensor.isfinite()
    if not finite.all():
        index = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{name}: {int((~finite).sum())} values are NaN or infinite, the first at {index} ({tensor[index].item()})"
        )
