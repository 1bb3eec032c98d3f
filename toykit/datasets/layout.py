"""Parts of the published layouts: lists of ids, folders of pictures, and tables from file values to class ids."""

import codecs
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from toykit.conventions import UNLABELLED
from toykit.supervision.findings import edge_findings

#: Suffixes of photos, in lower case; files with others are left out.
PICTURES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")
#: What an id does not contain: a folder, or the suffix of a picture.
_NO_ID = re.compile(r"[/\\]|\.(jpe?g|png|tiff?|bmp|webp)\b", re.IGNORECASE)
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
        return [line.strip() for line in decode_text(path.read_bytes()).splitlines() if line.strip()]
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{path}: no such file; a list of {what}, one per line, is expected there") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as a list of {what} ({error})") from error


def decode_text(content: bytes) -> str:
    """Decode a text file: UTF-8, or UTF-16 with a byte order mark as some editors write it.

    Parameters
    ----------
    content : bytes

    Returns
    -------
    str
        Without the byte order mark.

    Raises
    ------
    UnicodeDecodeError
        For any other encoding.
    """
    sixteen = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if sixteen else "utf-8-sig")


def name_key(name: str) -> str:
    """Return the form of an id by which files and lists are matched: accents composed (NFC), where macOS splits them."""
    return unicodedata.normalize("NFC", name)


def files_by_name(folder: Path, suffixes: Iterable[str]) -> dict[str, Path]:
    """List the files of a folder with some suffixes, in upper or lower case, by the key of their name.

    Parameters
    ----------
    folder : Path
    suffixes : iterable of str
        In lower case, with the dot.

    Returns
    -------
    dict from str to Path
        `name_key` of the name without suffix -> file, sorted by name; hidden files are left out. Empty without such a folder.

    Raises
    ------
    ValueError
        If two files have the same name.
    """
    suffixes, files = tuple(suffixes), {}
    for path in sorted(folder.glob("*")):
        if path.suffix.lower() in suffixes and not path.name.startswith("."):
            other = files.setdefault(name_key(path.stem), path)
            if other is not path:
                raise ValueError(f"{other}: there is another file of this name, {path.name}; keep one of them")
    return files


def read_list(path: Path, spaces: bool = False) -> tuple[str, ...]:
    """Read the ids in a text file, one per line.

    Parameters
    ----------
    path : Path
    spaces : bool, default False
        Whether ids may contain spaces.

    Returns
    -------
    tuple of str

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is unreadable or empty, lists an id twice, or lists files or pairs of them instead of ids; names it.
    """
    ids = [name_key(line) for line in read_lines(path, "ids")]
    if not ids:
        raise ValueError(f"{path}: the list is empty; expected one id per line")
    other = [name for name in ids if _NO_ID.search(name) or (not spaces and len(name.split()) > 1)]
    if other:
        more = f", and {len(other) - 1} more such lines" if len(other) > 1 else ""
        what = "pairs or columns" if len(other[0].split()) > 1 else "files"
        raise ValueError(
            f"{path}: lists {what} ({other[0]!r}{more}); expected one id per line, the image's "
            f"name without folder and suffix, such as {_id_of(other[0])}"
        )
    twice = _repeated(ids)
    if twice:
        raise ValueError(f"{path}: {', '.join(twice[:8])} listed more than once")
    return tuple(ids)


def pictures(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the pictures of a folder, sorted by name.

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
    paths = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in PICTURES and not p.name.startswith("."))
    if not paths:
        raise FileNotFoundError(
            f"{folder}: no pictures ({', '.join(PICTURES)}){'' if pattern == '*' else f' named {pattern}'}"
        )
    twice = _repeated(name_key(str(path.with_suffix(""))) for path in paths)
    if twice:
        raise ValueError(f"{twice[0]}: there are two pictures of this name, with different suffixes")
    return paths


def decode_ids(values: np.ndarray, table: np.ndarray, path: Path) -> np.ndarray:
    """Convert the values in a file to class ids.

    Parameters
    ----------
    values : ndarray, uint8
    table : ndarray, shape (256,), int16
        See `lookup_table`.
    path : Path
        The file, for the message.

    Returns
    -------
    ndarray, uint8

    Raises
    ------
    ValueError
        For values that the table refuses; names the file, these values and, where they look like soft edges, this cause.
    """
    refuses = table == REFUSED
    if refuses.take(values).any():
        allowed = np.flatnonzero(~refuses)
        refused = np.unique(values[refuses[values]])[:8].tolist()
        problem = f"holds {refused}; expected class ids among {_ranges(allowed)}"
        raise ValueError("; ".join([f"{path}: {problem}", *edge_findings(values)]))
    return table.astype(np.uint8).take(values)


def by(size: tuple[int, ...]) -> str:
    """Write a size as "WIDTH x HEIGHT"."""
    return f"{size[0]} x {size[1]}"


def _id_of(line: str) -> str:
    """Return the id that a line with a path, or with several, probably means."""
    return re.sub(r"\.[A-Za-z]+$", "", re.split(r"[/\\]", re.split(r"[\s,;]", line)[0])[-1])


def _repeated(names: Iterable[str]) -> list[str]:
    """Return the names that occur more than once."""
    return [name for name, count in Counter(names).items() if count > 1]


def _ranges(values: np.ndarray) -> str:
    """Write sorted values as ranges, e.g. "0..20, 255"."""
    groups = np.split(values, np.flatnonzero(np.diff(values) > 1) + 1)
    return ", ".join(f"{g[0]}..{g[-1]}" if len(g) > 1 else str(g[0]) for g in groups)
