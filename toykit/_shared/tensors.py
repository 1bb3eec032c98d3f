"""Read files of tensors and arrays that anyone may have written."""

import pickle
import re
import tokenize
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

#: What numpy raises for a damaged file, besides ValueError and OSError: its header is read as Python.
_DAMAGE = (
    EOFError, LookupError, MemoryError, OverflowError, RuntimeError, SyntaxError, TypeError, tokenize.TokenError,
    zipfile.BadZipFile,
)  # fmt: skip


def load_tensors(path: str | Path, mmap: bool | None = None) -> Any:
    """Read what `torch.save` wrote, to the CPU.

    Parameters
    ----------
    path : str or Path
    mmap : bool, optional
        See `torch.load`.

    Returns
    -------
    object
        Tensors and plain values; other objects, whose loading could run code, are refused.

    Raises
    ------
    ValueError
        If `torch.save` did not write it, or wrote other objects. Also if the file's parts are packed: `torch.save` does not
        pack them, and a small file could fill the memory.
    Exception
        What `torch.load` and `zipfile` raise for a damaged file.
    """
    with open(path, "rb") as file:
        begin = file.read(4)
        if begin == b"PK\3\4":  # as torch decides; older files are no archives
            with zipfile.ZipFile(file) as parts:
                if any(part.compress_type != zipfile.ZIP_STORED for part in parts.infolist()):
                    raise ValueError("its parts are packed, which torch.save does not do")
        elif not begin.startswith(pickle.PROTO):
            found = f"it begins with {begin!r}" if begin else "it is empty"
            raise ValueError(f"{found}; torch.save did not write it")
    try:
        return torch.load(path, map_location="cpu", mmap=mmap, weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        raise ValueError(
            f"it is damaged, or holds objects{f' such as {named[1]}' if named else ''}, whose loading could run code"
        ) from error


def all_finite(tensors: Iterable[torch.Tensor]) -> bool:
    """Return whether no number of some tensors is NaN or infinite."""
    return all(bool(x.isfinite().all()) for x in tensors)


def reason(error: BaseException) -> str:
    """Return the first line of an error's message, or its type if there is none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def load_array(path: str | Path) -> np.ndarray:
    """Read the one array of an NPY file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    ndarray
        Any array without Python objects, whose loading could run code.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is anything else; names it.
    """
    try:
        with open(path, "rb") as file:
            begin = file.read(len(np.lib.format.MAGIC_PREFIX))
            if begin[:2] == b"PK":
                raise ValueError("it is an archive, such as NPZ or torch.save's; save one array with numpy.save")
            if not begin:
                raise ValueError("it is empty")
            if begin != np.lib.format.MAGIC_PREFIX:
                raise ValueError(f"it begins with {begin!r}; save the array with numpy.save")
            file.seek(0)
            return np.lib.format.read_array(file, allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, *_DAMAGE) as error:
        raise ValueError(f"{path}: cannot be read as an NPY file ({error})") from error
