"""A folder of results with a record of what is finished; see `toykit._shared.photo_jobs`.

NAME_KIND             the results of one photo
records/NAME.json     the row of a finished photo, written after its results
settings.json         the settings; a rerun with others is refused
summary.csv           one row per photo, finished or failed
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from toykit._shared.files import check_writable, remove_unfinished, write_text

SUMMARY, SETTINGS, RECORDS = "summary.csv", "settings.json", "records"
#: First columns of the summary. The columns of the work follow.
COLUMNS = ("photo", "error", "seconds")


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
            remove_unfinished(folder, f".*{ending}.*")

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
