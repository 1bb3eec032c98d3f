"""Seed maps: class ids per pixel, read from an indexed PNG or drawn from strokes, and written as an indexed PNG.

An indexed PNG has one byte per pixel (mode P or L): class id, 255 = unlabelled, 254 = padding. Its text `CLASSES` may hold the
class names by id, as a list in JSON.
"""

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toykit._shared.files import write_atomically
from toykit._shared.palette import voc_palette
from toykit.conventions import PADDING, UNLABELLED
from toykit.supervision.findings import SeedWarning, class_findings, fatal_findings, map_findings, stroke_findings
from toykit.supervision.spec import check_unlabelled
from toykit.supervision.strokes import check_scales, read_scribbles

#: Key of the class names among a PNG's texts.
CLASSES = "toykit classes"
MOST_PIXELS = 50_000_000  # larger maps are refused undecoded, unless the photo is nearly as large


@dataclass(frozen=True)
class SeedMap:
    """The seeds of a photo, as they were read from a file.

    Parameters
    ----------
    seeds : ndarray, shape (H, W), uint8
        Class ids, 254 or 255.
    classes : tuple of str
        Class names by id.
    notes : tuple of str
        What is suspicious about the file, see `toykit.supervision.findings`; each begins with the file.
    named : bool
        Whether the file holds names of classes.
    """

    seeds: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    named: bool


def read_seeds(
    path: str | Path, size: tuple[int, int], unlabelled: int = UNLABELLED
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read the seeds of a photo from an indexed PNG or a JSON file of strokes.

    Parameters
    ----------
    path : str or Path
        A file with the suffix .json holds strokes (`toykit.supervision.strokes`); any other is read as a PNG.
    size : (int, int)
        Width and height of the photo. Seeds of another size of the same shape are scaled to it: strokes as polylines, a PNG by
        nearest neighbour.
    unlabelled : int, default 255
        The id in a PNG that means "no label", besides 255.

    Returns
    -------
    seeds : ndarray, shape (H, W), uint8
        Class ids, 254 or 255.
    classes : tuple of str
        Class names; "class 0", "class 1", ... for a PNG without names, up to its largest id, at least two.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable, holds colours instead of ids, has another shape than the photo, or soft edges instead of ids;
        names the file. Also for strokes with another `unlabelled` than 255, which has no effect on them.

    Warns
    -----
    SeedWarning
        If the file can be used but looks as if something else was meant, see `toykit.supervision.findings`.
    """
    read = inspect_seeds(path, size, unlabelled)
    for note in read.notes:
        warnings.warn(note, SeedWarning, stacklevel=2)
    return read.seeds, read.classes


def inspect_seeds(path: str | Path, size: tuple[int, int], unlabelled: int = UNLABELLED) -> SeedMap:
    """Read the seeds of a photo as `read_seeds` does, and return what is suspicious about them instead of warning.

    Parameters
    ----------
    path, size, unlabelled
        See `read_seeds`.

    Returns
    -------
    SeedMap

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_seeds`.
    """
    path = Path(path)
    check_unlabelled(unlabelled)
    if path.suffix.lower() == ".json":
        if unlabelled != UNLABELLED:
            raise ValueError(
                f"{path}: unlabelled={unlabelled} has no effect on strokes, because all pixels without one are unlabelled; "
                "leave it out"
            )
        scribbles = read_scribbles(path)
        check_scales(path, scribbles.size, size)
        seeds, classes, notes = scribbles.draw(size), scribbles.classes, stroke_findings(scribbles)
        declared = classes
    else:
        seeds, notes = read_drawn_map(path, size, unlabelled)
        ids = seeds[seeds < PADDING]
        count = max(2, int(ids.max()) + 1 if ids.size else 2)
        named = read_class_names(path)
        classes = named + tuple(f"class {k}" for k in range(len(named), count))
        notes, declared = notes + map_findings(seeds), named + ("",) * (count - len(named))
    notes = notes + class_findings(seeds, declared)
    return SeedMap(seeds, classes, tuple(f"{path}: {note}" for note in notes), any(declared))


def read_drawn_map(
    path: str | Path, size: tuple[int, int], unlabelled: int = UNLABELLED
) -> tuple[np.ndarray, list[str]]:
    """Read an indexed PNG at a photo's size.

    Parameters
    ----------
    path, size, unlabelled
        See `read_seeds`.

    Returns
    -------
    ids : ndarray, shape (H, W), uint8
    notes : list of str
        What was done to it, and what looks wrong about that.

    Raises
    ------
    FileNotFoundError, ValueError
        See `read_seeds`.
    """
    ids, notes = read_indexed_png(path, max(MOST_PIXELS, 16 * size[0] * size[1])), []
    # before ids are replaced or scaled: soft edges lie between the strokes and what is around them
    if fatal := fatal_findings(ids):
        raise ValueError(f"{path}: {fatal[0]}")
    if unlabelled != UNLABELLED:
        both = int((ids == UNLABELLED).sum())
        if both:
            notes.append(f"{UNLABELLED} means unlabelled besides {unlabelled}; {both} pixels hold it")
        if not (ids == unlabelled).any():
            notes.append(f"no pixel holds {unlabelled}, which was given as unlabelled; the map holds {_listed(ids)}")
        ids = np.where(ids == unlabelled, np.uint8(UNLABELLED), ids)
    own = (ids.shape[1], ids.shape[0])
    if own == tuple(size):
        return ids, notes
    _check_same_shape(path, own, size)
    scaled = scale_ids(ids, size)
    lost = sorted(set(np.unique(ids).tolist()) - set(np.unique(scaled).tolist()))
    notes.append(
        f"the map of {own[0]} x {own[1]} pixels was scaled to the photo's {size[0]} x {size[1]} by nearest neighbour"
    )
    if lost:
        notes.append(f"ids {', '.join(map(str, lost))} have no pixel left after scaling; draw them wider")
    return scaled, notes


def scale_ids(ids: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Scale a map of ids by nearest neighbour.

    Parameters
    ----------
    ids : ndarray, shape (H, W)
    size : (int, int)
        Width and height of the result.

    Returns
    -------
    ndarray, shape (height, width)
        Each pixel takes the id at its centre.
    """
    rows, columns = (
        ((np.arange(new) + 0.5) * old / new).astype(int) for old, new in zip(ids.shape, size[::-1], strict=True)
    )
    return ids[np.ix_(rows, columns)]


def _check_same_shape(path: str | Path, own: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise ValueError unless a map is the photo scaled: one factor along both sides, and not a few pixels more or less."""
    close = all(abs(a - b) <= 3 and 2 * max(a, b) < 3 * min(a, b) for a, b in zip(own, size, strict=True))
    if close or abs(own[0] * size[1] - own[1] * size[0]) > max(*own, *size):
        reason = "which is cropped or padded, not scaled" if close else "which is another shape"
        raise ValueError(
            f"{path}: the seeds are {own[0]} x {own[1]} pixels, the photo {size[0]} x {size[1]}, {reason}; is it the map of "
            "this photo? Draw on the photo at its own size, or at a smaller size of the same shape"
        )


def _listed(ids: np.ndarray) -> str:
    """List some of the ids of a map."""
    values = np.unique(ids).tolist()
    return ", ".join(map(str, values[:8])) + (" ..." if len(values) > 8 else "")


def read_indexed_png(path: str | Path, most_pixels: int | None = None) -> np.ndarray:
    """Read the class ids of an indexed PNG.

    Parameters
    ----------
    path : str or Path
        A PNG of mode P or L.
    most_pixels : int, optional
        A larger map is refused before it is decoded.

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
            mode, raw = file.mode, file.tile[0][3] if file.tile else ""
            size = f"{file.width} x {file.height} pixels"
            if mode in ("P", "L") and most_pixels is not None and file.width * file.height > most_pixels:
                raise ValueError(f"it has {size}; expected at most {most_pixels} altogether")
            ids = np.array(file) if mode in ("P", "L") else np.empty(0)  # a picture of colours is refused undecoded
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
    return ids


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
