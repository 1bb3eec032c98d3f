"""What the published layouts are made of: lists of ids, folders of pictures, tables from file values to class ids."""

from collections import Counter
from pathlib import Path

import numpy as np

from toykit.conventions import UNLABELLED

#: In a mask: no class is to be judged here.
VOID = UNLABELLED
#: In a table: a value that no file of the set may hold.
REFUSED = -1


def lookup_table(ids: dict[int, int], void: tuple[int, ...] = (255,)) -> np.ndarray:
    """int16 (256,): the class id for each value in a file, VOID for those in `void`, REFUSED for all others."""
    lookup = np.full(256, REFUSED, np.int16)
    lookup[list(void)] = VOID
    lookup[list(ids)] = list(ids.values())
    return lookup


def plain_table(count: int, void: tuple[int, ...] = (255,)) -> np.ndarray:
    """The table of files that hold the class ids 0..count-1 themselves."""
    return lookup_table({k: k for k in range(count)}, void)


def read_lines(path: Path, what: str) -> list[str]:
    """A text file's lines, stripped, without empty ones. Raises: FileNotFoundError; ValueError that names it: unreadable."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: cannot be read as a list of {what} ({error})") from error


def read_list(path: Path) -> tuple[str, ...]:
    """The ids in a text file, one a line. Raises: FileNotFoundError; ValueError that names it: empty, an id twice."""
    ids = read_lines(path, "ids")
    if not ids:
        raise ValueError(f"{path}: the list is empty; expected one id a line")
    twice = _repeated(ids)
    if twice:
        raise ValueError(f"{path}: {', '.join(twice[:8])} listed more than once")
    return tuple(ids)


def pictures(folder: Path, pattern: str = "*") -> list[Path]:
    """The JPEG and PNG files of a folder, in the names' order, but for hidden ones (macOS leaves ._NAME beside a file).

    Raises: FileNotFoundError if there are none; ValueError if two differ in their suffix only.
    """
    suffixes = (".jpg", ".jpeg", ".png")
    found = sorted(p for p in folder.glob(pattern) if p.suffix.lower() in suffixes and not p.name.startswith("."))
    if not found:
        raise FileNotFoundError(f"{folder}: no JPEG or PNG pictures{'' if pattern == '*' else f' named {pattern}'}")
    twice = _repeated(str(path.with_suffix("")) for path in found)
    if twice:
        raise ValueError(f"{twice[0]}: there are two pictures of this name, with different suffixes")
    return found


def _repeated(names) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
