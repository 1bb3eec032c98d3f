"""Compute soft labels, a hard mask and a picture from one photo and its scribbles: eq. (8)'s sub-problem without a network."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from toykit._shared.files import check_writable, write_atomically
from toykit.conventions import PADDING
from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.energy.cells import cell_logits, cell_photo, cell_seeds
from toykit.mixture_model import ROUNDS, Backbone, mixture_logits
from toykit.simplex import most_likely
from toykit.solvers import Solution, solve
from toykit.supervision import write_seeds

#: Photos of more pixels are solved by "fast" to this tolerance, unless one is given: a sweep takes seconds, and the later ones
#: change few labels.
LARGE, LARGE_TOLERANCE = 1 << 22, 1e-3
#: Longer side of a photo in the picture, in pixels: a panel shows no more.
LONGEST = 1000
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


def segment(
    sample: Sample,
    output: str | Path,
    energy: Energy,
    method: str = "fast",
    *,
    logits: Tensor | None = None,
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
        padding) and NAME_picture.png (seeds, soft labels, their entropy, hard mask).
    energy, method, callback, **options
        See `toykit.solve`. The default tolerance of the solver "fast" is `LARGE_TOLERANCE` on photos of more than `LARGE`
        pixels; the solution's message reports it.
    logits : Tensor, float (1, K, H, W), optional
        A network's logits. By default those of a model that is fitted on the seeds, `toykit.mixture_model.mixture_logits`; with
        eta = 0 uniform ones.
    rounds : int, default `toykit.mixture_model.ROUNDS`
        Largest number of refits of that model to soft labels, with `features` at most one; no effect with `logits`.
    features : str or Path, optional
        A pre-trained network for that model, see `toykit.mixture_model.Backbone`; no effect with `logits`.

    Returns
    -------
    Segmentation
        The solver's result and the files.

    Raises
    ------
    TypeError, ValueError
        Those of `toykit.solve` and `toykit.mixture_model.Backbone`; no file is written then.
    OSError
        If the folder cannot be made or written.
    """
    check_writable(output)  # before any work
    Path(output).mkdir(parents=True, exist_ok=True)
    solved, present = sample, None
    if logits is None:  # the model of the seeds knows the classes with seeds only
        solved = _renumbered(sample, _solved_ids(sample))
        present = torch.from_numpy(solved.present())[None]
    image, seeds = solved.tensors(torch.uint8)
    image = image.contiguous()  # its channels are read one by one
    if logits is None:
        logits = _predict(image, seeds, len(solved.classes), energy, rounds, features)
    large = method == "fast" and sample.seeds.size > LARGE and "tolerance" not in options
    options |= {"tolerance": LARGE_TOLERANCE} if large else {}
    solution = solve(logits, image, seeds, energy, method, present=present, callback=callback, **options)
    if large:
        note = f"; the default tolerance is {LARGE_TOLERANCE:.2%} on photos of more than {LARGE / 1e6:.1f} megapixels"
        solution = replace(solution, message=solution.message + note)
    del logits, image, seeds  # the files need memory, too
    labels = solution.labels[0]
    names = _names(sample, solution)
    stem = Path(output) / sample.name
    files = {kind: stem.with_name(f"{stem.name}_{kind}") for kind in FILES}
    planes = dict(zip(_ids(sample, solution).tolist(), labels.float().cpu().numpy(), strict=True))
    write_atomically(files["labels.npz"], lambda file: _write_npz(file, planes, np.array(names)))
    mask = hard_mask(sample, solution)
    write_seeds(files["mask.png"], mask)
    _write_picture(files["picture.png"], sample, solution, occurring_classes(sample, solution, mask))
    return Segmentation(sample, solution, files, mask)


def _predict(
    image: Tensor, seeds: Tensor, num_classes: int, energy: Energy, rounds: int, features: str | Path | None
) -> Tensor:
    """Predict from the seeds; uniformly where the predictions have no weight, since the solver would start from them."""
    if energy.eta == 0:
        return torch.zeros(1, num_classes, *seeds.shape[1:])
    maps = None if features is None else Backbone(features)
    return mixture_logits(image, seeds, num_classes, energy=energy, rounds=rounds, features=maps)


def _write_npz(file: BinaryIO, planes: dict[int, np.ndarray], names: np.ndarray) -> None:
    """Write labels and names as `numpy.savez_compressed` does, with less effort: two thirds of the time, 2% more bytes.

    planes: the labels (H, W) of some ids; those of the others are zero.
    """
    blank = np.zeros_like(next(iter(planes.values())))
    header = {
        "descr": np.lib.format.dtype_to_descr(blank.dtype),
        "fortran_order": False,
        "shape": (len(names), *blank.shape),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        with archive.open("labels.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for k in range(len(names)):
                member.write(np.ascontiguousarray(planes.get(k, blank)).data)
        with archive.open("classes.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, names, allow_pickle=False)


def _write_picture(path: Path, sample: Sample, solution: Solution, names: dict[int, str]) -> None:
    """Write a picture of seeds, soft labels, their entropy and the hard mask."""
    import matplotlib.pyplot as plt

    from toykit import plots

    plots.style()
    stride = -(-max(sample.seeds.shape) // LONGEST)  # a large photo is drawn smaller
    ids, classes = _ids(sample, solution), len(_names(sample, solution))
    solved = sample if len(ids) == classes else _renumbered(sample, ids)
    photo, seeds = solved.tensors(torch.uint8)
    small = cell_logits(solution.labels, seeds, stride)[0].cpu()
    photo, seeds = cell_photo(photo, seeds, stride)[0], cell_seeds(seeds, len(small), stride)[0]
    used = small.flatten(1).any(1)  # the largest entropy is that of the classes that take part
    image = photo.round().byte().permute(1, 2, 0).numpy()
    marks = seeds.numpy().astype(np.uint8)
    marks = np.where(marks < len(ids), ids[np.minimum(marks, len(ids) - 1)], marks).astype(np.uint8)
    padding = marks == PADDING
    hard = np.where(padding, np.uint8(PADDING), ids[most_likely(small).numpy()].astype(np.uint8))
    tints = plots.class_tints(classes, plots.background_class(names), hard)
    pictures = {
        "photo and seeds": plots.overlay_seeds(image, marks, classes, 0.3, tints),
        "soft labels (a bare photo: undecided)": plots.label_picture(image, small, tints[ids]),
        "their entropy (black: uncertain)": plots.entropy_map(small[used] if used.sum() > 1 else small),
        "hard mask": np.where(padding[..., None], 1.0, plots.hard_colors(small, tints[ids])),
    }
    figure = plots.panels(pictures, columns=2, legend=names, named={"photo and seeds": marks}, colors=tints)
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
    plt.close(figure)
