"""Indexed PNGs: one byte per pixel (mode P or L): class id, 255 = unlabelled, 254 = padding.

The text `CLASSES` of such a file may hold the class names by id, as a list in JSON.
"""

import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from toykit._shared.files import write_atomically
from toykit._shared.palette import voc_palette
from toykit._shared.png import verify_png
from toykit.conventions import PADDING

#: Key of the class names among a PNG's texts.
CLASSES = "toykit classes"


def read_indexed_png(path: str | Path) -> np.ndarray:
    """Read the class ids of an indexed PNG, see `read_upright`."""
    return read_upright(path)[0]


def read_upright(path: str | Path, most_pixels: int | None = None) -> tuple[np.ndarray, bool]:
    """Read the class ids of an indexed PNG, turned upright as photos are, according to its EXIF orientation.

    Parameters
    ----------
    path : str or Path
        A PNG of mode P or L.
    most_pixels : int, optional
        A larger map is refused before it is decoded.

    Returns
    -------
    ids : ndarray, shape (H, W), uint8
    turned : bool
        Whether it was turned or mirrored.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable or damaged, is not a PNG, or holds colours instead of ids; names the file.
    """
    from PIL import Image

    try:
        verify_png(path)
        with Image.open(path, formats=["PNG"]) as file:
            mode, raw = file.mode, file.tile[0][3]
            size = f"{file.width} x {file.height} pixels"
            if mode in ("P", "L") and most_pixels is not None and file.width * file.height > most_pixels:
                raise ValueError(f"it has {size}; expected at most {most_pixels} altogether")
            # a picture of colours is refused undecoded
            ids = np.array(file) if mode in ("P", "L") else np.empty(0)
            method = _turn(file) if mode in ("P", "L") else None
            if method is not None:
                ids = np.array(Image.fromarray(ids).transpose(method))
    except FileNotFoundError:
        raise
    except (Image.DecompressionBombError, SyntaxError, OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read as a PNG ({error})") from error
    if mode not in ("P", "L"):
        colours = mode not in ("1", "I", "I;16")
        reason = "in a picture of colours it is not clear which class a pixel has" if colours else "save it with 8 bits"
        raise ValueError(f"{path}: expected an indexed PNG (mode P or L) of class ids, got mode {mode}; {reason}")
    if raw in ("L;2", "L;4"):  # grey values of 2 or 4 bits, which Pillow stretches to 0..255
        ids //= 255 // (2 ** int(raw[-1]) - 1)
    return ids, method is not None


def _turn(file):
    """Return how Pillow turns a decoded picture upright; None if it is, or if its EXIF cannot be read."""
    from PIL.Image import Transpose as T

    methods = dict(enumerate((T.FLIP_LEFT_RIGHT, T.ROTATE_180, T.FLIP_TOP_BOTTOM, T.TRANSPOSE, T.ROTATE_270, T.TRANSVERSE,
                              T.ROTATE_90), 2))  # fmt: skip
    try:
        return methods.get(file.getexif().get(0x0112))
    except (ArithmeticError, AttributeError, LookupError, OSError, SyntaxError, TypeError, ValueError, struct.error):
        return None


def read_class_names(path: str | Path) -> tuple[str, ...]:
    """Return the class names in a PNG that `write_seeds` wrote with names; of any other PNG none.

    Parameters
    ----------
    path : str or Path
        A PNG that can be read.

    Returns
    -------
    tuple of str
    """
    from PIL import Image

    with Image.open(path, formats=["PNG"]) as file:
        file.load()  # texts may follow the pixels
        text = file.info.get(CLASSES, "")
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return ()
    valid = isinstance(names, list) and all(isinstance(name, str) for name in names) and len(set(names)) == len(names)
    return tuple(names) if valid and len(names) <= PADDING else ()


def write_seeds(path: str | Path, seeds: np.ndarray, classes: Sequence[str] = ()) -> None:
    """Write a map of class ids as an indexed PNG in VOC's colours; the file appears whole or not at all.

    Parameters
    ----------
    path : str or Path
    seeds : ndarray, shape (H, W), uint8
        Class ids, 254 or 255.
    classes : sequence of str, default ()
        Class names by id, which `read_seeds` returns. Default: the file holds no names.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    picture = Image.fromarray(np.asarray(seeds, dtype=np.uint8), mode="P")
    picture.putpalette((voc_palette(256) * 255).round().astype(np.uint8).tobytes())
    texts = PngInfo()
    if classes:
        texts.add_itxt(CLASSES, json.dumps(list(classes)))
    write_atomically(path, lambda file: picture.save(file, format="PNG", pnginfo=texts))
