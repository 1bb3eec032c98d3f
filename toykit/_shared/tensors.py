"""Read files of tensors that anyone may have written."""

import zipfile
from pathlib import Path
from typing import Any

import torch


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
