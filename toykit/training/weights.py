"""The weights that a run keeps for later use, with what the network is built from.

best.pt     at the end of the epoch with the highest validation mIoU, of those in which this folder's run was evaluated
last.pt     at the end of the last finished epoch

Each is a dict that `torch.load(path, weights_only=True)` reads: network (a state dict), classes, config, epoch, val_miou (None
without an evaluation). A file is written as a whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from toykit._shared.arguments import check_choice
from toykit._shared.files import write_atomically
from toykit._shared.tensors import load_tensors, reason

FILES = {"best": "best.pt", "last": "last.pt"}


def save(folder: Path, network: torch.nn.Module, classes: tuple[str, ...], config: dict, row: dict) -> None:
    """Write the weights at the end of an epoch.

    Parameters
    ----------
    folder : Path
        The run's folder.
    network : Network
        Without Fabric's wrapper.
    classes : tuple of str
    config : dict
        From `Config.to_dict`.
    row : dict
        The epoch's row of the history.
    """
    state = {
        "network": network.state_dict(), "classes": list(classes), "config": config,
        "epoch": row["epoch"], "val_miou": row["val_miou"],
    }  # fmt: skip
    if row["val_miou"] is not None and row["val_miou"] > _best_so_far(folder):
        write_atomically(folder / FILES["best"], lambda file: torch.save(state, file))
    write_atomically(folder / FILES["last"], lambda file: torch.save(state, file))


def read(folder: Path, which: str) -> tuple[Path, dict[str, Any]]:
    """Read weights of a run.

    Parameters
    ----------
    folder : Path
        The run's folder.
    which : {"best", "last"}
        A run that was never evaluated has only the last.

    Returns
    -------
    path : Path
    state : dict
        See the module.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ValueError
        The file cannot be read.
    """
    check_choice("weights", which, FILES)
    path = folder / FILES[which]
    if not path.exists():
        others = [name for name, file in FILES.items() if (folder / file).exists()]
        remedy = f"take weights {others[0]!r}" if others else "expected a run's folder of toykit train"
        raise FileNotFoundError(f"{path}: no such file; {remedy}")
    try:
        state = load_tensors(path)
        missing = {"network", "classes", "config", "epoch", "val_miou"} - set(state)
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as weights of a run ({reason(error)})") from error
    if missing:
        raise ValueError(f"{path}: cannot be read as weights of a run (it has no {', '.join(sorted(missing))})")
    return path, state


def _best_so_far(folder: Path) -> float:
    """Return the validation mIoU of best.pt, below 0 if there is none that can be read."""
    try:
        return float(load_tensors(folder / FILES["best"], mmap=True)["val_miou"])
    except Exception:  # no file, or a damaged one: it is replaced
        return -1.0
