"""Seed maps: class ids per pixel, read from an indexed PNG (`toykit.supervision.indexed_png`) or drawn from strokes."""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toykit.conventions import PADDING, UNLABELLED
from toykit.supervision.findings import SeedWarning, class_findings, fatal_findings, map_findings, stroke_findings
from toykit.supervision.indexed_png import read_class_names, read_upright
from toykit.supervision.spec import check_unlabelled
from toykit.supervision.strokes import check_scales, read_scribbles

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
        if scribbles.size != tuple(size):
            drawn = "{} x {}".format(*scribbles.size)
            notes.append(f"the strokes on {drawn} pixels were scaled to the photo's {size[0]} x {size[1]}")
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
    ids, turned = read_upright(path, max(MOST_PIXELS, 16 * size[0] * size[1]))
    notes = ["the map was turned upright according to its EXIF orientation, as photos are"] if turned else []
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
