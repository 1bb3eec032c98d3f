"""Compute soft labels, a hard mask and a picture from one photo and its scribbles: eq. (8)'s sub-problem without a network."""

import warnings
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from toykit._shared.files import check_writable, write_atomically
from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.sample import Sample, read_image
from toykit.energy import Energy
from toykit.energy.cells import cell_inputs
from toykit.seed_model import seed_logits
from toykit.solvers import Solution, solve
from toykit.supervision import SeedWarning, read_seeds, write_seeds

#: Longer side of a photo in the picture, in pixels: a panel shows no more.
LONGEST = 1000
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
        The solver's result.
    files : dict
        The files that were written, by kind: "labels.npz", "mask.png", "picture.png".
    """

    sample: Sample
    solution: Solution
    files: dict[str, Path]


def read_sample(image: str | Path, seeds: str | Path, unlabelled: int = UNLABELLED) -> Sample:
    """Read a photo and its scribbles.

    Parameters
    ----------
    image : str or Path
        The photo.
    seeds : str or Path
        Its scribbles, see `toykit.supervision.read_seeds`.
    unlabelled : int, default 255
        The id in an indexed PNG that means "no label", besides 255.

    Returns
    -------
    Sample
        The photo with its scribbles.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If a file cannot be read, or no pixel carries a class; the message names the file.

    Warns
    -----
    SeedWarning
        If the scribbles look as if something else was meant, see `toykit.supervision.findings`.
    """
    picture = read_image(image)
    height, width = picture.shape[:2]
    seed_map, classes = read_seeds(seeds, (width, height), unlabelled)
    sample = Sample(Path(image).stem, picture, seed_map, classes)
    if sample.seeded_share() == 0:
        raise ValueError(f"{seeds}: no pixel carries a class; draw at least one scribble")
    return sample


def read_logits(path: str | Path, num_classes: int, size: tuple[int, int]) -> Tensor:
    """Read a network's logits from an NPY file.

    Parameters
    ----------
    path : str or Path
        The file; its array has shape (K, H, W) or (1, K, H, W).
    num_classes : int
        Number of classes of the seeds, the smallest possible K.
    size : tuple of int
        (width, height) of the photo.

    Returns
    -------
    Tensor, float32 or float64 (1, K, H, W)
        The logits.

    Raises
    ------
    FileNotFoundError
        If the file is missing.
    ValueError
        If it contains anything else, such as probabilities, NaN or infinite values; the message names the file and its content.

    Warns
    -----
    SeedWarning
        If all values lie in 0..1, as a sigmoid's do.
    """
    try:
        with open(path, "rb") as file:
            array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise ValueError(f"{path}: cannot be read as an NPY file ({error})") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one array (NPY), got an archive of several (NPZ)")
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    if array.ndim != 3 or array.shape[1:] != size[::-1] or array.shape[0] < num_classes or array.dtype.kind != "f":
        raise ValueError(
            f"{path}: expected floating logits (K, {size[1]}, {size[0]}) with K of at least {num_classes}, got "
            f"{array.dtype} {array.shape}"
        )
    _check_logits(path, array)
    native = np.float64 if array.dtype.itemsize >= 8 else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, dtype=native))[None]


def _check_logits(path: str | Path, array: np.ndarray) -> None:
    """Raise ValueError for values that are not finite, or probabilities; warn of values that a sigmoid may have produced."""
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(x) for x in np.argwhere(~finite)[0])
        raise ValueError(
            f"{path}: {int((~finite).sum())} of {array.size} logits are NaN or infinite, the first at {first} ({array[first]})"
        )
    if array.min() < 0 or array.max() > 1 or array.min() == array.max():
        return
    if np.abs(array.sum(0, dtype=np.float64) - 1).max() < 1e-2:
        raise ValueError(
            f"{path}: these look like probabilities (in 0..1, and each pixel's sum is 1); expected logits, the values before "
            "the softmax. The logarithm of probabilities p serves as well: np.log(np.maximum(p, 1e-6))"
        )
    warnings.warn(
        f"{path}: all values lie in 0..1; expected logits, the values before the softmax or sigmoid",
        SeedWarning,
        stacklevel=3,
    )


def occurring_classes(sample: Sample, solution: Solution) -> dict[int, str]:
    """Return the classes that the seeds or the hard mask hold.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    solution : Solution
        Its soft labels.

    Returns
    -------
    dict from int to str
        Id -> name, in the order of ids.
    """
    held = set(np.unique(sample.seeds).tolist()) | set(np.unique(hard_mask(sample, solution)).tolist())
    names = _names(sample, solution)
    return {k: names[k] for k in sorted(held) if k < len(names)}


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
    labels = solution.labels[0].cpu().numpy()
    mask, highest = np.zeros(labels.shape[1:], np.uint8), labels[0].copy()
    for number, share in enumerate(labels[1:], 1):  # argmax over the first axis takes ten times as long
        mask[share > highest] = number
        np.maximum(highest, share, out=highest)
    mask[sample.seeds == PADDING] = PADDING
    return mask


def class_shares(sample: Sample, solution: Solution) -> dict[str, float]:
    """Return the share of the photo's pixels in the hard mask of each class that occurs, by class name.

    Parameters
    ----------
    sample : Sample
        The photo with its scribbles.
    solution : Solution
        Its soft labels.

    Returns
    -------
    dict
        Class name -> share in [0, 1], without padding.
    """
    mask = hard_mask(sample, solution)[sample.seeds != PADDING]
    return {name: float((mask == number).mean()) for number, name in occurring_classes(sample, solution).items()}


def segment(
    sample: Sample,
    output: str | Path,
    energy: Energy,
    method: str = "fast",
    *,
    logits: Tensor | None = None,
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
        See `toykit.solve`.
    logits : Tensor, float (1, K, H, W), optional
        A network's logits. By default those of a model that is fitted on the seeds, `toykit.seed_model.seed_logits`; with
        eta = 0 the solver only starts from them.

    Returns
    -------
    Segmentation
        The solver's result and the files.

    Raises
    ------
    TypeError, ValueError
        Those of `toykit.solve`; no file is written then.
    OSError
        If the folder cannot be made or written.
    """
    check_writable(output)  # before any work
    Path(output).mkdir(parents=True, exist_ok=True)
    image, seeds = sample.tensors()
    present = None
    if logits is None:  # the model of the seeds knows the classes with seeds only
        logits = seed_logits(image, seeds, len(sample.classes))
        present = torch.from_numpy(sample.present())[None]
    solution = solve(logits, image, seeds, energy, method, present=present, callback=callback, **options)
    del logits, image, seeds  # the files need memory, too
    labels = solution.labels[0]
    names = _names(sample, solution)
    stem = Path(output) / sample.name
    files = {kind: stem.with_name(f"{stem.name}_{kind}") for kind in FILES}
    arrays = {"labels": labels.float().cpu().numpy(), "classes": np.array(names)}
    write_atomically(files["labels.npz"], lambda file: _write_npz(file, arrays))
    write_seeds(files["mask.png"], hard_mask(sample, solution))
    _write_picture(files["picture.png"], sample, labels, occurring_classes(sample, solution))
    return Segmentation(sample, solution, files)


def _write_npz(file: BinaryIO, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as `numpy.savez_compressed` does, but with less effort: two thirds of the time for a file 2% larger."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)


def _write_picture(path: Path, sample: Sample, labels: Tensor, names: dict[int, str]) -> None:
    """Write a picture of seeds, soft labels, their entropy and the hard mask."""
    import matplotlib.pyplot as plt

    from toykit import plots

    plots.style()
    stride = -(-max(sample.seeds.shape) // LONGEST)  # a large photo is drawn smaller
    small, photo, seeds = (x[0] for x in cell_inputs(labels[None], *sample.tensors(), stride))
    used = small.flatten(1).any(1)  # the largest entropy is that of the classes that take part
    image = photo.round().byte().permute(1, 2, 0).numpy()
    marks = seeds.numpy().astype(np.uint8)
    pictures = {
        "photo and seeds": plots.overlay_seeds(image, marks, len(labels), fade=0.3),
        "soft labels": plots.soft_colors(small),
        "their entropy (black: uncertain)": plots.entropy_map(small[used] if used.sum() > 1 else small),
        "hard mask": plots.hard_colors(small),
    }
    figure = plots.panels(pictures, columns=2, legend=names, named={"photo and seeds": marks})
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
    plt.close(figure)
