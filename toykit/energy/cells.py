"""The sub-problem on a coarser grid: cells of stride x stride pixels.

A segmentation network predicts at a quarter of the resolution or less, and neighbouring pixels of a photo say the same thing
many times: the unary term grows with the area, the Potts term with the length of a boundary. On cells the pairwise term
reaches further, and a solver has stride^2 times less to do. The paper does not state its resolution; its lab's later code
takes a quarter, the DenseCRF loss (Tang et al. 2018) a half.

    photo     the mean colour of a cell's pixels
    logits    as the network gives them at the cells' centres, or the mean of a cell's pixels
    seeds     a cell is a seed where a seed pixel lies in it: of the class with most seed pixels there; of equals, the lowest id
    padding   pixels outside the image count nowhere; a cell of nothing else is padding

Sides that the stride does not divide are filled up with padding.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from toykit._shared.arguments import check_whole
from toykit.conventions import PADDING, UNLABELLED, check_image, check_logits, check_one_device, check_seeds


def cell_inputs(logits: Tensor, image: Tensor, seeds: Tensor, stride: int) -> tuple[Tensor, Tensor, Tensor]:
    """(logits, image, seeds) on cells: shapes (B, K, h, w), (B, 3, h, w), (B, h, w) with h = ceil(H / stride), w likewise.

    logits: at the pixels (B, K, H, W) or already at the cells (B, K, h, w), with gradients passing through. image, seeds: see
    `toykit.conventions`. stride: at least 1; 1 returns what was given.
    Raises: TypeError or ValueError as `toykit.conventions.check_inputs` does, and for logits of neither size.
    """
    check_whole("stride", stride)
    if stride == 1:
        return logits, image, seeds
    logits = check_logits(logits)
    image, seeds = check_image(image, logits.dtype), check_seeds(seeds, logits.shape[1])
    if len(logits) != len(image) or seeds.shape != (len(image), *image.shape[-2:]):
        raise ValueError(
            f"image {tuple(image.shape)} needs seeds {(len(image), *image.shape[-2:])} and logits of {len(image)} images; got "
            f"seeds {tuple(seeds.shape)} and logits {tuple(logits.shape)}"
        )
    check_one_device(logits, image, seeds)
    return cell_logits(logits, seeds, stride), _mean(image, seeds, stride), cell_seeds(seeds, logits.shape[1], stride)


def cell_logits(logits: Tensor, seeds: Tensor, stride: int) -> Tensor:
    """Logits on cells (B, K, h, w), of those at the pixels (B, K, H, W) or as they are. seeds: (B, H, W), for the padding.

    Raises: ValueError for logits of neither size, of another number of images, or on another device.
    """
    if len(logits) != len(seeds):
        raise ValueError(f"logits: expected those of {len(seeds)} images, got {tuple(logits.shape)}")
    if logits.device != seeds.device:
        raise ValueError(f"logits: expected them on {seeds.device}, as the seeds are, got {logits.device}")
    size = tuple(seeds.shape[-2:])
    cells = cell_size(size, stride)
    if tuple(logits.shape[-2:]) == cells:
        return logits
    if tuple(logits.shape[-2:]) != size:
        raise ValueError(
            f"logits: expected the image's height and width {size} or, at stride {stride}, the cells' {cells}; got "
            f"{tuple(logits.shape)}"
        )
    return _mean(logits, seeds, stride)


def cell_size(size, stride: int) -> tuple[int, int]:
    """(h, w): how many cells cover an image of `size` (H, W)."""
    return tuple(-(-side // stride) for side in size)


def cell_seeds(seeds: Tensor, num_classes: int, stride: int) -> Tensor:
    """Seeds of the cells, int64 (B, h, w), from those of the pixels (B, H, W); the rules are at the top of this file."""
    batch, (height, width) = len(seeds), cell_size(seeds.shape[-2:], stride)
    image, row, column = (seeds < num_classes).nonzero(as_tuple=True)
    cell = (image * height + row // stride) * width + column // stride
    votes = torch.bincount(
        cell * num_classes + seeds[image, row, column], minlength=batch * height * width * num_classes
    )
    most, winner = votes.view(batch, height, width, num_classes).max(-1)
    if seeds.device.type != "cpu":  # there max may return any of equals
        winner = (votes.view((*most.shape, -1)) == most[..., None]).byte().argmax(-1)
    inside = _pool((seeds != PADDING)[:, None].float(), stride)[:, 0] > 0
    return winner.where(most > 0, torch.where(inside, UNLABELLED, PADDING))


def to_pixels(x: Tensor, size, stride: int) -> Tensor:
    """A map of the cells (B, C, h, w) at the pixels (B, C, H, W) of an image of `size`: bilinear between the cells' centres.

    Soft labels stay in the simplex. Gradients pass through.
    """
    if stride == 1:
        return x
    x = F.interpolate(x, scale_factor=float(stride), mode="bilinear", align_corners=False)
    return x[..., : size[0], : size[1]]


def _mean(x: Tensor, seeds: Tensor, stride: int) -> Tensor:
    """Mean over a cell's pixels (B, C, h, w) of x (B, C, H, W), padding left out; 0 where all is padding."""
    inside = (seeds != PADDING)[:, None].to(x.dtype)
    share = _pool(inside, stride)
    return _pool(x * inside, stride) / share.where(share > 0, 1)


def _pool(x: Tensor, stride: int) -> Tensor:
    height, width = x.shape[-2:]
    return F.avg_pool2d(F.pad(x, (0, -width % stride, 0, -height % stride)), stride)
