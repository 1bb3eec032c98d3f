"""Comparison of neighbourhoods (sections 3.3 and 3.4, Fig. 6): which pixels are neighbours, and what a shape costs.

The paper gives a "possible explanation" why dense neighbourhoods yield worse pseudo-labels: "the Potts model reduces to the
cardinality/volume potentials for larger neighborhoods" (Veksler 2019). On hard labels of two classes the Potts term is a cut,

    sum_{i in S, j not in S} w_ij    ->    |S| (N - |S|)    as all w_ij -> 1.

The limit depends on the volume |S| only, not on the shape. The cut of a grid is the length of the boundary.
"""

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.conventions import check_image
from toykit.neighborhoods import Dense, NearestNeighbors, Neighborhood

#: Side, in pixels, of the photos that published spatial bandwidths are meant for: VOC's, and the crops of its presets.
REFERENCE_SIDE = 512


def _disk(rows: Tensor, columns: Tensor) -> Tensor:
    """Score pixels by their distance from the centre."""
    return (rows - rows.mean()).square() + (columns - columns.mean()).square()


def _stripes(rows: Tensor, columns: Tensor) -> Tensor:
    """Score pixels so that vertical stripes, 8 pixels apart, grow in width, one row of all stripes at a time."""
    return ((columns + 0.5) % 8 - 4).abs() + rows / (1 + rows.max())


def _scattered(rows: Tensor, columns: Tensor) -> Tensor:
    """Score pixels at random."""
    return torch.rand(rows.shape, dtype=rows.dtype, generator=torch.Generator().manual_seed(0))


#: Segments by shape: a score for each pixel of a grid; the pixels of lowest score are the segment.
SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"disk": _disk, "stripes": _stripes, "scattered": _scattered}


def affinity_map(image: Tensor, pixel: tuple[int, int], neighborhood: Neighborhood) -> Tensor:
    """Compute the affinities w_ij from one pixel i to every other.

    Parameters
    ----------
    image : Tensor, shape (1, 3, H, W), RGB in 0..255
    pixel : (int, int), row and column from 0
    neighborhood : NearestNeighbors, SparseNonLocal or Dense
        Dense weights are exact, even if `neighborhood.exact` is False: one row of the pairs costs O(N).

    Returns
    -------
    Tensor, shape (H, W)
        Values in 0..1; zero where j is not a neighbour, and at i itself. float64 for an image in float64, else float32.

    Raises
    ------
    TypeError, ValueError
        For an invalid image, several images, or a pixel that is not two whole numbers or lies outside the image.
    """
    dtype = torch.float64 if torch.is_tensor(image) and image.dtype == torch.float64 else torch.float32
    image = _one_image(image, dtype)
    height, width = image.shape[2:]
    row, column = _place(pixel, height, width)
    here = torch.zeros_like(image[:, :1])
    here[0, 0, row, column] = 1
    if isinstance(neighborhood, Dense):
        return replace(neighborhood, exact=True).edges(image).filter(here)[0, 0]
    weights = -neighborhood.edges(image).laplacian(here)[0, 0]  # at j != i the Laplacian's column i is -w_ij
    weights[row, column] = 0
    return weights


def at_side(neighborhood: Dense, side: float, reference: float = REFERENCE_SIDE) -> Dense:
    """Scale the spatial bandwidth of a neighbourhood to photos of another size.

    So a pixel keeps the same part of the photo as neighbours. `toykit.training.methods.with_method` scales by the same rule.

    Parameters
    ----------
    neighborhood : Dense
    side, reference : float, reference by default `REFERENCE_SIDE`
        Long sides in pixels: of the photos, and of those that the bandwidth is meant for.

    Returns
    -------
    Dense
        Its spatial bandwidth is side / reference times as large. `downscale` is unchanged: it is a number of pixels that
        share one sum, not a distance.
    """
    return neighborhood.scaled(side / reference)


def match_lam(image: Tensor, neighborhoods: Mapping[str, Neighborhood], lam: float) -> dict[str, float]:
    """Choose lam for each neighbourhood such that lam * mean_i sum_j w_ij is the same for all.

    Then the neighbours of an average pixel together pull equally hard on its label, whether they are few or many.

    Parameters
    ----------
    image : Tensor, shape (1, 3, H, W), RGB in 0..255
    neighborhoods : mapping from name to neighbourhood
    lam : float
        Value for the first neighbourhood.

    Returns
    -------
    dict from str to float

    Raises
    ------
    ValueError
        Without neighbourhoods, or if all weights of one are zero.
    """
    if not neighborhoods:
        raise ValueError("neighborhoods: expected at least one, got none")
    degrees = {name: float(n.edges(check_image(image)).degree().mean()) for name, n in neighborhoods.items()}
    for name, degree in degrees.items():
        if not degree > 0:
            raise ValueError(f"{name}: no pixel has a neighbour of weight above 0, so that no lam makes it comparable")
    first = next(iter(degrees.values()))
    return {name: lam * first / degree for name, degree in degrees.items()}


def segment(shape: str, volume: int, size: tuple[int, int]) -> Tensor:
    """Return a segment of a given shape and volume.

    Parameters
    ----------
    shape : str
        A key of `SHAPES`.
    volume : int
        Exact number of pixels.
    size : (int, int)
        Height and width of the image.

    Returns
    -------
    Tensor, shape (H, W), bool

    Raises
    ------
    ValueError
        For another shape, or a volume outside 0..H W.
    """
    check_choice("shape", shape, SHAPES)
    if not 0 <= volume <= size[0] * size[1]:
        raise ValueError(f"volume: expected 0..{size[0] * size[1]} pixels in {size[0]} x {size[1]}, got {volume}")
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    inside = torch.zeros(size[0] * size[1], dtype=torch.bool)
    inside[SHAPES[shape](rows, columns).flatten().argsort(stable=True)[:volume]] = True
    return inside.view(size)


def cut_shares(image: Tensor, neighborhood: Neighborhood, shape: str, volumes: Sequence[float]) -> Tensor:
    """Compute the Potts term between segments and the rest, as a share of the neighbourhood's total weight.

    Parameters
    ----------
    image : Tensor, shape (1, 3, H, W), RGB in 0..255
    neighborhood : NearestNeighbors, SparseNonLocal or Dense
    shape : str
        A key of `SHAPES`.
    volumes : sequence of float
        Volumes of the segments as shares of the pixels, in [0, 1].

    Returns
    -------
    Tensor, shape (V,), float64
        Values in 0..1; NaN if the total weight is zero.

    Raises
    ------
    ValueError
        For several images, another shape, or a volume outside [0, 1].

    Notes
    -----
    Scattered pixels of volume v cut about 2 v (1 - v) of the weight of any neighbourhood: the share of separated pairs. If
    all weights are equal, every shape does.
    """
    image = _one_image(image, torch.float64)
    edges, (height, width) = neighborhood.edges(image), image.shape[2:]
    segments = [segment(shape, round(volume * height * width), (height, width)) for volume in volumes]
    inside = torch.stack(segments)[None].to(image.dtype)
    cuts = (inside * edges.laplacian(inside))[0].flatten(1).sum(1)  # x . L x counts each separated pair once
    return cuts / (edges.degree().sum() / 2)


def boundary(image: Tensor, labels: Tensor, bandwidth: float = 9.0) -> tuple[int, float]:
    """Measure the boundary between the most likely classes.

    Parameters
    ----------
    image : Tensor, shape (1, 3, H, W), RGB in 0..255
    labels : Tensor, shape (1, K, H, W)
    bandwidth : float, default 9.0
        Colour bandwidth of the affinities.

    Returns
    -------
    length : int
        Number of pairs of 4-neighbours whose classes differ.
    weight : float
        Their mean affinity, in 0..1: low where the boundary follows the photo's edges; NaN without a boundary.
    """
    image, hard = _one_image(image, torch.float64), labels.argmax(1)
    pairs = list(NearestNeighbors(bandwidth).edges(image).pairs(hard[:, None]))
    weights = torch.cat([w[(p != q)[:, 0]] for p, q, w in pairs])
    return len(weights), float(weights.mean())


def noisy_logits(truth: Tensor, margin: float = 1.0, noise: float = 1.6, seed: int = 0) -> Tensor:
    """Return logits of a prediction that is correct on average: their difference is +-margin plus normal noise.

    Parameters
    ----------
    truth : Tensor, shape (H, W), bool
        Pixels of the second class.
    margin : float, default 1.0
        Mean difference of the logits.
    noise : float, default 1.6
        Standard deviation of the difference.
    seed : int, default 0
        Seed of the noise.

    Returns
    -------
    Tensor, shape (1, 2, H, W)
    """
    normal = torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
    difference = torch.where(truth, margin, -margin) + noise * normal
    return torch.stack([-difference / 2, difference / 2])[None]


def most_certain(logits: Tensor, volume: int) -> Tensor:
    """Return the pixels where the logits of two classes favour the second most: a threshold.

    This is the optimum, at each volume, of a volume potential and a unary term that is linear in y.

    Parameters
    ----------
    logits : Tensor, shape (1, 2, H, W)
    volume : int
        Number of pixels.

    Returns
    -------
    Tensor, shape (H, W), bool
    """
    difference = logits[0, 1] - logits[0, 0]
    inside = torch.zeros(difference.numel(), dtype=torch.bool)
    inside[difference.flatten().argsort(descending=True, stable=True)[:volume]] = True
    return inside.view_as(difference)


def filter_errors(image: Tensor, y: Tensor, neighborhood: Dense) -> Tensor:
    """Compute the relative error of the fast filter's sums against those over all pairs.

    Parameters
    ----------
    image : Tensor, shape (1, 3, H, W)
        RGB in 0..255; small, because the exact sums cost O(N^2).
    y : Tensor, shape (1, K, H, W), maps to filter
    neighborhood : Dense

    Returns
    -------
    Tensor, shape (K,)
        Error in the 2-norm over the pixels, for each map.
    """
    image = check_image(image, y.dtype)
    exact, fast = (replace(neighborhood, exact=e).edges(image).filter(y)[0].flatten(1) for e in (True, False))
    return (fast - exact).norm(dim=1) / exact.norm(dim=1)


def _one_image(image: Tensor, dtype: torch.dtype) -> Tensor:
    """Check that the image is valid and the only one, and convert its dtype."""
    image = check_image(image, dtype)
    if len(image) != 1:
        raise ValueError(f"image: expected a batch of one, (1, 3, H, W), got shape {tuple(image.shape)}")
    return image


def _place(pixel: tuple[int, int], height: int, width: int) -> tuple[int, int]:
    """Convert the pixel to two ints, or raise TypeError (not two whole numbers) or ValueError (outside the image)."""
    try:
        row, column = (operator.index(x) for x in pixel)
    except (TypeError, ValueError) as error:
        raise TypeError(f"pixel: expected (row, column), two whole numbers, got {pixel!r}") from error
    if not (0 <= row < height and 0 <= column < width):
        raise ValueError(
            f"pixel: expected a row in 0..{height - 1} and a column in 0..{width - 1}, got {(row, column)}"
        )
    return row, column
