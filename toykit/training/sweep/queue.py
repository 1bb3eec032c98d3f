"""Trials that many workers share: a queue on Optuna's storage, where a dead worker's trial is taken up by another.

It needs nothing of a storage but that operations are seen in one order, so the journal file, PostgreSQL and MySQL behave alike:

- Each piece of work has a key. A worker adds a waiting trial for a key that has no trial; two workers may both do so.
- `Study.ask` gives a waiting trial to one worker only. Of several unfinished trials of a key the one with the lowest number
  counts; whoever gets another one voids it. So no two workers do the same work, and no lock can be left behind.
- A worker counts up a number in its trial, its sign of life. A worker without work watches the numbers of running trials by its
  own clock; if one stands still for the length of a lease, it marks the trial as failed, and the key has no trial again. A
  worker that was only slow notices at its next sign of life and stops.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import optuna

T = TypeVar("T")
KEY, SIGN, ERROR, VOID = "key", "sign", "error", "void"
#: Seconds after which a storage that does not answer ends the sweep, e.g. a database that is restarted.
PATIENCE = 600.0
#: Errors of a storage that does not answer: Optuna's, and SQLAlchemy's, which only databases need.
UNANSWERED = ("StorageInternalError", "OperationalError", "InterfaceError")


class TrialLostError(RuntimeError):
    """Another worker has taken up this worker's trial."""


def open_study(storage: optuna.storages.BaseStorage, name: str, **options: Any) -> optuna.Study:
    """Open a study, or make it; several workers may do so at once."""
    import optuna

    return patiently(
        lambda: optuna.create_study(
            storage=storage, study_name=name, load_if_exists=True, direction="maximize", **options
        )
    )


def open_storage(where: str) -> optuna.storages.BaseStorage:
    """Open a database by its URL, or otherwise an Optuna journal file by its path.

    Raises
    ------
    ValueError
        For an SQLite file.
    ImportError
        Without the sweep extra, or without the database's driver.
    """
    if where.startswith(
        "sqlite"
    ):  # it has no SELECT ... FOR UPDATE, with which Optuna gives a trial to one worker only
        raise ValueError(
            f"{where}: SQLite may give one trial to two workers; expected a PostgreSQL or MySQL database's URL, or none for "
            "the journal file in the sweep's folder"
        )
    try:
        import optuna
        from optuna.storages.journal import JournalFileBackend
    except ImportError as error:
        raise ImportError(f"a sweep needs the sweep extra: pip install 'toykit[sweep]' ({error})") from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if "://" not in where:
        return optuna.storages.JournalStorage(JournalFileBackend(where))
    try:
        from sqlalchemy.pool import NullPool

        # NullPool: a connection per operation, which are few; none breaks while it is idle, none is left open. The errors of
        # `begun_by_others`: another worker makes the tables of a new database at the same moment, which may take it long.
        def connect() -> optuna.storages.BaseStorage:
            return optuna.storages.RDBStorage(where, engine_kwargs={"poolclass": NullPool})

        begun_by_others = ("IntegrityError", "ProgrammingError")
        return patiently(lambda: patiently(connect, 120.0, begun_by_others), 10.0)
    except ImportError as error:
        raise ImportError(
            f"{where.split('://')[0]}: its driver is not installed, e.g. pip install 'psycopg[binary]' for "
            f"postgresql+psycopg://USER@HOST/DATABASE ({error})"
        ) from error


def sole_sweep(storage: optuna.storages.BaseStorage) -> str | None:
    """Return the name of a storage's only sweep; None where it has none or several. The studies of its rows are no sweeps."""
    names = [study.study_name for study in patiently(storage.get_all_studies) if "/" not in study.study_name]
    return names[0] if len(names) == 1 else None


def patiently(action: Callable[[], T], patience: float = PATIENCE, errors: tuple[str, ...] = UNANSWERED) -> T:
    """Repeat an action while the storage does not answer, for at most `patience` seconds; `errors` are names of classes."""
    begin, pause = time.monotonic(), 0.2
    while True:
        try:
            return action()
        except Exception as error:
            if type(error).__name__ not in errors or time.monotonic() - begin > patience:
                raise
            time.sleep(pause)
            pause = min(2 * pause, 10.0)


def has_ended(trial: optuna.trial.FrozenTrial | None) -> bool:
    """Return whether a trial has ended for good: with a result, pruned, or with an error."""
    if trial is None:
        return False
    return trial.state.name in ("COMPLETE", "PRUNED") or (trial.state.name == "FAIL" and ERROR in trial.user_attrs)


class Queue:
    """The trials of one Optuna study.

    Parameters
    ----------
    study : optuna.Study
    lease : float
        Seconds without a sign of life after which a trial is taken up.
    """

    def __init__(self, study: optuna.Study, lease: float):
        self.study, self.lease = study, lease
        self._signs: dict[int, tuple[Any, float]] = {}

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """Return all trials that have a key and were not voided."""
        trials = patiently(lambda: self.study.get_trials(deepcopy=False))
        return [trial for trial in trials if KEY in trial.user_attrs and VOID not in trial.user_attrs]

    def by_key(self) -> dict[str, optuna.trial.FrozenTrial]:
        """Return the trial that counts for each key: the finished one, else the first unfinished one, else the last failure."""
        chosen: dict[str, optuna.trial.FrozenTrial] = {}
        for trial in self.trials():
            key = trial.user_attrs[KEY]
            if key not in chosen or _rank(trial) > _rank(chosen[key]) or _rank(trial) == _rank(chosen[key]) == 0:
                chosen[key] = trial
        return chosen

    def add(self, key: str, settings: Mapping[str, Any], notes: Mapping[str, Any] | None = None) -> None:
        """Add a waiting trial, with notes, for a key that has none, or whose trial failed or was taken from its worker."""
        before = self.by_key().get(key)
        if before is not None and _rank(before):
            return
        settings = dict(before.params) if before is not None and before.params else dict(settings)
        patiently(lambda: self.study.enqueue_trial(settings, user_attrs={KEY: key, **(notes or {})}))

    def claim(self) -> Claim | None:
        """Take a waiting trial; return None if there is none."""
        from optuna.trial import TrialState

        while patiently(lambda: self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,))):
            trial = patiently(self.study.ask)
            key = trial.user_attrs.get(KEY)
            counting = self.by_key().get(key) if key is not None else None
            if key is not None and counting is not None and counting.number == trial.number:
                return Claim(self.study, trial, key, self.lease)
            patiently(lambda trial=trial: trial.set_user_attr(VOID, True))
            _tell(self.study, trial.number, TrialState.FAIL)
        return None

    def reap(self) -> None:
        """Fail the running trials whose sign of life has stood still for the length of the lease."""
        from optuna.trial import TrialState

        now, running = time.monotonic(), [trial for trial in self.trials() if trial.state == TrialState.RUNNING]
        for trial in running:
            sign = trial.user_attrs.get(SIGN)
            seen, since = self._signs.get(trial.number, (None, now))
            if trial.number not in self._signs or seen != sign:
                self._signs[trial.number] = (sign, now)
            elif now - since > self.lease:
                _tell(self.study, trial.number, TrialState.FAIL)


class Claim:
    """A trial that this worker has taken. Inside the context a thread gives signs of life."""

    def __init__(self, study: optuna.Study, trial: optuna.trial.Trial, key: str, lease: float):
        self.study, self.trial, self.key, self.lease = study, trial, key, lease
        self._stop, self._lost = threading.Event(), False

    def __enter__(self) -> Claim:
        self._thread = threading.Thread(target=self._give_signs, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()

    def _give_signs(self) -> None:
        """Count up the sign of life until the end; a storage that does not answer is tried again."""
        from optuna.exceptions import UpdateFinishedTrialError

        number = 0
        while not self._stop.is_set():
            number += 1
            try:
                self.trial.set_user_attr(SIGN, f"{socket.gethostname()} {os.getpid()} {number}")
            except UpdateFinishedTrialError:
                self._lost = True
                return
            except Exception:  # of a database's driver; whether the trial is still ours is seen at the next sign
                number -= 1
            self._stop.wait(self.lease / 5)

    def check(self) -> None:
        """Raise TrialLostError if another worker has taken up the trial."""
        if self._lost:
            raise TrialLostError(f"{self.key}: another worker has taken up this trial")

    def note(self, name: str, value: Any) -> None:
        """Store a value with the trial."""
        with self._noticing_loss():
            patiently(lambda: self.trial.set_user_attr(name, value))

    def report(self, value: float, step: int) -> bool:
        """Store an intermediate value; return whether the pruner would end the trial here."""
        with self._noticing_loss():
            patiently(lambda: self.trial.report(value, step))
        return patiently(self.trial.should_prune)

    def finish(self, value: float) -> None:
        """End the trial with its value."""
        from optuna.trial import TrialState

        self.check()
        _tell(self.study, self.trial.number, TrialState.COMPLETE, value)

    def prune(self) -> None:
        """End the trial early; one that another worker has taken up stays as it is."""
        from optuna.trial import TrialState

        with contextlib.suppress(TrialLostError):
            self.check()
            _tell(self.study, self.trial.number, TrialState.PRUNED)

    def fail(self, error: BaseException) -> None:
        """End the trial with the error's message; one that another worker has taken up stays as it is."""
        from optuna.trial import TrialState

        with contextlib.suppress(TrialLostError):
            self.note(ERROR, str(error) or type(error).__name__)
            _tell(self.study, self.trial.number, TrialState.FAIL)

    def give_back(self) -> None:
        """Return the unfinished trial, for another worker to take up at once."""
        from optuna.trial import TrialState

        with contextlib.suppress(TrialLostError):
            self.check()
            _tell(self.study, self.trial.number, TrialState.FAIL)

    @contextlib.contextmanager
    def _noticing_loss(self) -> Iterator[None]:
        """Turn Optuna's error for a finished trial into TrialLostError."""
        from optuna.exceptions import UpdateFinishedTrialError

        self.check()
        try:
            yield
        except UpdateFinishedTrialError as error:
            self._lost = True
            raise TrialLostError(f"{self.key}: another worker has taken up this trial") from error


def _tell(study: optuna.Study, number: int, state: Any, value: float | None = None) -> None:
    """End a trial; one that another worker has ended, or that was ended before the connection broke, stays as it is."""
    from optuna.exceptions import UpdateFinishedTrialError

    with contextlib.suppress(UpdateFinishedTrialError):
        patiently(lambda: study.tell(number, value, state, skip_if_finished=True))


def _rank(trial: optuna.trial.FrozenTrial) -> int:
    """Return 2 for a trial with a result, 1 for an unfinished one, 0 for a failed one."""
    from optuna.trial import TrialState

    if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
        return 2
    return 0 if trial.state == TrialState.FAIL else 1
