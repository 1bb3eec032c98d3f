"""Seed maps: class ids per pixel, read from an indexed PNG or drawn from strokes, and written as an indexed PNG.

An indexed PNG has one byte per pixel (mode P or L): class id, 255 = unlabelled, 254 = padding.
"""

from pathlib import Path

import numpy as np

from toykit._shared.files import write_atomically
from toykit._shared.palette import voc_palette
from toykit.conventions import PADDING, UNLABELLED
from toykit.supervision.strokes import check_scales, read_scribbles


def read_seeds(path: str | Path, size: tuple[int, int]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the seeds of a photo from an indexed PNG or a JSON file of strokes.

    Parameters
    ----------
    path : str or Path
        A file with the suffix .json holds strokes (`toykit.supervision.strokes`); any other is read as a PNG.
    size : (int, int)
        Width and height of the photo.

    Returns
    -------
    seeds : ndarray, shape (H, W), uint8
        Class ids, 254 or 255.
    classes : tuple of str
        Class names; "class 0", "class 1", ... for a PNG, up to its largest id, at least two.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable, holds colours instead of ids, or has another size; names the file.
    """
    path = Path(path)
    if path.suffix.lower() == ".json":
        scribbles = read_scribbles(path)
        check_scales(path, scribbles.size, size)
        return scribbles.draw(size), scribbles.classes
    seeds = read_indexed_png(path)
    if seeds.shape != (size[1], size[0]):
        raise ValueError(
            f"{path}: the seeds are {seeds.shape[1]} x {seeds.shape[0]} pixels, the photo {size[0]} x {size[1]}"
        )
    ids = seeds[(seeds != UNLABELLED) & (seeds != PADDING)]
    count = max(2, int(ids.max()) + 1 if ids.size else 2)
    return seeds, tuple(f"class {k}" for k in range(count))


def read_indexed_png(path: str | Path) -> np.ndarray:
    """Read the class ids of an indexed PNG.

    Parameters
    ----------
    path : str or Path
        A PNG of mode P or L.

    Returns
    -------
    ndarray, shape (H, W), uint8

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable, is not a PNG, or holds colours instead of ids; names the file.
    """
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as file:
            mode, ids = file.mode, np.array(file)
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, SyntaxError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a PNG ({error})") from error
    if mode not in ("P", "L"):
        colours = mode not in ("1", "I", "I;16")
        reason = "in a picture of colours it is not clear which class a pixel has" if colours else "save it with 8 bits"
        raise ValueError(f"{path}: expected an indexed PNG (mode P or L) of class ids, got mode {mode}; {reason}")
    return ids


def write_seeds(path: str | Path, seeds: np.ndarray) -> None:
    """Write a map of class ids as an indexed PNG in VOC's colours; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    seeds : ndarray, shape (H, W), uint8
        Class ids, 254 or 255.
    """
    from PIL import Image

    picture = Image.fromarray(np.asarray(seeds, dtype=np.uint8), mode="P")
    picture.putpalette((voc_palette(256) * 255).round().astype(np.uint8).tobytes())
    write_atomically(path, lambda file: picture.save(file, format="PNG"))
