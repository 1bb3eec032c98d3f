"""Process many photos into one folder: a rerun skips finished photos, and a photo that fails does not stop the others.

NAME_KIND             the results of one photo
records/NAME.json     the row of a finished photo, written after its results
settings.json         the settings; a rerun with others is refused
summary.csv           one row per photo, finished or failed

All files are written in one step. A photo is finished if its record and all its results are there, and if its inputs have
the size and the time of change that the record holds. After any interruption, the same command completes the folder.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toykit._shared.files import check_writable, write_text

#: Suffixes, in lower case, of the files of a folder that count as photos.
PHOTO_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
SUMMARY, SETTINGS, RECORDS = "summary.csv", "settings.json", "records"
#: First columns of the summary. The columns of the work follow.
COLUMNS = ("photo", "error", "seconds")
#: Seconds between two writings of the summary during the work.
EVERY = 30.0


@dataclass(frozen=True)
class Job:
    """One photo to process.

    Attributes
    ----------
    name : str
        The results' names begin with it.
    inputs : tuple of Path
        The files that the results depend on.
    """

    name: str
    inputs: tuple[Path, ...]

    def stamp(self) -> list:
        """Return name, size and time of change of each input. Raises: OSError if one is missing."""
        states = [(path.name, path.stat()) for path in self.inputs]
        return [[name, state.st_size, state.st_mtime_ns] for name, state in states]


class Work(Protocol):
    """What is done with each photo; other processes must be able to receive it."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The results are the files NAME_KIND."""
        ...

    def __call__(self, job: Job) -> dict:
        """Write the photo's results and return its columns of the summary: texts, numbers and booleans."""
        ...


def list_photos(folder: Path) -> list[Path]:
    """Return the photos directly in a folder, sorted by name; hidden files are left out."""
    paths = (path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file())
    return sorted(path for path in paths if not path.name.startswith("."))


def refuse_ambiguous(groups: Mapping[str, Sequence[Path]], problem: str) -> None:
    """Raise ValueError that lists the names with more than one file, if there are any."""
    twice = [f"{name}: {', '.join(map(str, paths))}" for name, paths in groups.items() if len(paths) > 1]
    if twice:
        more = f"; and {len(twice) - 8} more" if len(twice) > 8 else ""
        raise ValueError(f"{problem}; rename or remove all but one of {'; '.join(twice[:8])}{more}")


class ResultFolder:
    """The folder of the results.

    Parameters
    ----------
    folder : str or Path
    kinds : tuple of str
        See `Work`.
    """

    def __init__(self, folder: str | Path, kinds: tuple[str, ...]):
        self.folder, self.kinds = Path(folder), kinds

    def prepare(self, settings: Mapping[str, object], fresh: bool) -> None:
        """Make the folder, write the settings, and `clear`.

        Parameters
        ----------
        settings : mapping of str to object
            Everything that determines the results, as JSON can hold it.
        fresh : bool
            Forget what is finished; the files are replaced one by one.

        Raises
        ------
        ValueError
            The folder has results of other settings; the message lists them.
        OSError
            The folder cannot be written.
        """
        check_writable(self.folder)
        path = self.folder / SETTINGS
        new = json.loads(json.dumps(settings))
        if fresh:
            for record in (self.folder / RECORDS).glob("*.json"):
                record.unlink()
        elif path.exists():
            _check_same(path, _read_json(path), new)
        write_text(path, json.dumps(new, indent=1) + "\n")
        self.clear()

    def clear(self) -> None:
        """Remove the files that killed processes left unfinished."""
        for folder, ending in [(self.folder, kind) for kind in self.kinds] + [(self.folder / RECORDS, "json")]:
            for unfinished in folder.glob(f".*{ending}.*"):
                unfinished.unlink(missing_ok=True)

    def row(self, job: Job) -> dict | None:
        """Return the row of a finished photo, None for one that is not finished."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(self._record(job).read_text(encoding="utf-8"))
            files = (self.folder / f"{job.name}_{kind}" for kind in self.kinds)
            if record["inputs"] == job.stamp() and all(file.is_file() for file in files):
                return dict(record["row"])
        return None

    def finish(self, job: Job, stamp: list, row: dict) -> None:
        """Record a photo as finished; its inputs had this stamp before the work began."""
        write_text(self._record(job), json.dumps({"inputs": stamp, "row": row}) + "\n")

    def write_summary(self, rows: Iterable[dict]) -> None:
        """Write the rows to summary.csv."""
        rows = list(rows)
        columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.folder / SUMMARY, text.getvalue())

    def _record(self, job: Job) -> Path:
        """Return the file of a photo's record."""
        return self.folder / RECORDS / f"{job.name}.json"


@dataclass(frozen=True)
class _RunJob:
    """Process one photo, in this process or in another one, unless it is finished; return its row."""

    work: Work
    folder: Path

    def __call__(self, job: Job) -> dict:
        results = ResultFolder(self.folder, self.work.kinds)
        row = results.row(job)
        if row is not None:  # another worker finished it before it died
            return row
        start = time.perf_counter()
        try:
            stamp = job.stamp()
            columns = self.work(job)
            row = {"photo": job.name, "error": "", "seconds": round(time.perf_counter() - start, 3), **columns}
            results.finish(job, stamp, row)
        except Exception as error:  # whatever it is, it concerns this photo
            return failed(job, error)
        return row


def failed(job: Job, error: BaseException) -> dict:
    """Return the row of a photo that failed."""
    kind = "" if isinstance(error, (ValueError, OSError)) else f"{type(error).__name__}: "
    return {"photo": job.name, "error": " ".join(f"{kind}{error}".split())}


def process(
    work: Work,
    jobs: Sequence[Job],
    folder: Path,
    settings: Mapping[str, object],
    *,
    fresh: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    report: Callable[[str], object] = print,
) -> list[dict]:
    """Process photos into a folder, with a progress bar and the remaining time.

    Parameters
    ----------
    work : Work
    jobs : sequence of Job
        With different names.
    folder : Path
        Where the results go.
    settings : mapping of str to object
        See `ResultFolder.prepare`.
    fresh : bool, default False
        Process all photos again, also with other settings.
    workers, scheduler
        See `toykit._shared.cluster.run_on_cluster`. Default: this process.
    report : callable, default print
        Receives a line of text for each photo that failed.

    Returns
    -------
    list of dict
        The rows of the summary, in the order of `jobs`; "error" is empty for a finished photo.

    Raises
    ------
    ValueError, OSError
        See `ResultFolder.prepare`; and what `run_on_cluster` raises.
    """
    from tqdm import tqdm

    results = ResultFolder(folder, work.kinds)
    results.prepare(settings, fresh)
    rows = {job.name: row for job in jobs if (row := results.row(job)) is not None}
    pending = [job for job in jobs if job.name not in rows]
    written = time.monotonic()
    # disable=None: no bar where the output is not a terminal
    with tqdm(total=len(jobs), initial=len(rows), unit="photo", disable=None, smoothing=0.05) as bar:
        try:
            for row in _run(_RunJob(work, folder), pending, workers, scheduler):
                rows[row["photo"]] = row
                if row["error"]:
                    with bar.external_write_mode():
                        report(f"{row['photo']}: {row['error']}")
                bar.update()
                if time.monotonic() > written + EVERY:
                    results.write_summary(_in_order(jobs, rows))
                    written = time.monotonic()
        finally:
            results.write_summary(_in_order(jobs, rows))
    results.clear()  # a worker may have been killed
    return _in_order(jobs, rows)


def _run(run_job: _RunJob, jobs: Sequence[Job], workers: int | None, scheduler: str | None) -> Iterator[dict]:
    """Yield the rows of photos, each as soon as it is there."""
    if not jobs or (workers is None and scheduler is None):
        yield from map(run_job, jobs)
        return
    from toykit._shared.cluster import run_on_cluster

    for job, outcome in run_on_cluster(run_job, jobs, workers=workers, scheduler=scheduler):
        yield failed(job, outcome) if isinstance(outcome, BaseException) else outcome


def _in_order(jobs: Sequence[Job], rows: Mapping[str, dict]) -> list[dict]:
    """Return the rows that are there, in the order of the jobs."""
    return [rows[job.name] for job in jobs if job.name in rows]


def _read_json(path: Path) -> dict:
    """Read the settings. Raises: ValueError if the file is damaged."""
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as JSON ({error}); choose another folder, or --fresh") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{path}: expected settings, got {settings!r}; choose another folder, or --fresh")
    return settings


def _check_same(path: Path, old: dict, new: dict) -> None:
    """Raise ValueError that lists the settings that differ, if there are any."""
    differ = [name for name in dict.fromkeys([*old, *new]) if old.get(name) != new.get(name)]
    if differ:
        changes = ", ".join(f"{name} was {old.get(name)!r} and is {new.get(name)!r}" for name in differ)
        raise ValueError(
            f"{path}: the results here are of other settings: {changes}. Use the old settings, choose another folder, or "
            "process all photos again (--fresh)"
        )
