"""A sweep in its folder: its jobs, what may start now, the run of one job, and the loop of a worker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toykit.training.sweep.experiment import PHASE_ONE_DONE, PrunedError
from toykit.training.sweep.job import Job
from toykit.training.sweep.queue import (
    ERROR,
    KEY,
    Claim,
    Queue,
    TrialLostError,
    has_ended,
    open_storage,
    open_study,
    patiently,
    sole_sweep,
)
from toykit.training.sweep.results import write_tables
from toykit.training.sweep.space import keeps_phase_one, suggest
from toykit.training.sweep.table import Row, Table, as_overrides

if TYPE_CHECKING:
    import optuna

JOURNAL, TUNING = "sweep.journal", "tuning"
#: Seconds without a sign of life after which a trial is taken up.
LEASE = 60.0
RESULT, FINGERPRINT, SETTINGS = "row", "table", "settings"


class Sweep:
    """A table's sweep, shared through its folder and its storage by all workers.

    Parameters
    ----------
    table : Table
    folder : Path
        Of the runs, the tables and, without a storage, the journal. Its name is the sweep's name in the storage; in a journal,
        the name that the folder had when the sweep began.
    storage : str, optional
        A database's URL. Default: a journal file in the folder.
    lease : float, default 60.0
        Seconds without a sign of life after which a worker's trial is taken up by another.

    Raises
    ------
    ValueError
        The storage has a sweep of this name with another table.
    """

    def __init__(self, table: Table, folder: Path, storage: str | None = None, lease: float = LEASE):
        self.table, self.folder, self.lease = table, folder, lease
        folder.mkdir(parents=True, exist_ok=True)
        store, name = open_storage(storage or str(folder / JOURNAL)), folder.resolve().name
        if not storage:  # the folder may have been copied or renamed
            name = sole_sweep(store) or name
        self.runs = Queue(open_study(store, name), lease)
        attributes, own = patiently(lambda: self.runs.study.user_attrs), table.fingerprint()
        if attributes.setdefault(FINGERPRINT, own) != own:
            raise ValueError(
                f"{folder}: a sweep of this name was begun with another table or other overrides; choose another folder (-o), "
                "or delete the old one"
            )
        patiently(lambda: self.runs.study.set_user_attr(FINGERPRINT, own))
        self._phases: dict[tuple, Path | None] = {}
        self.tuned: dict[str, Queue] = {}
        if table.tuning is not None:
            for row in table.rows.values():
                if row.space:
                    study = open_study(store, f"{name}/{row.name}", pruner=table.tuning.build_pruner())
                    self.tuned[row.name] = Queue(study, lease)

    @property
    def queues(self) -> list[Queue]:
        """The queues, in the order in which they are emptied."""
        return [*self.tuned.values(), self.runs]

    def jobs(self) -> list[tuple[Job, optuna.trial.FrozenTrial | None]]:
        """Return all jobs, those of the tuning first, with the trial that counts for each."""
        jobs: list[tuple[Job, optuna.trial.FrozenTrial | None]] = []
        best: dict[str, dict[str, Any] | None] = {}
        chosen = self._chosen()
        for name, queue in self.tuned.items():
            assert self.table.tuning is not None
            row, trials, ended = self.table.rows[name], queue.by_key(), True
            for number, fixed in enumerate(self.table.tuning.trials_of(row.space)):
                key, seed = f"{TUNING}/{name}_{number}", self.table.seeds[0]
                more = [f"data.holdout={self.table.tuning.holdout}", *as_overrides("tune", fixed)]
                phase_one = None
                if keeps_phase_one(row.space):
                    phase_one = self._phase_one(self.folder / TUNING, row, seed, more)
                job = Job(key, queue, row, seed, fixed, True, phase_one, name not in chosen)
                jobs.append((job, trials.get(key)))
                ended = ended and has_ended(trials.get(key))
            best[name] = chosen.get(name, self._best(queue) if ended else None)
        trials = self.runs.by_key()
        for seed in self.table.seeds:  # the first seed of every row comes first
            for name, row in self.table.rows.items():
                settings = best.get(name, {})
                phase_one = None
                if settings is not None:
                    phase_one = self._phase_one(self.folder, row, seed, as_overrides("tune", settings))
                job = Job(
                    f"{name}_{seed}", self.runs, row, seed, settings or {}, False, phase_one, settings is not None
                )
                jobs.append((job, trials.get(job.key)))
        return jobs

    def add_startable(self, again: bool = False) -> bool:
        """Add a trial for each job that may start now.

        Parameters
        ----------
        again : bool, default False
            Whether to try failed jobs again.

        Returns
        -------
        bool
            Whether any job has not ended and may still start.
        """
        jobs, leaders, reopened, unfinished = self.jobs(), set(), set(), False
        known = {job.phase_one for job, trial in jobs if trial is not None and PHASE_ONE_DONE in trial.user_attrs}
        for job, trial in jobs:
            if has_ended(trial) and not (again and ERROR in trial.user_attrs):  # pyright: ignore[reportOptionalMemberAccess]
                continue
            if not job.ready:  # while its tuning runs, the tuning's jobs are unfinished; otherwise it will not be ready
                continue
            unfinished = True
            if job.tuning:
                reopened.add(job.row.name)
            elif job.row.name in reopened:  # a failed trial of its tuning is tried again
                continue
            if job.phase_one is not None and job.phase_one not in known and not job.phase_one.exists():
                if job.phase_one in leaders:
                    continue  # another job is at this phase one
                leaders.add(job.phase_one)
            if job.tuning:
                job.queue.add(job.key, job.settings)
            else:
                job.queue.add(job.key, {}, {SETTINGS: job.settings})
        return unfinished

    def rows(self) -> list[dict]:
        """Return the finished runs' rows of the table."""
        return [trial.user_attrs[RESULT] for trial in self.runs.by_key().values() if RESULT in trial.user_attrs]

    def run(self, job: Job, claim: Claim) -> dict:
        """Run a job; return its row of the table. Raises: what `Experiment.run` does."""
        settings, more = job.settings, []
        if job.tuning:
            assert self.table.tuning is not None
            claim.study.sampler = self.table.tuning.build_sampler(job.row.name, int(job.key.rpartition("_")[2]))
            settings = patiently(lambda: suggest(claim.trial, job.row.space))
            more = [f"data.holdout={self.table.tuning.holdout}"]
        chosen = as_overrides("tune", settings)
        config = self.table.config(job.row, job.seed, [*chosen, *more])
        return self.table.experiment.run(job, claim, config, self.folder / job.key, [*job.row.items, *chosen])

    def _phase_one(self, folder: Path, row: Row, seed: int, more: Sequence[str]) -> Path | None:
        """Return the file of a run's phase one."""
        key = (row.name, seed, *more)
        if key not in self._phases:
            config = self.table.config(row, seed, more)
            first = self.table.config(
                next(iter(self.table.rows.values())), seed, [m for m in more if m.startswith("data.")]
            )
            name = self.table.experiment.phase_one(config, first)
            self._phases[key] = None if name is None else folder / name
        return self._phases[key]

    def _best(self, queue: Queue) -> dict[str, Any] | None:
        """Return the settings of the best finished trial, the first of equals; None if no trial has finished."""
        finished = [trial for trial in queue.by_key().values() if trial.state.name == "COMPLETE"]
        finished.sort(key=lambda trial: int(trial.user_attrs["key"].rpartition("_")[2]))
        return max(finished, key=lambda trial: trial.values[0]).params if finished else None

    def _chosen(self) -> dict[str, dict[str, Any]]:
        """Return the settings with which the first run of each row was added: all its runs have them, whatever comes later."""
        chosen: dict[str, dict[str, Any]] = {}
        for trial in patiently(lambda: self.runs.study.get_trials(deepcopy=False)):  # by number
            if SETTINGS in trial.user_attrs:
                chosen.setdefault(trial.user_attrs[KEY].rpartition("_")[0], trial.user_attrs[SETTINGS])
        return chosen


def work(sweep: Sweep, say: Callable[[str], object] = lambda line: None) -> None:
    """Take up jobs until all have ended, those of other workers included.

    Parameters
    ----------
    sweep : Sweep
    say : callable, optional
        say(line) for each job's outcome.
    """
    waited = False
    while sweep.add_startable():
        claim = next(filter(None, (queue.claim() for queue in sweep.queues)), None)
        if claim is None:
            if not waited:
                say(
                    f"waiting for other workers; their trials are taken up {sweep.lease:g} s after their last sign of life"
                )
            waited = True
            for queue in sweep.queues:
                queue.reap()
            time.sleep(min(5.0, sweep.lease / 5))
            continue
        waited = False
        jobs = {(id(job.queue), job.key): job for job, _ in sweep.jobs()}
        queue = next(queue for queue in sweep.queues if queue.study is claim.study)
        job = jobs[id(queue), claim.key]
        if job.ready:
            _run(sweep, job, claim, say)
        else:
            claim.give_back()
    write_tables(sweep.folder, sweep.table, sweep.rows())


def _run(sweep: Sweep, job: Job, claim: Claim, say: Callable[[str], object]) -> None:
    """Run a job and store its outcome with its trial."""
    with claim:
        try:
            row = sweep.run(job, claim)
            score = float(row[sweep.table.experiment.score])
            if not job.tuning:
                claim.note(RESULT, row)
            claim.finish(score)
        except PrunedError:
            claim.prune()
            say(f"{job.key}: ended early, below the median of the earlier trials")
            return
        except TrialLostError as error:
            say(str(error))
            return
        except Exception as error:
            claim.fail(error)
            say(f"{job.key}: failed: {error}")
            return
        except BaseException:  # interrupted: another worker may take it up at once
            claim.give_back()
            raise
    chosen = f" with {_settings(claim.trial.params)}" if job.tuning else ""
    say(f"{job.key}: {sweep.table.experiment.title} {score:.2f}{chosen}")
    if not job.tuning:
        write_tables(sweep.folder, sweep.table, sweep.rows())


def _settings(values: Mapping[str, Any]) -> str:
    """Write tuned values for a message."""
    return ", ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in values.items()
    )
