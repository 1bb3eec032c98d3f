"""The sub-problem on a coarser grid: cells of stride x stride pixels.

A segmentation network predicts at a quarter of the resolution or less, and neighbouring pixels of a photo repeat the same
information: the unary term grows with the area, the Potts term with the length of a boundary. On cells the pairwise term
reaches further, and a solver has stride^2 times less work. The paper does not state its resolution; its lab's later code
takes a quarter, the DenseCRF loss (Tang et al. 2018) a half.

    photo     the mean colour of a cell's pixels
    logits    the network's at the cells' centres, or the mean over a cell's pixels
    seeds     a cell with a seed pixel is a seed, of the class with most seed pixels in it; among equals, the lowest id
    padding   pixels outside the image do not count; a cell without other pixels is padding

Where the stride does not divide a side, the image is extended with padding.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from toykit._shared.arguments import check_whole
from toykit.conventions import PADDING, UNLABELLED, check_image, check_logits, check_one_device, check_seeds

#: Rows of pixels that are converted at a time.
ROWS = 64


def cell_inputs(logits: Tensor, image: Tensor, seeds: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """Pool the inputs of the sub-problem on cells.

    Parameters
    ----------
    logits : Tensor, float (B, K, H, W) or (B, K, h, w)
        At the pixels, or already at the cells, with h = ceil(H / stride) and w = ceil(W / stride). Differentiable.
    image : Tensor, (B, C, H, W)
    seeds : Tensor, (B, H, W)
        See `toykit.conventions`.
    stride : int
        Side of a cell in pixels, at least 1; 1 returns the inputs.

    Returns
    -------
    logits : Tensor, (B, K, h, w)
    image : Tensor, (B, C, h, w)
    seeds : Tensor, int64 (B, h, w)

    Raises
    ------
    TypeError, ValueError
        See `toykit.conventions.check_inputs`; also ValueError for logits of neither size.
    """
    check_whole("stride", stride)
    if stride == 1:
        return logits, image, seeds
    logits = check_logits(logits)
    in_bytes = getattr(image, "dtype", None) == torch.uint8
    image = check_image(image, torch.uint8 if in_bytes else logits.dtype)
    seeds = check_seeds(seeds, logits.shape[1])
    if len(logits) != len(image) or seeds.shape != (len(image), *image.shape[-2:]):
        raise ValueError(
            f"image {tuple(image.shape)} needs seeds {(len(image), *image.shape[-2:])} and logits of {len(image)} images; got "
            f"seeds {tuple(seeds.shape)} and logits {tuple(logits.shape)}"
        )
    check_one_device(logits, image, seeds)
    share, inside = _inside(seeds, stride, logits.dtype)
    return (
        cell_logits(logits, seeds, stride),
        _mean(image, share, inside, stride),
        _seeds(seeds, share, logits.shape[1], stride),
    )


def cell_logits(logits: Tensor, seeds: Tensor, stride: int, name: str = "logits") -> Tensor:
    """Pool logits on cells, unless they are given on cells.

    Parameters
    ----------
    logits : Tensor, float (B, K, H, W) or (B, K, h, w)
    seeds : Tensor, uint8 or int64 (B, H, W)
        Only the padding is read.
    stride : int
        Side of a cell in pixels.
    name : str, default "logits"
        The argument's name in errors.

    Returns
    -------
    Tensor, (B, K, h, w)

    Raises
    ------
    ValueError
        For logits of neither size, of another number of images, or on another device.
    """
    if len(logits) != len(seeds):
        raise ValueError(f"{name}: expected those of {len(seeds)} images, got {tuple(logits.shape)}")
    if logits.device != seeds.device:
        raise ValueError(f"{name}: expected them on {seeds.device}, as the seeds are, got {logits.device}")
    size = (seeds.shape[-2], seeds.shape[-1])
    cells = cell_size(size, stride)
    if tuple(logits.shape[-2:]) == cells:
        return logits
    if tuple(logits.shape[-2:]) != size:
        raise ValueError(
            f"{name}: expected the image's height and width {size} or, at stride {stride}, the cells' {cells}; got "
            f"{tuple(logits.shape)}"
        )
    return _mean(logits, *_inside(seeds, stride, logits.dtype), stride)


def cell_photo(image: Tensor, seeds: Tensor, stride: int, dtype: torch.dtype = torch.float32) -> Tensor:
    """Pool a photo (B, C, H, W) on cells: their mean colours outside the padding, float (B, C, h, w).

    Of `seeds` (B, H, W) only the padding is read. Bytes are converted to `dtype`.
    """
    dtype = image.dtype if image.is_floating_point() else dtype
    return _mean(image, *_inside(seeds, stride, dtype), stride)


def cell_size(size: Sequence[int], stride: int) -> tuple[int, int]:
    """Return (h, w), the rows and columns of cells that cover an image of `size` (H, W)."""
    height, width = size
    return -(-height // stride), -(-width // stride)


def cell_seeds(seeds: Tensor, num_classes: int, stride: int) -> Tensor:
    """Pool seeds (B, H, W) on cells: int64 (B, h, w). The rules are at the top of this file."""
    return _seeds(seeds, _inside(seeds, stride, torch.float32)[0], num_classes, stride)


def _seeds(seeds: Tensor, share: Tensor, num_classes: int, stride: int) -> Tensor:
    """Pool seeds on cells, given the share of each cell that is not padding."""
    batch, (height, width) = len(seeds), cell_size(seeds.shape[-2:], stride)
    image, row, column = (seeds < num_classes).nonzero(as_tuple=True)
    cell = (image * height + row // stride) * width + column // stride
    votes = torch.bincount(
        cell * num_classes + seeds[image, row, column], minlength=batch * height * width * num_classes
    )
    most, winner = votes.view(batch, height, width, num_classes).max(-1)
    if seeds.device.type != "cpu":  # on a GPU max may return any of equals
        winner = (votes.view((*most.shape, -1)) == most[..., None]).byte().argmax(-1)
    return winner.where(most > 0, torch.where(share[:, 0] > 0, UNLABELLED, PADDING))


def to_pixels(x: Tensor, size: Sequence[int], stride: int) -> Tensor:
    """Interpolate a map of the cells at the pixels, bilinearly between the cells' centres. Differentiable.

    Parameters
    ----------
    x : Tensor, float (B, C, h, w)
        Soft labels stay in the simplex.
    size : (int, int)
        H and W of the image.
    stride : int
        Side of a cell in pixels.

    Returns
    -------
    Tensor, (B, C, H, W)
    """
    if stride == 1:
        return x
    x = F.interpolate(x, scale_factor=float(stride), mode="bilinear", align_corners=False)
    return x[..., : size[0], : size[1]]


def labels_at_pixels(labels: Tensor, seeds: Tensor, stride: int) -> Tensor:
    """Resample soft labels from the cells to the pixels.

    Parameters
    ----------
    labels : Tensor, float (B, K, h, w)
        On cells.
    seeds : Tensor, integers (B, H, W)
        On the pixels.
    stride : int
        Side of a cell in pixels; 1 returns the labels as they are.

    Returns
    -------
    Tensor, float (B, K, H, W)
        Bilinear between cells; the seeds' vertices on the seeds. Beside padding, the labels of its cells mix in, which does not
        change the most likely class where these are uniform.

    Raises
    ------
    ValueError
        If the labels do not have the number of cells of these seeds, or a seed is none of their classes.
    """
    size = (seeds.shape[-2], seeds.shape[-1])
    if tuple(labels.shape[-2:]) != cell_size(size, stride):
        raise ValueError(
            f"labels: expected those of {cell_size(size, stride)} cells for seeds of {size} pixels at stride {stride}, got "
            f"{tuple(labels.shape)}"
        )
    if stride == 1:
        return labels
    seeds = check_seeds(seeds, labels.shape[1]).long()
    labels = to_pixels(labels, size, stride)
    image, row, column = (seeds < PADDING).nonzero(as_tuple=True)
    labels[image, :, row, column] = 0
    labels[image, seeds[image, row, column], row, column] = 1
    return labels


def _mean(x: Tensor, share: Tensor, inside: Tensor | None, stride: int) -> Tensor:
    """Average x (B, C, H, W) over each cell's pixels outside the padding: (B, C, h, w); 0 where all is padding.

    See `_inside` for `share`, whose type the result has, and `inside`. Bytes are converted some rows at a time.
    """
    rows = x.shape[2] if x.is_floating_point() else -(-ROWS // stride) * stride
    parts = x.split(rows, 2) if inside is None else map(torch.mul, x.split(rows, 2), inside.split(rows, 2))
    mean = torch.cat([_pool(part.to(share.dtype), stride) for part in parts], 2)
    return mean / share.where(share > 0, 1)


def _inside(seeds: Tensor, stride: int, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """Return the share of each cell outside the padding (B, 1, h, w), and whether each pixel is outside it (B, 1, H, W).

    On the CPU, photos without padding are spared the second, which is None for them.
    """
    outside = (seeds == PADDING)[:, None]
    # max instead of any: a tenth of the time
    if seeds.device.type != "cpu" or (outside.numel() and bool(outside.view(torch.uint8).max())):
        inside = ~outside
        return _pool(inside.to(dtype), stride), inside
    # pixels of each cell along both sides
    rows, columns = ((n - torch.arange(0, n, stride, dtype=dtype)).clamp_max(stride) for n in seeds.shape[1:])
    return (rows[:, None] * columns / stride**2).expand(len(seeds), 1, -1, -1), None


def _pool(x: Tensor, stride: int) -> Tensor:
    """Average x (B, C, H, W) over each cell, zeros beyond the image included."""
    return F.avg_pool2d(x, stride, ceil_mode=True, divisor_override=stride**2)
