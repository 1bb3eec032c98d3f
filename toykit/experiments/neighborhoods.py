"""Neighbourhoods compared (sections 3.3 and 3.4, Fig. 6): whom a pixel talks to, and what a shape costs.

The paper's "possible explanation" of why dense neighbourhoods give worse pseudo-labels: "the Potts model reduces to the
cardinality/volume potentials for larger neighborhoods" (Veksler 2019). On hard labels of two classes the Potts term is a cut,

    sum_{i in S, j not in S} w_ij    ->    |S| (N - |S|)    as all w_ij -> 1,

which knows the volume |S| and nothing of the shape; a grid's cut is the boundary's length.
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
    return (rows - rows.mean()).square() + (columns - columns.mean()).square()


def _stripes(rows: Tensor, columns: Tensor) -> Tensor:
    return ((columns + 0.5) % 8 - 4).abs() + rows / (1 + rows.max())  # one more row of all stripes at a time


def _scattered(rows: Tensor, columns: Tensor) -> Tensor:
    return torch.rand(rows.shape, dtype=rows.dtype, generator=torch.Generator().manual_seed(0))


#: Segments by shape: a score for each pixel of a grid; the pixels of lowest score are the segment.
SHAPES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"disk": _disk, "stripes": _stripes, "scattered": _scattered}


def affinity_map(image: Tensor, pixel: tuple[int, int], neighborhood: Neighborhood) -> Tensor:
    """w_ij from one pixel i to every other: (H, W), zero where j is no neighbour, and at i itself.

    image: (1, 3, H, W) in 0..255. pixel: (row, column), counted from 0. Dense weights are the exact ones, whether
    `neighborhood.exact` or not: one row of the pairs costs O(N).
    Returns: in 0..1, float64 for an image in float64, else float32.
    Raises: TypeError or ValueError for a bad image, several images, or a pixel outside the image.
    """
    image = _one_image(
        image, torch.float64 if torch.is_tensor(image) and image.dtype == torch.float64 else torch.float32
    )
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
    """The neighbourhood for photos of another size: its spatial bandwidth becomes side / reference times as large.

    So a pixel keeps the same part of the photo as neighbours; `toykit.training.methods.with_method` scales by the same rule.
    side, reference: long sides in pixels. `downscale` stays: it counts pixels that share one sum and is no distance.
    """
    return replace(neighborhood, spatial_bandwidth=neighborhood.spatial_bandwidth * side / reference)


def match_lam(image: Tensor, neighborhoods: Mapping[str, Neighborhood], lam: float) -> dict[str, float]:
    """lam of each neighbourhood such that lam * mean_i sum_j w_ij is the same for all: as the first has it with `lam`.

    So an average pixel's neighbours together pull as hard on its label, few or many. image: (1, 3, H, W) in 0..255.
    Raises: ValueError without neighbourhoods, or where one's weights are all zero.
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
    """A segment of exactly `volume` pixels: bool (H, W). shape: a key of `SHAPES`; size: (H, W).

    Raises: ValueError for another shape, or more pixels than there are.
    """
    check_choice("shape", shape, SHAPES)
    if not 0 <= volume <= size[0] * size[1]:
        raise ValueError(f"volume: expected 0..{size[0] * size[1]} pixels in {size[0]} x {size[1]}, got {volume}")
    rows, columns = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    inside = torch.zeros(size[0] * size[1], dtype=torch.bool)
    inside[SHAPES[shape](rows, columns).flatten().argsort(stable=True)[:volume]] = True
    return inside.view(size)


def cut_shares(image: Tensor, neighborhood: Neighborhood, shape: str, volumes: Sequence[float]) -> Tensor:
    """The Potts term of a segment and the rest, as a share of the neighbourhood's whole weight: (V,) in 0..1, float64.

    volumes: shares of the pixels, in [0, 1]. Scattered pixels cut about 2 v (1 - v) of any neighbourhood's weight, the
    share of pairs that they part; where all weights are alike every shape does. NaN where there is no weight at all.
    image: (1, 3, H, W) in 0..255. Raises: ValueError for several images, another shape, or a volume outside [0, 1].
    """
    image = _one_image(image, torch.float64)
    edges, size = neighborhood.edges(image), tuple(image.shape[2:])
    inside = [segment(shape, round(volume * size[0] * size[1]), size) for volume in volumes]
    inside = torch.stack(inside)[None].to(image.dtype)
    cuts = (inside * edges.laplacian(inside))[0].flatten(1).sum(1)  # x . L x: each pair parted counts once
    return cuts / (edges.degree().sum() / 2)


def boundary(image: Tensor, labels: Tensor, bandwidth: float = 9.0) -> tuple[int, float]:
    """Of the most likely classes: the number of pairs of the 4-grid that differ, and their mean affinity, 0..1.

    The mean is low where the boundary follows the photo's edges; NaN where there is no boundary. image: (1, 3, H, W) in
    0..255; labels: (1, K, H, W).
    """
    image, hard = _one_image(image, torch.float64), labels.argmax(1)
    pairs = list(NearestNeighbors(bandwidth).edges(image).pairs(hard[:, None]))
    weights = torch.cat([w[(p != q)[:, 0]] for p, q, w in pairs])
    return len(weights), float(weights.mean())


def noisy_logits(truth: Tensor, margin: float = 1.0, noise: float = 1.6, seed: int = 0) -> Tensor:
    """Logits (1, 2, H, W) of a prediction that is right on average: their difference is +-margin and normal noise.

    truth: bool (H, W), the second class' pixels.
    """
    noise = noise * torch.randn(truth.shape, generator=torch.Generator().manual_seed(seed))
    difference = torch.where(truth, margin, -margin) + noise
    return torch.stack([-difference / 2, difference / 2])[None]


def most_certain(logits: Tensor, volume: int) -> Tensor:
    """The `volume` pixels where two classes' logits (1, 2, H, W) favour the second most: bool (H, W), a threshold.

    This is the optimum of a unary, linear in y, and a volume potential, at each volume.
    """
    difference = logits[0, 1] - logits[0, 0]
    inside = torch.zeros(difference.numel(), dtype=torch.bool)
    inside[difference.flatten().argsort(descending=True, stable=True)[:volume]] = True
    return inside.view_as(difference)


def filter_errors(image: Tensor, y: Tensor, neighborhood: Dense) -> Tensor:
    """Relative error of the fast filter's sums, in the 2-norm over the pixels, for each map of y (1, K, H, W): (K,).

    Against the sums over all pairs, O(N^2): for small images, (1, 3, H, W) in 0..255.
    """
    image = check_image(image, y.dtype)
    exact, fast = (replace(neighborhood, exact=e).edges(image).filter(y)[0].flatten(1) for e in (True, False))
    return (fast - exact).norm(dim=1) / exact.norm(dim=1)


def _one_image(image: Tensor, dtype: torch.dtype) -> Tensor:
    """The image, in dtype. Raises: TypeError or ValueError for a bad one, or for several."""
    image = check_image(image, dtype)
    if len(image) != 1:
        raise ValueError(f"image: expected a batch of one, (1, 3, H, W), got shape {tuple(image.shape)}")
    return image


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
