"""Files that are written completely or not at all."""

import contextlib
import errno
import hashlib
import itertools
import os
import platform
import re
import secrets
import tempfile
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import BinaryIO

#: Names of temporary files: that of the file, the machine and the process that write it, and a random part.
_TEMPORARY = re.compile(r"\..+\.toykit-([0-9a-f]{8})-(\d+)\.[0-9a-z_]{8}")
#: Seconds for which a temporary file stays where it is unknown whether its process lives.
FRESH = 3600.0
#: Errors of a disk without room: full, over its quota, or with a limit on the size of a file.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def write_atomically(path: str | Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file in one step: a reader never sees half of it, and it stays as it was if `write` fails.

    Parameters
    ----------
    path : str or Path
        The file. Missing folders are made.
    write : callable
        Receives a binary file to write to: a temporary file beside `path`, which is renamed at the end.

    Raises
    ------
    OSError
        For a disk without room, whatever `write` makes of it: names the file and states that it is as before.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(_prefix(path.name) + secrets.token_hex(4))
    file = temporary.open("xb")  # with tempfile's mode, 0600, others could not read the result
    try:
        with file:
            write(file)
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        full = _no_room(error)
        if full is None:
            raise
        kept = "the file is as it was before" if path.exists() else "no file is left"
        raise OSError(
            full.errno, f"{path}: no room to write it ({full.strerror}); {kept}; free space, then rerun the command"
        ) from error


def _no_room(error: BaseException | None) -> OSError | None:
    """Return the error of a disk without room among an error and those before it, such as torch's; None if there is none."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return error
        error = error.__cause__ or error.__context__
    return None


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8 in one step, see `write_atomically`.

    Parameters
    ----------
    path : str or Path
        The file. Missing folders are made.
    text : str
        Its content. Line ends are written as they are.
    """
    write_atomically(path, lambda file: file.write(text.encode()))


def remove_unfinished(*folders: str | Path) -> None:
    """Remove the temporary files that killed processes left in some folders.

    Parameters
    ----------
    *folders : str or Path
        They need not exist. Folders in them are not searched. Files that a living process writes stay. Where that is unknown
        (another machine or container, Windows), those stay that changed in the last hour.
    """
    for path in itertools.chain.from_iterable(Path(folder).glob(".*") for folder in folders):
        writer = _TEMPORARY.fullmatch(path.name)
        with contextlib.suppress(FileNotFoundError, PermissionError):  # removed meanwhile; another user's
            if writer and path.is_file() and not _in_use(path, writer[1], int(writer[2])):
                path.unlink()


def _in_use(path: Path, machine: str, process: int) -> bool:
    """Return whether another process may still write a temporary file."""
    if machine != _machine() or os.name != "posix":
        return time.time() - path.stat().st_mtime < FRESH
    try:
        os.kill(process, 0)  # sends nothing
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


def _prefix(name: str) -> str:
    """Return how the names of this process's temporary files for a file begin."""
    return f".{name}.toykit-{_machine()}-{os.getpid()}."


@cache
def _machine() -> str:
    """Return eight digits that distinguish this machine, or container, from others: within it a process has one number."""
    parts = [platform.node()]
    with contextlib.suppress(OSError):  # Linux
        parts += [Path("/proc/sys/kernel/random/boot_id").read_text(), os.readlink("/proc/self/ns/pid")]
    return f"{zlib.crc32(''.join(parts).encode()):08x}"


def fingerprint(path: str | Path) -> str:
    """Return a file's size and the SHA-256 of its content.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    str
    """
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        for part in iter(lambda: file.read(1 << 20), b""):
            digest.update(part)
        return f"{file.tell()} bytes, sha256 {digest.hexdigest()}"


def nearest_folder(path: str | Path) -> Path:
    """Return a path itself if it exists, else the nearest one above it that does.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    Path
        Absolute.
    """
    path = Path(path).absolute()
    return next(nearest for nearest in (path, *path.parents) if nearest.exists())


def check_writable(folder: str | Path) -> None:
    """Check that a folder can be written, or made, before any work; nothing is left behind.

    Parameters
    ----------
    folder : str or Path
        The folder for results. It need not exist.

    Raises
    ------
    OSError
        If it, or the nearest folder above it that exists, is no folder or may not be written; names it.
    """
    folder = Path(folder)
    nearest = nearest_folder(folder)
    try:
        with tempfile.TemporaryFile(
            dir=nearest, prefix=_prefix("writable")
        ):  # on some disks it has a name for a moment
            pass
    except OSError as error:
        part = "" if nearest == folder.absolute() else f", because {nearest} is not"
        raise type(error)(
            f"{folder}: not writable{part} ({error.strerror}); choose another folder for the results"
        ) from error
