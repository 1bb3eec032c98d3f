"""A job of a sweep: which run it is, and whether it may start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toykit.training.sweep.queue import Queue
from toykit.training.sweep.table import Row


@dataclass(frozen=True)
class Job:
    """A run of the sweep.

    Attributes
    ----------
    key : str
        Its name in the queue, and its run's folder in the sweep's folder.
    queue : Queue
    row : Row
    seed : int
    settings : dict
        Values of tuned keys that are fixed before it starts.
    tuning : bool
        Whether it is a trial of the tuning; otherwise it is a run of the table.
    phase_one : Path or None
        The file through which phase one is shared; None where it is not.
    ready : bool
        Whether it may start: a run of a tuned row may when its settings are chosen, a trial of the tuning until then.
    """

    key: str
    queue: Queue
    row: Row
    seed: int
    settings: dict[str, Any]
    tuning: bool
    phase_one: Path | None
    ready: bool
