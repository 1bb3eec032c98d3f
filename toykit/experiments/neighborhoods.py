"""Neighbourhoods compared (sections 3.3 and 3.4, Fig. 6): whom a pixel talks to."""

import operator
from dataclasses import replace

import torch
from torch import Tensor

from toykit.conventions import check_image
from toykit.neighborhoods import Dense, NearestNeighbors, SparseNonLocal


def affinity_map(
    image: Tensor, pixel: tuple[int, int], neighborhood: NearestNeighbors | SparseNonLocal | Dense
) -> Tensor:
    """w_ij from one pixel i to every other: (H, W), zero where j is no neighbour, and at i itself.

    image: (1, 3, H, W) in 0..255. pixel: (row, column), counted from 0. Dense weights are the exact ones, whether
    `neighborhood.exact` or not: one row of the pairs costs O(N).
    Returns: in 0..1, float64 for an image in float64, else float32.
    Raises: TypeError or ValueError for a bad image, several images, or a pixel outside the image.
    """
    image = check_image(
        image, torch.float64 if torch.is_tensor(image) and image.dtype == torch.float64 else torch.float32
    )
    if len(image) != 1:
        raise ValueError(f"image: expected a batch of one, (1, 3, H, W), got shape {tuple(image.shape)}")
    height, width = image.shape[2:]
    row, column = _place(pixel, height, width)
    here = torch.zeros_like(image[:, :1])
    here[0, 0, row, column] = 1
    if isinstance(neighborhood, Dense):
        return replace(neighborhood, exact=True).edges(image).filter(here)[0, 0]
    weights = -neighborhood.edges(image).laplacian(here)[0, 0]  # at j != i the Laplacian's column i is -w_ij
    weights[row, column] = 0
    return weights


def _place(pixel: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """The pixel as two ints. Raises: TypeError for anything but two whole numbers; ValueError outside the image."""
    try:
        row, column = (operator.index(x) for x in pixel)
    except (TypeError, ValueError) as error:
        raise TypeError(f"pixel: expected (row, column), two whole numbers, got {pixel!r}") from error
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"pixel: expected a row in 0..{height - 1} and a column in 0..{width - 1}, got {(row, column)}"
        )
    return row, column
