"""Dense neighbourhoods: error, time and memory of the filter, compared with all pairs and with pydensecrf.

One product is sum_j w_ij y_j for K = 21 classes. `toykit.neighborhoods.Dense` builds its grid once per photo. pydensecrf, where
it is installed (`pip install pydensecrf2`; it is not a dependency), filters on a permutohedral lattice; a step of its mean
field is one product and one softmax. Each case runs in its own process; its memory is the largest growth of that process
(Linux).
"""

import multiprocessing
import re
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit import datasets
from toykit.bench.problems import CLASSES, Show
from toykit.neighborhoods import Dense
from toykit.neighborhoods.bilateral import BruteForce

REPEATS = 3
PRESETS = {"9 / 100": Dense(), "15 / 100, half": Dense.rloss()}
SIZES = ((240, 320), (513, 513))
#: Number of blocks of rows that are measured for all pairs; the time of the others is extrapolated.
BLOCKS = 6


def inputs(height: int, width: int, name: str = "chelsea") -> tuple[Tensor, Tensor]:
    """Return a resized photo and soft labels.

    Parameters
    ----------
    height, width : int
        Size in pixels.
    name : str, default "chelsea"
        The photo, see `toykit.datasets.photo`.

    Returns
    -------
    image : Tensor, float32 (1, 3, H, W)
        The photo in 0..255.
    y : Tensor, float32 (1, K, H, W)
        Random smooth labels in the simplex.
    """
    pixels = torch.from_numpy(datasets.photo(name).image).permute(2, 0, 1)[None].float()
    resize = torch.nn.functional.interpolate
    coarse = 4 * torch.randn(1, CLASSES, 8, 8, generator=torch.Generator().manual_seed(0))
    image = resize(pixels, (height, width), mode="bilinear", antialias=True).clamp(0, 255)
    return image, resize(coarse, (height, width), mode="bilinear").softmax(1)


def filter_case(neighborhood: Dense, image: Tensor, y: Tensor) -> dict[str, float]:
    """Time the construction of the grid, a product, and the product's derivative.

    Parameters
    ----------
    neighborhood : Dense
        Bandwidths and downscale of the filter.
    image : Tensor, float32 (1, 3, H, W)
        A photo in 0..255.
    y : Tensor, float32 (1, K, H, W)
        Soft labels.

    Returns
    -------
    dict
        Seconds of "build", "forward" and "backward".
    """
    rows = []
    for _ in range(REPEATS):
        x = y.clone().requires_grad_()
        clock = [time.perf_counter()]
        edges = neighborhood.edges(image)
        clock.append(time.perf_counter())
        product = edges.filter(x)
        clock.append(time.perf_counter())
        product.backward(y)
        clock.append(time.perf_counter())
        rows.append(np.diff(clock))
    return dict(zip(("build", "forward", "backward"), np.min(rows, 0).tolist(), strict=True))


def all_pairs_case(neighborhood: Dense, image: Tensor, y: Tensor) -> dict[str, float]:
    """Time a product over all pairs, extrapolated from its first blocks of rows.

    Parameters
    ----------
    neighborhood : Dense
        Bandwidths and downscale of the filter.
    image : Tensor, float32 (1, 3, H, W)
        A photo in 0..255.
    y : Tensor, float32 (1, K, H, W)
        Soft labels.

    Returns
    -------
    dict
        Seconds of "forward".
    """
    side = neighborhood.downscale
    image, y = (torch.nn.functional.avg_pool2d(x, side, ceil_mode=True) for x in (image, y))
    height, width = image.shape[2:]
    places = torch.stack(torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")).flatten(1) * side
    features = torch.cat([places / neighborhood.spatial_bandwidth, image[0].flatten(1) / neighborhood.bandwidth])
    brute = BruteForce(features.float())
    values = y[0].flatten(1).T.contiguous()
    some = brute.blocks(len(values))[:BLOCKS]
    share = sum(map(len, some)) / len(values)
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        for block in some:
            torch.mm(brute.weights(block, brute.points), values)
        seconds.append(time.perf_counter() - start)
    return {"forward": min(seconds) / share}


def pydensecrf_case(neighborhood: Dense, image: Tensor, y: Tensor) -> dict[str, float]:
    """Time the construction of the lattice and a step of mean field; raise ImportError without pydensecrf.

    Parameters
    ----------
    neighborhood : Dense
        Bandwidths and downscale of the filter.
    image : Tensor, float32 (1, 3, H, W)
        A photo in 0..255.
    y : Tensor, float32 (1, K, H, W)
        Soft labels.

    Returns
    -------
    dict
        Seconds of "build" and "forward".
    """
    from pydensecrf import densecrf  # pyright: ignore[reportMissingImports]  # optional, not a dependency

    side = neighborhood.downscale
    image, y = (torch.nn.functional.avg_pool2d(x, side, ceil_mode=True) for x in (image, y))
    pixels = np.ascontiguousarray(image[0].permute(1, 2, 0).round().byte().numpy())
    unary = np.ascontiguousarray(-y[0].flatten(1).log().numpy())
    rows = []
    for _ in range(REPEATS):
        crf = densecrf.DenseCRF2D(image.shape[3], image.shape[2], CLASSES)
        crf.setUnaryEnergy(unary)
        clock = [time.perf_counter()]
        crf.addPairwiseBilateral(
            sxy=neighborhood.spatial_bandwidth / side,
            srgb=neighborhood.bandwidth,
            rgbim=pixels,
            compat=1,
            kernel=densecrf.DIAG_KERNEL,
            normalization=densecrf.NO_NORMALIZATION,
        )
        clock.append(time.perf_counter())
        state = crf.startInference()
        clock.append(time.perf_counter())
        crf.stepInference(*state)
        clock.append(time.perf_counter())
        rows.append(np.diff(clock))
    build, _, step = np.min(rows, 0).tolist()
    return {"build": build, "forward": step}


CASES: dict[str, Callable[..., dict[str, float]]] = {
    "grid": filter_case,
    "all pairs": all_pairs_case,
    "pydensecrf": pydensecrf_case,
}


def measure(case: str, preset: str, size: tuple[int, int], threads: int) -> dict[str, float] | None:
    """Measure one case in this process.

    Parameters
    ----------
    case : str
        Key of `CASES`.
    preset : str
        Key of `PRESETS`.
    size : tuple of int
        (height, width) in pixels.
    threads : int
        Threads of torch.

    Returns
    -------
    dict or None
        Seconds and "megabytes"; None where the case's library is not installed.
    """
    torch.set_num_threads(threads)
    image, y = inputs(*size)
    before = memory("VmRSS")
    with Path("/proc/self/clear_refs").open("w") as file:
        file.write("5")  # Linux: reset the peak
    try:
        return CASES[case](PRESETS[preset], image, y) | {"megabytes": memory("VmHWM") - before}
    except ImportError:
        return None


def memory(field: str) -> float:
    """Return the memory of this process, as Linux reports it.

    Parameters
    ----------
    field : str
        "VmRSS" for the memory now, "VmHWM" for its peak.

    Returns
    -------
    float
        Megabytes.

    Raises
    ------
    OSError
        If the system does not report the field.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    match = re.search(rf"{field}:\s*(\d+)", status)
    if match is None:
        raise OSError(f"/proc/self/status: expected a line {field}, which Linux reports")
    return int(match[1]) / 1024


def errors() -> dict[str, float]:
    """Compute the relative error of a product on 64 x 64 places, in the 2-norm.

    Returns
    -------
    dict
        The largest error over the photos, by preset.
    """
    largest = {}
    for name, preset in PRESETS.items():
        exact = Dense(preset.bandwidth, preset.spatial_bandwidth, preset.downscale, exact=True)
        largest[name] = 0.0
        for photo in ("chelsea", "coffee", "rocket", "astronaut"):
            image, y = inputs(64 * preset.downscale, 64 * preset.downscale, photo)
            expected, ours = (n.edges(image).filter(y) for n in (exact, preset))
            largest[name] = max(largest[name], float((ours - expected).norm() / expected.norm()))
    return largest


def dense(threads: int, show: Show) -> dict[str, dict[str, float] | None]:
    """Measure the error at 64 x 64, then seconds (the least of three) and memory, by preset, size and method.

    Parameters
    ----------
    threads : int
        Threads of torch.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        "errors", see `errors`; then the result of `measure` for each case, preset and size.
    """
    largest = errors()
    results: dict[str, dict[str, float] | None] = {"errors": dict(largest)}
    show("relative error at 64 x 64: " + ", ".join(f"{name}: {error:.2%}" for name, error in largest.items()))
    context = multiprocessing.get_context("spawn")
    for size in SIZES:
        for preset in PRESETS:
            for case in CASES:
                with context.Pool(1) as pool:
                    row = pool.apply(measure, (case, preset, size, threads))
                results[f"{case}, {preset}, {size[0]} x {size[1]}"] = row
                text = "not installed" if row is None else ", ".join(
                    f"{key} {value:.0f}" if key == "megabytes" else f"{key} {value:.2f} s" for key, value in row.items()
                )  # fmt: skip
                show(f"{size[0]} x {size[1]}, {preset:14} {case:10} {text}")
    return results
