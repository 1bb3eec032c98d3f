"""The random walker with seeds only: seconds and memory against scikit-image's, both stopped at the same relative residual."""

import multiprocessing
import time
import warnings
from pathlib import Path

import torch

from toykit import NearestNeighbors, random_walker
from toykit.bench.dense import memory
from toykit.bench.problems import Inputs, Show, problems
from toykit.conventions import PADDING, UNLABELLED

#: scikit-image is asked for this residual; "cg_mg" stops after 30 iterations, wherever it is then.
TOLERANCE = 1e-6
#: That of `NearestNeighbors()`.
BANDWIDTH = 9.0
#: Modes of scikit-image's random walker.
MODES = ("cg_mg", "cg_j")


def walker(sizes: tuple[tuple[int, int], ...], show: Show) -> dict[str, dict[str, float]]:
    """Time the seeds-only random walker against scikit-image's, at the residual that scikit-image reaches.

    Each case runs in a process of its own, for its memory.

    Parameters
    ----------
    sizes : tuple of (int, int)
        Heights and widths, in pixels.
    show : callable
        Prints a line.

    Returns
    -------
    dict
        By method and size: "seconds", "residual", "megabytes" (beyond the inputs'), "edges" and "sides", the number of
        right-hand sides.
    """
    results = {}
    context, threads = multiprocessing.get_context("spawn"), torch.get_num_threads()

    def run(method: str, size: tuple[int, int], tolerance: float, parts: int = 1) -> dict[str, float]:
        with context.Pool(1) as pool:
            row = pool.apply(measure, (method, size, tolerance, parts, threads))
        results[f"{method}, {size[0]} x {size[1]}, {row['sides']:.0f} sides, tolerance {tolerance:.0e}"] = row
        show(f"{size[0]} x {size[1]}, {row['sides'] + 1:.0f} classes, {method:20} {row['seconds']:.2f} s, "
             f"residual {row['residual']:.0e}, {row['megabytes']:.0f} MB")  # fmt: skip
        return row

    for size in sizes:
        for mode in MODES if size == sizes[0] else MODES[:1]:  # "cg_j" takes minutes on large photos
            theirs = run(mode, size, TOLERANCE)
            ours = run("approximate_cholesky", size, min(theirs["residual"], 0.1))
            show(f"{size[0]} x {size[1]}, equal residual: {mode}/ours {theirs['seconds'] / ours['seconds']:.1f}, "
                 f"memory {theirs['megabytes'] / ours['megabytes']:.1f}")  # fmt: skip
        first, all_sides = (run("approximate_cholesky", size, TOLERANCE, parts) for parts in (1, 4))
        millions, more = first["edges"] / 1e6, all_sides["sides"] - first["sides"]
        show(f"{size[0]} x {size[1]}, tolerance {TOLERANCE:g}, per million edges: {first['seconds'] / millions:.2f} s for the "
             f"first {first['sides']:.0f}, {(all_sides['seconds'] - first['seconds']) / millions / more:.2f} s per further "
             "right-hand side")  # fmt: skip
    return results


def measure(method: str, size: tuple[int, int], tolerance: float, parts: int, threads: int) -> dict[str, float]:
    """Run one case once.

    Parameters
    ----------
    method : str
        A mode of scikit-image's random walker, or a backend of `toykit.random_walker`.
    size : (int, int)
        Height and width.
    tolerance : float
        Relative residual at which the method is told to stop.
    parts : int
        The seeds of each class become this many classes, by columns.
    threads : int
        Threads of torch.

    Returns
    -------
    dict
        See `walker`.
    """
    torch.set_num_threads(threads)
    _, image, seeds = problems(1, *size, classes=8)
    columns = torch.arange(size[1]) * parts // size[1]
    labelled = seeds < PADDING
    ranks = torch.where(labelled, seeds * parts + columns, 0)[labelled].unique(return_inverse=True)
    seeds = seeds.masked_scatter(labelled, ranks[1])
    logits = torch.zeros(1, len(ranks[0]), *size)
    run = _scikit_image if method in MODES else _ours
    run(method, *_crop(logits, image, seeds), tolerance)  # imports
    before = memory("VmRSS")
    with Path("/proc/self/clear_refs").open("w") as file:
        file.write("5")  # Linux: reset the peak
    start = time.perf_counter()
    labels = run(method, logits, image, seeds, tolerance)
    seconds, peak = time.perf_counter() - start, memory("VmHWM")
    edges = 2 * seeds.numel() - sum(size)
    return {"seconds": seconds, "residual": residual(labels, image, seeds), "megabytes": peak - before, "edges": edges,
            "sides": logits.shape[1] - 1}  # fmt: skip


def residual(labels: torch.Tensor, image: torch.Tensor, seeds: torch.Tensor) -> float:
    """Compute the largest |A y - b| / |b| over the classes, from the Laplacian of the affinities.

    Parameters
    ----------
    labels : Tensor, float64 (1, K, H, W)
    image, seeds : Tensor
        See `toykit.conventions`.

    Returns
    -------
    float
    """
    edges, labelled = NearestNeighbors(BANDWIDTH).edges(image.double()), (seeds < PADDING)[:, None]
    left, right = edges.laplacian(labels), edges.laplacian(labels * labelled)
    norms = [(x * ~labelled).flatten(2).norm(dim=2) for x in (left, right)]
    return float((norms[0] / norms[1]).max())


def _ours(
    backend: str, logits: torch.Tensor, image: torch.Tensor, seeds: torch.Tensor, tolerance: float
) -> torch.Tensor:
    """Return the labels of one of this project's backends."""
    solution = random_walker(
        logits, image, seeds, 0.0, 1.0, NearestNeighbors(BANDWIDTH),
        backend=backend, tolerance=tolerance, on_failure="ignore",
    )  # fmt: skip
    return solution.labels


def _scikit_image(
    mode: str, logits: torch.Tensor, image: torch.Tensor, seeds: torch.Tensor, tolerance: float
) -> torch.Tensor:
    """Return the labels of scikit-image's random walker with the same affinities, but for the 1e-10 that it adds to each."""
    from skimage.segmentation import random_walker as skimage_walker

    picture = image[0].permute(1, 2, 0).double().numpy() / 255
    beta = 255**2 * 10 * picture.std() * 3**0.5 / (2 * BANDWIDTH**2)
    markers = torch.where(seeds[0] < PADDING, seeds[0] + 1, 0).numpy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it stopped early: the residual shows it
        labels = skimage_walker(
            picture, markers, beta=beta, mode=mode, tol=tolerance, channel_axis=-1, return_full_prob=True
        )
    return torch.from_numpy(labels)[None].to(torch.float64)


def _crop(logits: torch.Tensor, image: torch.Tensor, seeds: torch.Tensor) -> Inputs:
    """Return a small problem with the same number of classes, each with a seed."""
    side, classes = 32, logits.shape[1]
    small = torch.full((1, side, side), UNLABELLED)
    small[0, 0, :classes] = torch.arange(classes)
    return logits[..., :side, :side], image[..., :side, :side] / 16, small
