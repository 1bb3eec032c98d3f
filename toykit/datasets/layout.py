"""Parts of the published layouts: lists of ids, folders of pictures, and tables from file values to class ids."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from toykit.conventions import UNLABELLED

#: Value in a mask: no class, left out of evaluation.
VOID = UNLABELLED
#: Entry of a table: a value that no file of the set may hold.
REFUSED = -1


def lookup_table(ids: dict[int, int], void: tuple[int, ...] = (255,)) -> np.ndarray:
    """Build the table from file values to class ids.

    Parameters
    ----------
    ids : dict from int to int
        The class id of each file value.
    void : tuple of int, default (255,)
        File values that mean void.

    Returns
    -------
    ndarray, shape (256,), int16
        The class id of each file value, `VOID` for those in `void`, `REFUSED` for all others.
    """
    lookup = np.full(256, REFUSED, np.int16)
    lookup[list(void)] = VOID
    lookup[list(ids)] = list(ids.values())
    return lookup


def plain_table(count: int, void: tuple[int, ...] = (255,)) -> np.ndarray:
    """Build the table of files that hold class ids themselves.

    Parameters
    ----------
    count : int
        Number of classes: the ids are 0..count-1.
    void : tuple of int, default (255,)
        File values that mean void.

    Returns
    -------
    ndarray, shape (256,), int16
        See `lookup_table`.
    """
    return lookup_table({k: k for k in range(count)}, void)


def read_lines(path: Path, what: str) -> list[str]:
    """Read the lines of a text file, stripped, without empty ones.

    Parameters
    ----------
    path : Path
    what : str
        What the lines are, for the message.

    Returns
    -------
    list of str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable; names it.
    """
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as a list of {what} ({error})") from error


def read_list(path: Path) -> tuple[str, ...]:
    """Read the ids in a text file, one per line.

    Parameters
    ----------
    path : Path

    Returns
    -------
    tuple of str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable or empty, or lists an id twice; names it.
    """
    ids = read_lines(path, "ids")
    if not ids:
        raise ValueError(f"{path}: the list is empty; expected one id per line")
    twice = _repeated(ids)
    if twice:
        raise ValueError(f"{path}: {', '.join(twice[:8])} listed more than once")
    return tuple(ids)


def pictures(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the JPEG and PNG files of a folder, sorted by name.

    Hidden files are left out: macOS leaves ._NAME beside a file.

    Parameters
    ----------
    folder : Path
    pattern : str, default "*"
        A glob pattern.

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError
        If there are none.
    ValueError
        If two differ only in their suffix.
    """
    suffixes = (".jpg", ".jpeg", ".png")
    paths = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in suffixes and not p.name.startswith("."))
    if not paths:
        raise FileNotFoundError(f"{folder}: no JPEG or PNG pictures{'' if pattern == '*' else f' named {pattern}'}")
    twice = _repeated(str(path.with_suffix("")) for path in paths)
    if twice:
        raise ValueError(f"{twice[0]}: there are two pictures of this name, with different suffixes")
    return paths


def _repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]
