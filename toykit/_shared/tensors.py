"""Read files of tensors and arrays that anyone may have written."""

import tokenize
import zipfile
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
        If the file's parts are packed. `torch.save` does not pack them, and a small file could fill the memory.
    Exception
        What `torch.load` and `zipfile` raise for a damaged file.
    """
    with open(path, "rb") as file:
        if file.read(4) == b"PK\3\4":  # as torch decides; older files are no archives
            with zipfile.ZipFile(file) as parts:
                if any(part.compress_type != zipfile.ZIP_STORED for part in parts.infolist()):
                    raise ValueError("its parts are packed, which torch.save does not do")
    return torch.load(path, map_location="cpu", mmap=mmap, weights_only=True)


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
            array = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise
    except (ValueError, OSError, *_DAMAGE) as error:
        raise ValueError(f"{path}: cannot be read as an NPY file ({error})") from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path}: expected one array (NPY), got an archive of several (NPZ)")
    return array
