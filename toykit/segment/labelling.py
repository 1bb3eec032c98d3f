"""Compute soft labels, a hard mask and a picture from one photo and its scribbles: eq. (8)'s sub-problem without a network.

A large photo is labelled on cells of stride x stride pixels, as a network's sub-problem is (`toykit.energy.cells`), and the
labels are interpolated at the pixels. An edge between two cells stands for `stride` edges and a cell for stride^2 pixels, so
lam is divided by the stride.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_whole
from toykit._shared.files import check_writable
from toykit.conventions import PADDING, check_logits, check_seeds
from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.energy.cells import cell_logits, cell_photo, cell_seeds, cell_size, labels_at_pixels
from toykit.mixture_model import ROUNDS, Backbone, mixture_logits
from toykit.neighborhoods import NearestNeighbors
from toykit.segment.files import refuse_foreign, write_labels, write_picture
from toykit.simplex import most_likely
from toykit.solvers import Solution, solve
from toykit.supervision import write_seeds

#: Photos of more than LARGE pixels are labelled by "fast" on at most CELLS cells and to this tolerance, unless stride or
#: tolerance is given: the later sweeps change few labels.
LARGE, CELLS, LARGE_TOLERANCE = 1 << 22, 1 << 21, 1e-3
#: Rows whose hard labels are computed at a time: they fit the cache.
ROWS = 16
#: The files of one photo are NAME_KIND.
FILES = ("labels.npz", "mask.png", "picture.png")


@dataclass(frozen=True)
class Segmentation:
    """The result of `segment`.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    solution : Solution
        The solver's result. Where the ids of the seeds leave gaps, its labels are those of the ids that occur only, in rising
        order: an array for each id up to 253 would fill the memory.
    files : dict
        The files that were written, by kind: "labels.npz", "mask.png", "picture.png".
    mask : ndarray, uint8 (H, W)
        The hard mask, see `hard_mask`.
    """

    sample: Sample
    solution: Solution
    files: dict[str, Path]
    mask: np.ndarray


def occurring_classes(sample: Sample, solution: Solution, mask: np.ndarray | None = None) -> dict[int, str]:
    """Return the classes that the seeds or the hard mask hold.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    solution : Solution
        Its soft labels.
    mask : ndarray, uint8 (H, W), optional
        The hard mask. Default: it is computed.

    Returns
    -------
    dict from int to str
        Id -> name, in the order of ids.
    """
    held = _counts(sample.seeds) + _counts(hard_mask(sample, solution) if mask is None else mask)
    return {k: name for k, name in enumerate(_names(sample, solution)) if held[k]}


def _solved_ids(sample: Sample) -> np.ndarray:
    """Return the ids that a solution from the seeds has labels of: those with seeds; at least two, where there are two."""
    present = sample.present()
    present[: max(0, 2 - int(present.sum()))] = True
    return np.flatnonzero(present) if present.sum() > 1 else np.arange(len(present))


def _ids(sample: Sample, solution: Solution) -> np.ndarray:
    """Return the id of each class of the labels: all ids, or those of `_solved_ids`."""
    number = solution.labels.shape[1]
    return np.arange(number) if number >= len(sample.classes) else _solved_ids(sample)


def _renumbered(sample: Sample, ids: np.ndarray) -> Sample:
    """Return a sample whose classes are some ids of another's, those of its seeds among them."""
    number = np.arange(256, dtype=np.uint8)
    number[ids] = np.arange(len(ids))
    return replace(sample, seeds=number[sample.seeds], classes=tuple(sample.classes[k] for k in ids))


def _on_cells(sample: Sample, stride: int) -> Sample:
    """Return a sample of the cells: their mean colours, rounded, and their seeds."""
    if stride == 1:
        return sample
    photo, seeds = sample.tensors(torch.uint8)
    image = cell_photo(photo, seeds, stride)[0].round().byte().permute(1, 2, 0)
    marks = cell_seeds(seeds, len(sample.classes), stride)[0].byte()
    return Sample(sample.name, image.numpy(), marks.numpy(), sample.classes)


def _counts(ids: np.ndarray) -> np.ndarray:
    """Return how often each id of a map (H, W), uint8, occurs in it: int64 (256,)."""
    return torch.from_numpy(np.ascontiguousarray(ids)).flatten().bincount(minlength=256).numpy()


def _names(sample: Sample, solution: Solution) -> tuple[str, ...]:
    """Return the names of all classes of the labels; a network may have more classes than the scribbles."""
    return sample.classes + tuple(f"class {k}" for k in range(len(sample.classes), solution.labels.shape[1]))


def hard_mask(sample: Sample, solution: Solution) -> np.ndarray:
    """Return each pixel's most likely class.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    solution : Solution
        Its soft labels.

    Returns
    -------
    ndarray, uint8 (H, W)
        Class ids; 254 on padding, which is not part of the photo.
    """
    labels = solution.labels[0].cpu()
    ids = _ids(sample, solution).astype(np.uint8)
    # row block by row block: the class numbers of a large photo take much memory
    mask = np.concatenate([ids[most_likely(some).numpy()] for some in labels.split(ROWS, 1)])
    mask[sample.seeds == PADDING] = PADDING
    return mask


def class_shares(sample: Sample, solution: Solution, mask: np.ndarray | None = None) -> dict[str, float]:
    """Return the share of the photo's pixels in the hard mask of each class that occurs, by class name.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    solution : Solution
        Its soft labels.
    mask : ndarray, uint8 (H, W), optional
        The hard mask. Default: it is computed.

    Returns
    -------
    dict
        Class name -> share in [0, 1], without padding.
    """
    mask = hard_mask(sample, solution) if mask is None else mask
    counts = _counts(mask)
    pixels = mask.size - counts[PADDING]
    return {name: float(counts[k] / pixels) for k, name in occurring_classes(sample, solution, mask).items()}


def check_stride(stride: int | None, energy: Energy) -> None:
    """Raise TypeError or ValueError for a stride that `segment` does not take; None is the default."""
    if stride is None:
        return
    check_whole("stride", stride)
    if stride > 1 and not isinstance(energy.neighborhood, NearestNeighbors):
        raise ValueError(f"stride={stride}: needs NearestNeighbors, got {energy.neighborhood!r}")


def _large_stride(size: tuple[int, ...]) -> int:
    """Return the least stride with which a photo of this size (H, W) has at most `CELLS` cells."""
    stride = 1
    while math.prod(cell_size(size, stride)) > CELLS:
        stride += 1
    return stride


def segment(
    sample: Sample,
    output: str | Path,
    energy: Energy,
    method: str = "fast",
    *,
    logits: Tensor | None = None,
    stride: int | None = None,
    rounds: int = ROUNDS,
    features: str | Path | None = None,
    callback: Callable[..., object] | None = None,
    **options,
) -> Segmentation:
    """Compute one photo's soft labels and write them to a folder.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    output : str or Path
        The folder. It gets NAME_labels.npz (labels float32 (K, H, W), classes), NAME_mask.png (indexed, VOC's colours, 254 =
        padding) and NAME_picture.png (seeds, soft labels, their entropy, hard mask, all of the cells).
    energy, method, callback, **options
        See `toykit.solve`; a callback gets the labels of the cells. The default tolerance of the solver "fast" is
        `LARGE_TOLERANCE` on photos of more than `LARGE` pixels; the solution's message reports it.
    logits : Tensor, float (1, K, H, W), optional
        A network's logits. By default those of a model that is fitted on the seeds, `toykit.mixture_model.mixture_logits`; with
        eta = 0 uniform ones.
    stride : int, optional
        Side in pixels of the cells that are labelled, at least 1; lam is divided by it. Default: 1; for the solver "fast" with
        `NearestNeighbors`, no `start` and more than `LARGE` pixels, the least that leaves at most `CELLS` cells. A `start` is
        on the cells.
    rounds : int, default `toykit.mixture_model.ROUNDS`
        Largest number of refits of that model to soft labels, with `features` at most one; no effect with `logits`.
    features : str or Path, optional
        A pre-trained network for that model, see `toykit.mixture_model.Backbone`; no effect with `logits`.

    Returns
    -------
    Segmentation
        The solver's result, with its labels at the pixels and the energies of the cells, and the files.

    Raises
    ------
    TypeError, ValueError
        Those of `toykit.solve` and `toykit.mixture_model.Backbone`; ValueError for a stride other than 1 without
        `NearestNeighbors`, and for files that are there and that `segment` did not write. No file is written then.
    OSError
        If the folder cannot be made or written.
    """
    check_stride(stride, energy)
    solved, present = sample, None
    if logits is None:  # the model of the seeds knows the classes with seeds only
        solved = _renumbered(sample, _solved_ids(sample))
        present = torch.from_numpy(solved.present())[None]
    marks = torch.from_numpy(solved.seeds.copy())[None]  # its memory may be read-only or reversed
    if logits is not None:
        logits = check_logits(logits)
        check_seeds(marks, logits.shape[1])
        if logits.shape[0] != 1 or logits.shape[2:] != marks.shape[1:]:
            raise ValueError(
                f"logits: expected (1, K, {marks.shape[1]}, {marks.shape[2]}) like the photo, got {tuple(logits.shape)}"
            )
    large = method == "fast" and sample.seeds.size > LARGE
    if stride is not None:
        stride = int(stride)
    elif large and options.get("start") is None and isinstance(energy.neighborhood, NearestNeighbors):
        stride = _large_stride(sample.seeds.shape)
    else:
        stride = 1
    files = {kind: Path(output) / f"{sample.name}_{kind}" for kind in FILES}
    refuse_foreign(files)  # before any work
    check_writable(output)
    Path(output).mkdir(parents=True, exist_ok=True)
    cells = _on_cells(solved, stride)
    image, seeds = cells.tensors(torch.uint8)
    image = image.contiguous()  # its channels are read one by one
    energy = replace(energy, lam=energy.lam / stride)
    if logits is None:
        logits = _predict(image, seeds, len(cells.classes), energy, rounds, features)
    elif stride > 1:
        logits = cell_logits(logits, marks, stride)
    loose = large and "tolerance" not in options
    options |= {"tolerance": LARGE_TOLERANCE} if loose else {}
    solution = solve(logits, image, seeds, energy, method, present=present, callback=callback, **options)
    del logits, image, seeds  # the files need memory, too
    of_cells, message = solution.labels, solution.message
    if stride > 1:
        message += f"; labels of cells of {stride} x {stride} pixels, interpolated at the pixels"
    vanished = (_counts(solved.seeds) > 0) & (_counts(cells.seeds) == 0)
    if lost := [name for name, gone in zip(solved.classes, vanished, strict=False) if gone]:
        message += f"; no cell has the seeds of {', '.join(lost)}, for want of a majority: take a smaller stride"
    if loose:
        message += (
            f"; the default tolerance is {LARGE_TOLERANCE:.2%} on photos of more than {LARGE / 1e6:.1f} megapixels"
        )
    labels = labels_at_pixels(of_cells, marks, stride)
    solution = replace(solution, labels=labels, message=message)
    names, ids = _names(sample, solution), _ids(sample, solution)
    planes = dict(zip(ids.tolist(), labels[0].float().cpu().numpy(), strict=True))
    write_labels(files["labels.npz"], planes, np.array(names))
    mask = hard_mask(sample, solution)
    write_seeds(files["mask.png"], mask)
    write_picture(files["picture.png"], cells, of_cells, ids, len(names), occurring_classes(sample, solution, mask))
    return Segmentation(sample, solution, files, mask)


def _predict(
    image: Tensor, seeds: Tensor, num_classes: int, energy: Energy, rounds: int, features: str | Path | None
) -> Tensor:
    """Predict from the seeds; uniformly where the predictions have no weight, since the solver would start from them."""
    if energy.eta == 0:
        return torch.zeros(1, num_classes, *seeds.shape[1:])
    maps = None if features is None else Backbone(features)
    return mixture_logits(image, seeds, num_classes, energy=energy, rounds=rounds, features=maps)
