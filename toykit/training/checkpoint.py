"""Checkpoints: all that a run needs to go on as if it had never stopped. Written whole or not at all.

No state of a random generator is among it: every draw has an address (`toykit.training.batches`).
"""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from toykit._shared.files import write_atomically
from toykit.training.epoch_stats import Tally

NAME = "checkpoint.pt"
#: What may differ between a run and its continuation: where it runs, not what it computes.
FREE_KEYS = ("data.root", "data.workers", "run.accelerator", "run.devices", "run.checkpoint_steps", "run.pictures")
#: What phase one does not depend on, unless the method is full.
PHASE_TWO_KEYS = ("method", "energy.", "solver.", "error_rate", "supervision.present", "schedule.ramp_epochs")
#: What must be the same for a network's weights to be those of a configuration.
SHAPING_KEYS = (
    "data.kind", "data.merge", "data.only", "data.others", "data.holdout", "data.crop", "data.scale", "supervision.", "model.",
)  # fmt: skip


@dataclass
class Progress:
    """How far a run is: finished epochs, finished steps of the current one, their sums, what the epochs brought."""

    tally: Tally
    epoch: int = 0
    step: int = 0
    history: list[dict] = field(default_factory=list)


def save(folder: Path, fabric, network, optimizer, progress: Progress, config: dict) -> None:
    """Write the checkpoint; all processes call it, the first one writes."""
    tally = progress.tally.total(fabric)
    state = {
        "config": config,
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": {"epoch": progress.epoch, "step": progress.step, "history": progress.history},
        "tally": vars(tally),
    }
    if fabric.is_global_zero:
        write_atomically(folder / NAME, lambda file: torch.save(state, file))
    fabric.barrier()


def restore(folder: Path, fabric, network, optimizer, progress: Progress, config: dict) -> None:
    """Load the checkpoint, if there is one, into network, optimizer and progress.

    Raises: ValueError if it cannot be read, or is of a run with another configuration (it says which keys differ).
    """
    path = folder / NAME
    if not path.exists():
        return
    try:
        state = torch.load(path, map_location=fabric.device, weights_only=True)
        old = _flatten(state["config"])
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a checkpoint ({str(error).splitlines()[0]})") from error
    new = _flatten(config)
    differ = [key for key in sorted(old | new) if old.get(key) != new.get(key) and key not in FREE_KEYS]
    if differ:
        told = ", ".join(f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in differ)
        raise ValueError(
            f"{path}: this run began with another configuration: {told}. Go on with the old one, take another folder, "
            "or start over (--fresh, resume=False)"
        )
    network.load_state_dict(state["network"])
    optimizer.load_state_dict(state["optimizer"])
    progress.epoch, progress.step = state["progress"]["epoch"], state["progress"]["step"]
    progress.history = state["progress"]["history"]
    if fabric.is_global_zero:  # the sums of all processes go on in one
        progress.tally = Tally(**state["tally"])


def adopt(common: Path, folder: Path, config: dict) -> bool:
    """Begin a run where another one's phase one ended: its checkpoint becomes the folder's. Returns whether it did.

    It does not where the folder has a checkpoint, there is no such file, or the file is not the end of this phase one.
    """
    if not common.exists() or (folder / NAME).exists():
        return False
    state = torch.load(common, map_location="cpu", weights_only=True)
    at_its_end = (state["progress"]["epoch"], state["progress"]["step"]) == (config["schedule"]["pretrain_epochs"], 0)
    if _other_phase_one(state["config"], config) or not at_its_end:
        return False
    write_atomically(folder / NAME, lambda file: torch.save(state | {"config": config}, file))
    return True


def load_network(path: Path, network, config: dict) -> None:
    """Load the weights of a checkpoint into a network.

    Raises: FileNotFoundError; ValueError if the file cannot be read, or is of other data or another network (it says which
        keys of the configuration differ).
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        weights, old = state["network"], state["config"]
    except FileNotFoundError:
        raise
    except Exception as error:
        raise ValueError(f"{path}: cannot be read as a checkpoint ({str(error).splitlines()[0]})") from error
    differ = [k for k in _other_phase_one(old, config) if k.startswith(SHAPING_KEYS) and k not in FREE_KEYS]
    if differ:
        old, new = _flatten(old), _flatten(config)
        told = ", ".join(f"{key} was {old.get(key)!r} and is {new.get(key)!r}" for key in differ)
        raise ValueError(f"{path}: of other data or another network: {told}")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{path}: its weights do not fit this network ({str(error).splitlines()[0]})") from error


def _other_phase_one(old: dict, new: dict) -> list[str]:
    """The keys in which two configurations differ, but for those that phase one does not depend on."""
    old, new = _flatten(old), _flatten(new)
    return [k for k in sorted(old | new) if old.get(k) != new.get(k) and not k.startswith(PHASE_TWO_KEYS)]


def _flatten(tree: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        flat |= _flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat
