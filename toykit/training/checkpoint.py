"""Checkpoints: all that a run needs to resume on the same trajectory. A file is written as a whole or not at all.

The one before the last is kept, too: a run whose last checkpoint is damaged resumes from it, with a warning, and keeps the
damaged file under another name. A file that cannot be read for want of memory or rights is not damaged. A checkpoint holds no
state of a random generator, since every draw has an address (`toykit.training.batches`).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import warnings
import zipfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import torch

from toykit._shared.files import write_atomically
from toykit._shared.tensors import load_tensors, reason
from toykit.training.differences import check_none, differing, flatten
from toykit.training.epoch_stats import Tally

if TYPE_CHECKING:
    from lightning_fabric import Fabric

NAME, PREVIOUS = "checkpoint.pt", "checkpoint_previous.pt"
#: Follows the name of a checkpoint that was found damaged.
DAMAGED = ".damaged"
#: Keys that may differ between a run and its continuation: they set where it runs, not what it computes.
FREE_KEYS = ("data.root", "data.workers", "run.accelerator", "run.devices", "run.checkpoint_steps", "run.pictures")
#: Keys that phase one does not depend on, unless the method is full.
PHASE_TWO_KEYS = ("method", "energy.", "solver.", "error_rate", "supervision.present", "schedule.ramp_epochs")
#: Keys that must be the same for the weights of one configuration to serve another.
SHAPING_KEYS = (
    "data.kind", "data.merge", "data.only", "data.others", "data.holdout", "data.crop", "data.scale", "supervision.", "model.",
)  # fmt: skip


class CheckpointWarning(UserWarning):
    """A damaged checkpoint was passed over."""


@dataclass
class Progress:
    """How far a run has come.

    Attributes
    ----------
    tally : Tally
        Statistics of the current epoch's steps.
    epoch, step : int
        Finished epochs; finished steps of the current epoch.
    history : list of dict
        One row per finished epoch, see `RunResult`.
    """

    tally: Tally
    epoch: int = 0
    step: int = 0
    history: list[dict] = field(default_factory=list)

    def finish_epoch(self, row: dict) -> None:
        """Add a finished epoch's row to the history and start the next epoch."""
        self.history.append(row)
        self.epoch, self.step = self.epoch + 1, 0
        self.tally = Tally.empty(len(self.tally.confusion), self.tally.confusion.device)


def save(folder: Path, fabric: Fabric, network, optimizer, progress: Progress, config: dict, sets: dict) -> None:
    """Write the checkpoint and keep the one before; all processes call it, the first one writes.

    Parameters
    ----------
    folder : Path
        The run's folder.
    fabric : Fabric
    network, optimizer
        With `state_dict`.
    progress : Progress
    config, sets : dict
        The run's configuration, from `Config.to_dict`, and its photos, from `toykit.training.sets.fingerprint`.
    """
    state = {
        "config": config,
        "sets": sets,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": {"epoch": progress.epoch, "step": progress.step, "history": progress.history},
        "tally": vars(progress.tally.total(fabric)),
    }
    if fabric.is_global_zero:
        write_atomically(folder / NAME, partial(_write, state, folder))
    fabric.barrier()


def _write(state: dict, folder: Path, file: BinaryIO) -> None:
    """Write a checkpoint that takes the place of the last one, which is moved once the new one is on the disk."""
    torch.save(state, file)
    file.flush()
    os.fsync(file.fileno())
    if (folder / NAME).exists():
        os.replace(folder / NAME, folder / PREVIOUS)


def restore(folder: Path, fabric: Fabric, network, optimizer, progress: Progress, config: dict, sets: dict) -> None:
    """Load the checkpoint, if there is one, into network, optimizer and progress.

    Parameters
    ----------
    folder, fabric, network, optimizer, progress, config, sets
        See `save`.

    Raises
    ------
    ValueError
        Both checkpoints are damaged, or of a run with another configuration or other photos; the message lists what differs.
    OSError, MemoryError, RuntimeError
        A checkpoint cannot be read for another reason, e.g. want of memory; the files stay as they are.

    Warns
    -----
    CheckpointWarning
        The last checkpoint is damaged: the run resumes from the one before.
    """
    path, state = _read_last(folder) if fabric.is_global_zero else (None, None)
    path = fabric.broadcast(path)  # all processes take the file that the first one chose
    if path is None:
        return
    state = _read(path) if state is None else state
    fabric.barrier()  # all processes have read it
    if fabric.is_global_zero and path.name == PREVIOUS:  # the last one is damaged, or was being replaced
        _put_aside(folder / NAME)
        os.replace(path, folder / NAME)
    differ = [key for key in differing(state["config"], config) if key not in FREE_KEYS]
    remedy = "Continue with the old one, choose another folder, or start over (--fresh, resume=False)"
    check_none(differ, path, "this run began with another configuration", state["config"], config, remedy)
    before = state.get("sets", sets)  # older files do not say
    check_none(differing(before, sets), path, "this run began with other photos or classes", before, sets, remedy)
    _load_into(network, state, path)
    optimizer.load_state_dict(state["optimizer"])
    progress.epoch, progress.step = state["progress"]["epoch"], state["progress"]["step"]
    progress.history = state["progress"]["history"]
    if fabric.is_global_zero:  # the first process continues the statistics of all
        progress.tally = Tally(**state["tally"])
        progress.tally.confusion = progress.tally.confusion.to(fabric.device)


def adopt(common: Path, folder: Path, config: dict) -> bool:
    """Start a run at the end of another run's phase one: copy that checkpoint into the folder.

    Parameters
    ----------
    common : Path
        A checkpoint at the end of a phase one.
    folder, config : Path and dict
        The new run's folder, and its configuration from `Config.to_dict`.

    Returns
    -------
    bool
        Whether the checkpoint was copied. It is not if the folder already has one, if `common` does not exist, or if `common`
        is not the end of this configuration's phase one.

    Warns
    -----
    CheckpointWarning
        `common` is damaged: it gets another name, since a run can make it anew.
    """
    if not common.exists() or any((folder / name).exists() for name in (NAME, PREVIOUS)):
        return False
    try:
        state = _read(common)
    except ValueError as error:
        warnings.warn(f"{error}; phase one is trained anew", CheckpointWarning, stacklevel=2)
        _put_aside(common)
        return False
    at_its_end = (state["progress"]["epoch"], state["progress"]["step"]) == (config["schedule"]["pretrain_epochs"], 0)
    if _differing_in_phase_one(state["config"], config) or not at_its_end:
        return False
    write_atomically(folder / NAME, lambda file: torch.save(state | {"config": config}, file))
    return True


def share_phase_one(folder: Path, common: Path, config: dict) -> None:
    """Copy a run's checkpoint to `common`, if it is the end of phase one and `common` does not exist yet."""
    if common.exists() or not (folder / NAME).exists():
        return
    try:
        progress = _read(folder / NAME)["progress"]
    except ValueError:  # `restore` reports it
        return
    if (progress["epoch"], progress["step"]) == (config["schedule"]["pretrain_epochs"], 0):
        with (folder / NAME).open("rb") as own:
            write_atomically(common, partial(shutil.copyfileobj, own))


def phase_one_digest(config: dict) -> str:
    """Return a digest of the keys that phase one depends on, of a configuration from `Config.to_dict`."""
    free = (*PHASE_TWO_KEYS, *(key for key in FREE_KEYS if key != "data.root"))  # another folder has other photos
    keys = {k: v for k, v in flatten(config).items() if not k.startswith(free)}
    return hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()[:8]


def load_weights(path: Path, network, config: dict) -> None:
    """Load the weights of a checkpoint into a network.

    Parameters
    ----------
    path : Path
        The checkpoint.
    network : Network
    config : dict
        The configuration that the network was built from, from `Config.to_dict`.

    Raises
    ------
    OSError
    ValueError
        The file is damaged, or belongs to other data or another network; the message lists the keys that differ.
    """
    state = _read(path)
    differ = [k for k in _differing_in_phase_one(state["config"], config) if k.startswith(SHAPING_KEYS)]
    remedy = "Choose a checkpoint of this configuration"
    check_none(differ, path, "of other data or another network", state["config"], config, remedy)
    _load_into(network, state, path)


def _load_into(network, state: dict[str, Any], path: Path) -> None:
    """Load a checkpoint's weights. Raises: ValueError if they do not fit."""
    try:
        network.load_state_dict(state["network"])
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"{path}: its weights do not fit this network ({reason(error)})") from error


def _put_aside(path: Path) -> None:
    """Rename a damaged file; another process may have done so already."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path.with_name(path.name + DAMAGED))


def _read_last(folder: Path) -> tuple[Path | None, dict[str, Any] | None]:
    """Read the last checkpoint, or with a warning the one before it; None if there is none."""
    problem = None
    for path in (folder / NAME, folder / PREVIOUS):
        try:
            state = _read(path)
        except FileNotFoundError:
            continue
        except ValueError as error:
            problem = error if problem is None else ValueError(f"{problem}; {error}")
            continue
        if problem is not None:
            done = state["progress"]
            text = f"resumes from the checkpoint before it, after {done['epoch']} epochs and {done['step']} steps"
            warnings.warn(f"{problem}; the run {text}", CheckpointWarning, stacklevel=2)
        return path, state
    if problem is not None:
        raise ValueError(f"{problem}; no checkpoint is left: start over (--fresh, resume=False)") from problem
    return None, None


def _read(path: Path) -> dict[str, Any]:
    """Read a checkpoint to the CPU. Raises: ValueError if it is damaged or none; what `_is_no_damage` names."""
    try:
        state = load_tensors(path)
        with zipfile.ZipFile(path) as parts:  # torch does not compare the checksums
            damaged = parts.testzip()
        if damaged is not None:
            raise ValueError(f"its part {damaged} is damaged")
        missing = {"config", "network", "optimizer", "progress", "tally"} - set(state)
        missing |= set() if missing else {"epoch", "step", "history"} - set(state["progress"])
    except Exception as error:
        if _is_no_damage(error):
            raise
        raise ValueError(f"{path}: cannot be read as a checkpoint ({reason(error)})") from error
    if missing:
        raise ValueError(f"{path}: cannot be read as a checkpoint (it has no {', '.join(sorted(missing))})")
    return state


def _is_no_damage(error: Exception) -> bool:
    """Return whether the file may be good: there is none, no right to read it, an error of the disk, too little memory."""
    if isinstance(error, OSError):
        return error.errno != errno.EINVAL  # a position outside of a truncated file
    return isinstance(error, MemoryError) or "allocate memory" in str(error)  # torch's is a RuntimeError


def _differing_in_phase_one(old: dict, new: dict) -> list[str]:
    """List the differing keys that phase one depends on."""
    return [key for key in differing(old, new) if not key.startswith(PHASE_TWO_KEYS) and key not in FREE_KEYS]
