"""The inputs of the sub-problem of eq. (8): shapes, units and reserved seed values, checked in one place.

    logits  (B, K, H, W)  float32 or float64 (half precision is converted to float32); K in 2..254; finite
    image   (B, C, H, W)  C >= 1 channels in 0..255 (RGB, grey, or more), any real dtype; finite
    seeds   (B, H, W)     any integer dtype that can hold 255: class id 0..K-1, UNLABELLED = 255, PADDING = 254
    present (B, K)        bool, optional: the classes that may occur in each image

An unlabelled pixel belongs to the image and receives a pseudo-label. A padded pixel lies outside the image: it has no unary
term and no edges.
"""

import warnings

import torch
from torch import Tensor

UNLABELLED = 255
PADDING = 254


def check_inputs(logits: Tensor, image: Tensor, seeds: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Check the three inputs of a sub-problem.

    Parameters
    ----------
    logits : Tensor, shape (B, K, H, W), floating
        The network's outputs before softmax; K in 2..254.
    image : Tensor, shape (B, C, H, W), any real dtype
        Channels in 0..255, e.g. RGB; any number C of at least 1.
    seeds : Tensor, shape (B, H, W), any integer dtype that can hold 255
        Class id in 0..K-1, 254 (padding) or 255 (unlabelled).

    Returns
    -------
    logits : Tensor, shape (B, K, H, W), float32 or float64
    image : Tensor, shape (B, C, H, W), dtype of the logits
    seeds : Tensor, shape (B, H, W), int64

    Raises
    ------
    TypeError
        If an input is not a tensor or has a wrong dtype.
    ValueError
        For wrong shapes, several devices, NaN or infinite values, and seeds outside 0..K-1, 254, 255.

    Warns
    -----
    UserWarning
        If the image seems to be scaled to 0..1.
    """
    logits = check_logits(logits)
    batch, num_classes, height, width = logits.shape
    seeds = check_seeds(seeds, num_classes).long()
    image = check_image(image, logits.dtype)
    if image[:, 0].shape != seeds.shape or seeds.shape != (batch, height, width):
        last = " (channels are dim=1; call .movedim(-1, 1))" if image.shape[1:3] == (height, width) else ""
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} need image ({batch}, C, {height}, {width}) and seeds "
            f"{(batch, height, width)}; got image {tuple(image.shape)}{last} and seeds {tuple(seeds.shape)}"
        )
    check_one_device(logits, image, seeds)
    return logits, image, seeds


def check_one_device(logits: Tensor, image: Tensor, seeds: Tensor) -> None:
    """Check that the three inputs are on one device.

    Parameters
    ----------
    logits, image, seeds : Tensor
        The inputs of a sub-problem.

    Raises
    ------
    ValueError
        If they are not on one device.
    """
    if not logits.device == image.device == seeds.device:
        raise ValueError(
            f"expected one device, got logits on {logits.device}, image on {image.device}, seeds on {seeds.device}"
        )


def check_logits(logits: Tensor, name: str = "logits") -> Tensor:
    """Check logits and convert half precision to float32.

    Parameters
    ----------
    logits : Tensor, shape (B, K, H, W), floating
        K in 2..254: class ids lie below `PADDING`.
    name : str, default "logits"
        What messages call them.

    Returns
    -------
    Tensor, shape (B, K, H, W), float32 or float64

    Raises
    ------
    TypeError
        If `logits` is not a tensor of a floating dtype.
    ValueError
        For another shape or number of classes, and for NaN or infinite values.
    """
    _check_tensor(name, logits, "(B, K, H, W)")
    if not logits.dtype.is_floating_point:
        raise TypeError(f"{name}: expected a floating dtype, got {logits.dtype}; call .float()")
    if not 2 <= logits.shape[1] <= PADDING:
        raise ValueError(f"{name}: expected 2 to {PADDING} classes on dim=1, got shape {tuple(logits.shape)}")
    if logits.dtype not in (torch.float32, torch.float64):
        logits = logits.float()
    _check_finite(name, logits)
    return logits


def check_image(image: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Check an image and convert its dtype.

    Parameters
    ----------
    image : Tensor, shape (B, C, H, W), any real dtype
        Channels in 0..255, any number C of at least 1. Values from -0.5 to 255.5 are accepted: interpolation may overshoot a
        little.
    dtype : torch.dtype, default torch.float32
        Dtype of the returned image.

    Returns
    -------
    Tensor, shape (B, C, H, W)

    Raises
    ------
    TypeError
        If `image` is not a tensor of real numbers.
    ValueError
        For another shape, for NaN or infinite values, and for values outside 0..255.

    Warns
    -----
    UserWarning
        If all values of a floating image lie in 0..1.
    """
    _check_tensor("image", image, "(B, C, H, W)")
    if image.dtype.is_complex or image.dtype == torch.bool:
        raise TypeError(f"image: expected numbers in 0..255, got {image.dtype}")
    if image.dtype == torch.uint8:
        return image.to(dtype)
    floating = image.dtype.is_floating_point
    image = image.to(dtype)
    _check_finite("image", image)
    low, high = (x.item() for x in image.aminmax())
    if low < -0.5 or high > 255.5:
        raise ValueError(
            f"image: expected channels in 0..255, got {low:.4g}..{high:.4g}; give the photo itself, without normalisation"
        )
    if floating and low < high <= 1:
        warnings.warn(
            f"image: all values lie in {low:.4g}..{high:.4g}. Affinities expect 0..255: multiply by 255 if it is 0..1",
            stacklevel=2,
        )
    return image


def check_seeds(seeds: Tensor, num_classes: int) -> Tensor:
    """Check seeds, and return them with values whose comparisons are correct.

    Parameters
    ----------
    seeds : Tensor, shape (B, H, W), any integer dtype
        Class id in 0..num_classes-1, 254 (padding) or 255 (unlabelled).
    num_classes : int
        Number of classes K.

    Returns
    -------
    Tensor, shape (B, H, W)
        Bytes as they are, others as int64; see `comparable`.

    Raises
    ------
    TypeError
        If `seeds` is not a tensor of integers.
    ValueError
        For another shape and for other values.
    """
    _check_tensor("seeds", seeds, "(B, H, W)")
    if seeds.dtype.is_floating_point or seeds.dtype.is_complex or seeds.dtype == torch.bool:
        raise TypeError(f"seeds: expected integers (int64), got {seeds.dtype}; call .long()")
    seeds = comparable(seeds)
    in_bytes = seeds.dtype == torch.uint8 and seeds.numel() and num_classes < PADDING
    # bytes wrap: minus K, invalid values lie below 254 - K, and all valid ones at or above it
    if in_bytes and (seeds - num_classes).amin() >= PADDING - num_classes:
        return seeds
    invalid = (seeds < 0) | (seeds >= num_classes) & (seeds < PADDING) | (seeds > UNLABELLED)
    if invalid.any():
        values = seeds[invalid].unique().tolist()
        raise ValueError(
            f"seeds: expected a class in 0..{num_classes - 1}, {UNLABELLED} (unlabelled) or {PADDING} (padding); "
            f"got {values[:8]}{' ...' if len(values) > 8 else ''} at {int(invalid.sum())} pixels"
        )
    return seeds


def comparable(seeds: Tensor) -> Tensor:
    """Return seeds whose comparison with 254 and 255 is right: bytes as they are, which is fastest, others as int64.

    Torch compares int8 with such a number modulo 256.
    """
    return seeds if seeds.dtype == torch.uint8 else seeds.long()


def check_present(present: Tensor, seeds: Tensor, num_classes: int) -> Tensor:
    """Check which classes may occur in each image against the seeds.

    Parameters
    ----------
    present : Tensor, shape (B, K), bool
        True for the classes that may occur in each image.
    seeds : Tensor, shape (B, H, W), int64
        Checked seeds, see `check_seeds`.
    num_classes : int
        Number of classes K.

    Returns
    -------
    Tensor, shape (B, K), bool
        `present`, unchanged.

    Raises
    ------
    TypeError
        If `present` is not a bool tensor.
    ValueError
        For another shape or device, for an image without any class, and for an image that has seeds of a class that is
        not present.
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
        image = int(absent.any(1).nonzero()[0])
        missing = absent[image].nonzero()[:8, 0].tolist()
        raise ValueError(f"present: image {image} has seeds of classes {missing}, which are marked as absent there")
    return present


def seeded_classes(seeds: Tensor, num_classes: int) -> Tensor:
    """Return the classes that each image has seeds of.

    Parameters
    ----------
    seeds : Tensor, shape (B, H, W), int64
        Checked seeds, see `check_seeds`.
    num_classes : int
        Number of classes K.

    Returns
    -------
    Tensor, shape (B, K), bool
    """
    occurs = torch.zeros(len(seeds), UNLABELLED + 1, dtype=torch.bool, device=seeds.device)
    return occurs.scatter_(1, seeds.flatten(1), True)[:, :num_classes]


def _check_tensor(name: str, tensor: Tensor, axes: str) -> None:
    """Raise an error if an input is not a non-empty tensor with these axes, written as "(B, H, W)"."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}: expected a torch.Tensor {axes}, got {type(tensor).__name__}; use torch.as_tensor")
    if tensor.ndim != axes.count(",") + 1:
        raise ValueError(f"{name}: expected {axes}, got shape {tuple(tensor.shape)}")
    if tensor.numel() == 0:
        raise ValueError(f"{name}: expected at least one image, class and pixel, got shape {tuple(tensor.shape)}")


def _check_finite(name: str, tensor: Tensor) -> None:
    """Raise ValueError, with the first position, if a value is NaN or infinite."""
    if tensor.sum().isfinite():  # fast; an infinite sum is checked below, because finite values may overflow it
        return
    finite = tensor.isfinite()
    if not finite.all():
        index = tuple((~finite).nonzero()[0].tolist())
        raise ValueError(
            f"{name}: {int((~finite).sum())} values are NaN or infinite, the first at {index} ({tensor[index].item()})"
        )
