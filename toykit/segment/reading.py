"""Read what `toykit segment` gets: a photo, its scribbles, and perhaps a network's logits."""

import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit._shared.tensors import load_array
from toykit.conventions import PADDING, UNLABELLED
from toykit.datasets.sample import Sample, read_image
from toykit.supervision import SeedWarning, read_seeds


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
        If it contains anything else, such as probabilities, their costs (-log p), NaN or infinite values; the message names
        the file and its content.

    Warns
    -----
    SeedWarning
        If all values lie in 0..1, as a sigmoid's do.
    """
    array = load_array(path)
    array = array[0] if array.ndim == 4 and len(array) == 1 else array
    fits = array.ndim == 3 and array.shape[1:] == size[::-1] and num_classes <= array.shape[0] <= PADDING
    if not fits or array.dtype.kind != "f":
        raise ValueError(
            f"{path}: expected floating logits (K, {size[1]}, {size[0]}) with K from {num_classes} to {PADDING}, got "
            f"{array.dtype} {array.shape}"
        )
    _check_logits(path, array)
    native = np.float64 if array.dtype.itemsize >= 8 else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, dtype=native))[None]


def _check_logits(path: str | Path, array: np.ndarray) -> None:
    """Raise ValueError for values that are not finite, probabilities or costs; warn of values that a sigmoid may give."""
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(x) for x in np.argwhere(~finite)[0])
        raise ValueError(
            f"{path}: {int((~finite).sum())} of {array.size} logits are NaN or infinite, the first at {first} ({array[first]})"
        )
    if array.min() < -1e-5 or (array == array[:, :1, :1]).all():  # the latter do not depend on the photo
        return
    sums = array.sum(0, dtype=np.float64)
    for total in (1, 100, 255):
        sure = total > 1 and np.isin(array, (0, total)).all()  # one-hot labels times a weight serve as logits
        if not sure and _nearly_all(sums, total, 0.01) and array.max() < 1.02 * total:
            raise ValueError(
                f"{path}: these look like probabilities (not negative, and each pixel's sum is {total}); expected logits, the "
                "values before the softmax. The logarithm of probabilities p in 0..1 serves as well: "
                "np.log(np.maximum(p, 1e-6))"
            )
    some = array[:, ::4, ::4].astype(np.float64)
    # with two classes, sure logits (0, 9) look alike, but costs are 0 for a probability of 1 only
    if _nearly_all(np.exp(-some).sum(0), 1, 0.005) and (some.min(0) > 0).mean() > 0.5:
        raise ValueError(
            f"{path}: these look like costs, -log p of probabilities p; expected logits, which are largest for the most likely "
            "class: change their sign"
        )
    if array.max() <= 1:
        warnings.warn(
            f"{path}: all values lie in 0..1; expected logits, the values before the softmax or sigmoid",
            SeedWarning,
            stacklevel=3,
        )


def _nearly_all(values: np.ndarray, expected: float, tolerance: float) -> bool:
    """Return whether 95% of some values are the expected one, but for a relative tolerance; a border may differ."""
    return float((np.abs(values - expected) < tolerance * expected).mean()) > 0.95
