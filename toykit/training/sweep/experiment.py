"""What the runs of a sweep compute: the interface through which the engine configures, checks and runs them.

The engine (`sweep`, `queue`, `launch`) has the table, the trials, the workers and the results; an experiment has the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from toykit.training.sweep.job import Job
    from toykit.training.sweep.queue import Claim
    from toykit.training.sweep.table import Row

#: Note of a trial whose run has gone through phase one.
PHASE_ONE_DONE = "phase_one"


class PrunedError(Exception):
    """The pruner has ended a trial."""


class Experiment(Protocol):
    """A kind of run that a table may consist of.

    Attributes
    ----------
    columns : sequence of str
        Columns of `table.csv`; variant, seed and overrides are among them.
    score : str
        The column that rows are compared by, in percent; larger is better.
    title : str
        Its name in `table.md`.
    further : mapping of str to callable
        Further columns of `table.md`: title -> function of a row's runs, at least one.
    tunable : bool
        Whether its settings can be tuned.
    """

    columns: Sequence[str]
    score: str
    title: str
    further: Mapping[str, Callable[[list[dict]], str]]
    tunable: bool

    def load(self, row: Row, common: Sequence[str], more: Sequence[str]) -> Any:
        """Return a row's configuration under the table's common overrides, the row's own, and more."""
        ...

    def with_seed(self, config: Any, seed: int) -> Any:
        """Return a configuration with another seed."""
        ...

    def fixed(self, config: Any) -> dict:
        """Return a configuration without what may differ between machines."""
        ...

    def check(self, config: Any, seen: set) -> None:
        """Raise ValueError or FileNotFoundError if a run cannot start; `seen` keeps what earlier rows have checked."""
        ...

    def phase_one(self, config: Any, first: Any) -> str | None:
        """Return the name of the file through which phase one is shared, or None; `first` is the table's first row."""
        ...

    def run(self, job: Job, claim: Claim, config: Any, folder: Path, own: Sequence[str]) -> dict[str, Any]:
        """Run a job in its folder and return its row of the table; `own` are the row's overrides.

        Raises
        ------
        PrunedError
            The pruner has ended the trial.
        TrialLostError
            Another worker has taken up the trial.
        Exception
            What the run raises.
        """
        ...
