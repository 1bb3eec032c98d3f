"""Compute soft labels, a hard mask and a picture from one photo and its scribbles: eq. (8)'s sub-problem without a network."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.files import write_atomically
from toykit.conventions import PADDING
from toykit.datasets.sample import Sample, read_image
from toykit.energy import Energy
from toykit.energy.cells import cell_inputs
from toykit.mixture_model import ROUNDS, Backbone, mixture_logits
from toykit.solvers import Solution, solve
from toykit.supervision import read_seeds, write_seeds

#: Longer side of a photo in the picture, in pixels: a panel shows no more.
LONGEST = 1000


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


def read_sample(image: str | Path, seeds: str | Path) -> Sample:
    """Read a photo and its scribbles.

    Parameters
    ----------
    image : str or Path
        The photo.
    seeds : str or Path
        Its scribbles, see `toykit.supervision.read_seeds`.

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
    """
    picture = read_image(image)
    height, width = picture.shape[:2]
    seed_map, classes = read_seeds(seeds, (width, height))
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
        If it contains anything else; the message names the file and its content.
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
    native = np.float64 if array.dtype.itemsize >= 8 else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, dtype=native))[None]


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
    classes = solution.labels[0].argmax(0).cpu().numpy().astype(np.uint8)
    return np.where(sample.seeds == PADDING, np.uint8(PADDING), classes)


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
        See `toykit.solve`.
    logits : Tensor, float (1, K, H, W), optional
        A network's logits. By default those of a model that is fitted on the seeds, `toykit.mixture_model.mixture_logits`; with
        eta = 0 the solver only starts from them.
    rounds : int, default `toykit.mixture_model.ROUNDS`
        Largest number of refits of that model to soft labels; no effect with `logits`.
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
        If the folder cannot be made.
    """
    Path(output).mkdir(parents=True, exist_ok=True)  # raise the error of an impossible folder before any work
    image, seeds = sample.tensors()
    if logits is None:
        maps = None if features is None else Backbone(features)
        logits = mixture_logits(image, seeds, len(sample.classes), energy=energy, rounds=rounds, features=maps)
    solution = solve(logits, image, seeds, energy, method, callback=callback, **options)
    labels = solution.labels[0]
    names = sample.classes + tuple(f"class {k}" for k in range(len(sample.classes), len(labels)))
    stem = Path(output) / sample.name
    files = {kind: stem.with_name(f"{stem.name}_{kind}") for kind in ("labels.npz", "mask.png", "picture.png")}
    array, classes = labels.float().cpu().numpy(), np.array(names)
    write_atomically(files["labels.npz"], lambda file: np.savez_compressed(file, labels=array, classes=classes))
    write_seeds(files["mask.png"], hard_mask(sample, solution))
    _write_picture(files["picture.png"], sample, labels, names)
    return Segmentation(sample, solution, files)


def _write_picture(path: Path, sample: Sample, labels: Tensor, names: tuple[str, ...]) -> None:
    """Write a picture of seeds, soft labels, their entropy and the hard mask."""
    import matplotlib.pyplot as plt

    from toykit import plots

    plots.style()
    stride = -(-max(sample.seeds.shape) // LONGEST)  # a large photo is drawn smaller
    small, photo, seeds = (x[0] for x in cell_inputs(labels[None], *sample.tensors(), stride))
    image = photo.round().byte().permute(1, 2, 0).numpy()
    marks = seeds.numpy().astype(np.uint8)
    pictures = {
        "photo and seeds": plots.overlay_seeds(image, marks, len(names), fade=0.3),
        "soft labels": plots.soft_colors(small),
        "their entropy (black: uncertain)": plots.entropy_map(small),
        "hard mask": plots.hard_colors(small),
    }
    figure = plots.panels(pictures, columns=2, legend=names, named={"photo and seeds": marks})
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
    plt.close(figure)
