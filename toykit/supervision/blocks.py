"""Block-wise annotation: full labels inside some squares, nothing outside (paper, section 3.5, after [27]).

The paper does not describe the blocks of [27]. This generator is ours: numbers made with it are not that data's.
"""

import numpy as np

from toykit.conventions import UNLABELLED
from toykit.supervision.spec import random_generator


def blocks(mask: np.ndarray, share: float, name: str, seed: int = 0, block: int | None = None) -> np.ndarray:
    """Seeds, uint8 (H, W): the mask inside squares that cover `share` of the pixels, 255 outside.

    The image is cut into squares at a random offset; squares are taken in a random order until the share is reached,
    so the coverage exceeds `share` by less than one square, and blocks of a smaller share are among those of a larger.
    mask: uint8 (H, W), 255 = void (stays 255). share: in (0, 1]. name, seed: the image's id and the run's seed decide.
    block: side of a square in pixels; default a twelfth of the shorter side, at least 4.
    """
    height, width = mask.shape
    block = max(4, min(mask.shape) // 12) if block is None else block
    if not 0 < share <= 1 or block < 1:
        raise ValueError(f"blocks: expected a share in (0, 1] and a side of at least 1, got {share} and {block}")
    generator = random_generator(seed, name)
    top, left = generator.integers(0, block, 2)
    rows, columns = (np.arange(height) + top) // block, (np.arange(width) + left) // block
    square = rows[:, None] * (columns[-1] + 1) + columns
    areas = np.bincount(square.ravel())
    order = generator.permutation(np.flatnonzero(areas))
    enough = int(np.searchsorted(areas[order].cumsum(), share * mask.size)) + 1
    return np.where(np.isin(square, order[:enough]), mask, UNLABELLED).astype(np.uint8)
