"""Process many photos into one folder: a rerun skips finished photos, and a photo that fails does not stop the others.

`toykit._shared.result_folder` writes the folder, each file in one step. A photo is finished if its record and all its results
are there, and if its inputs have the size and the time of change that the record holds. After any interruption, the same
command completes the folder.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from toykit._shared.result_folder import Job, ResultFolder

#: Suffixes, in lower case, of the files of a folder that count as photos.
PHOTO_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
#: What the painter adds to a photo's name, for the photo's scribbles beside it.
PAINTED = "_scribbles"
#: Seconds between two writings of the summary during the work.
EVERY = 30.0


@dataclass(frozen=True)
class JobOptions:
    """How photos are processed; it does not change the results.

    Attributes
    ----------
    fresh : bool, default False
        Process all photos again, also with other settings. Otherwise finished photos are skipped, and a folder with results of
        other settings is an error.
    workers : int, optional
        Number of processes on this machine, with one thread each. Default: this process, with all its threads.
    scheduler : str, optional
        Address of a running Dask scheduler, e.g. "tcp://10.0.0.1:8786", instead of `workers`. Its workers need the same
        version of toykit, and the folders at the same paths.
    report : callable, default print
        Receives lines of text, such as each photo that failed.
    """

    fresh: bool = False
    workers: int | None = None
    scheduler: str | None = None
    report: Callable[[str], object] = print


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


def result_key(path: Path) -> str:
    """Return the form of a photo's name in which results collide: disks may ignore case, and the way accents are written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", path.stem).casefold())


def refuse_colliding(photos: Iterable[Path], problem: str) -> None:
    """Raise ValueError that lists the photos whose results would collide, if there are any; see `refuse_ambiguous`."""
    groups: dict[str, list[Path]] = {}
    for photo in photos:
        groups.setdefault(result_key(photo), []).append(photo)
    refuse_ambiguous({paths[0].stem: paths for paths in groups.values()}, problem)


def refuse_ambiguous(groups: Mapping[str, Sequence[Path]], problem: str) -> None:
    """Raise ValueError that lists the names with more than one file, if there are any."""
    twice = [f"{name}: {', '.join(map(str, paths))}" for name, paths in groups.items() if len(paths) > 1]
    if twice:
        more = f"; and {len(twice) - 8} more" if len(twice) > 8 else ""
        raise ValueError(f"{problem}; rename or remove all but one of {'; '.join(twice[:8])}{more}")


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
            results.forget(job)
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
    options: JobOptions | None = None,
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
    options : JobOptions, optional
        Default: `JobOptions()`.

    Returns
    -------
    list of dict
        The photos' rows of the summary, in the order of `jobs`; "error" is empty for a finished photo.

    Raises
    ------
    ValueError, OSError
        See `ResultFolder`'s `prepare`, `refuse_foreign` and `refuse_others`; and what `run_on_cluster` raises.
    """
    from tqdm import tqdm

    options = options or JobOptions()
    results = ResultFolder(folder, work.kinds)
    if not options.fresh:
        results.refuse_foreign(f"{job.name}_{kind}" for job in jobs for kind in work.kinds)
    results.prepare(settings, options.fresh)
    rows = {job.name: row for job in jobs if (row := results.row(job)) is not None}
    pending = [job for job in jobs if job.name not in rows]
    results.refuse_others(pending)
    written = time.monotonic()

    def summarise() -> None:
        """Write all rows, with those of other commands, one of which may be at work."""
        results.write_summary(_in_order(jobs, rows) + results.other_rows(jobs))

    # disable=None: no bar where the output is not a terminal
    with tqdm(total=len(jobs), initial=len(rows), unit="photo", disable=None, smoothing=0.05) as bar:
        try:
            for row in _run(_RunJob(work, folder), pending, options):
                rows[row["photo"]] = row
                if row["error"]:
                    with bar.external_write_mode():
                        options.report(f"{row['photo']}: {row['error']}")
                bar.update()
                if time.monotonic() > written + EVERY:
                    summarise()
                    written = time.monotonic()
        finally:
            summarise()
    results.clear()  # a worker may have been killed
    return _in_order(jobs, rows)


def _run(run_job: _RunJob, jobs: Sequence[Job], options: JobOptions) -> Iterator[dict]:
    """Yield the rows of photos, each as soon as it is there."""
    if not jobs or (options.workers is None and options.scheduler is None):
        yield from map(run_job, jobs)
        return
    from toykit._shared.cluster import run_on_cluster

    for job, outcome in run_on_cluster(run_job, jobs, workers=options.workers, scheduler=options.scheduler):
        yield failed(job, outcome) if isinstance(outcome, BaseException) else outcome


def _in_order(jobs: Sequence[Job], rows: Mapping[str, dict]) -> list[dict]:
    """Return the rows that are there, in the order of the jobs."""
    return [rows[job.name] for job in jobs if job.name in rows]
