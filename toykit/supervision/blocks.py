"""Block-wise annotation: full labels inside some squares, nothing outside (paper, section 3.5, after [27]).

The paper does not describe the blocks of [27]. This generator is ours: numbers measured with it cannot be compared with
numbers on those blocks.
"""

import numpy as np

from toykit._shared.arguments import check_number, check_whole
from toykit.conventions import UNLABELLED
from toykit.supervision.spec import random_generator


def blocks(mask: np.ndarray, share: float, name: str, seed: int = 0, block: int | None = None) -> np.ndarray:
    """Keep a mask inside random squares that cover a share of the pixels.

    Parameters
    ----------
    mask : ndarray, shape (H, W), uint8
        The full mask; 255 (void) stays 255.
    share : float
        Share of the pixels inside the squares, in (0, 1].
    name : str
        The image's id; together with `seed` it determines the squares.
    seed : int, default 0
        The run's seed.
    block : int, optional
        Side of a square in pixels, at least 1. Default: a twelfth of the image's shorter side, at least 4.

    Returns
    -------
    ndarray, shape (H, W), uint8
        The mask inside the squares, 255 outside.

    Raises
    ------
    ValueError
        If `share` or `block` is out of range.

    Notes
    -----
    The image is cut into squares at a random offset. Squares are taken in a random order until the share is reached. So the
    coverage exceeds `share` by less than one square, and the blocks of a smaller share are among those of a larger one.
    """
    height, width = mask.shape
    block = max(4, min(mask.shape) // 12) if block is None else block
    check_number("share", share, "(0, 1]")
    check_whole("block", block)
    generator = random_generator(seed, name)
    top, left = generator.integers(0, block, 2)
    rows, columns = (np.arange(height) + top) // block, (np.arange(width) + left) // block
    square = rows[:, None] * (columns[-1] + 1) + columns
    areas = np.bincount(square.ravel())
    order = generator.permutation(np.flatnonzero(areas))
    enough = int(np.searchsorted(areas[order].cumsum(), share * mask.size)) + 1
    return np.where(np.isin(square, order[:enough]), mask, UNLABELLED).astype(np.uint8)
