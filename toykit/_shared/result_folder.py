"""A folder of results with a record of what is finished; see `toykit._shared.photo_jobs`.

NAME_KIND             the results of one photo
records/NAME.json     the row of a finished photo with the paths and states of its inputs, written after its results
settings.json         the settings; a rerun with others is refused
summary.csv           one row per photo, finished or failed in the last command
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
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

    def refuse_foreign(self, names: Iterable[str]) -> None:
        """Raise ValueError if a folder that holds no results yet has files that results would replace; lists them."""
        there = [] if (self.folder / SETTINGS).exists() else [name for name in names if (self.folder / name).exists()]
        if there:
            more = f" and {len(there) - 8} more" if len(there) > 8 else ""
            raise ValueError(
                f"{self.folder}: holds {', '.join(there[:8])}{more}, which the results would replace; choose another "
                "folder (-o), or replace them (--fresh)"
            )

    def clear(self) -> None:
        """Remove the files that killed processes left unfinished."""
        remove_unfinished(self.folder, self.folder / RECORDS)

    def row(self, job: Job) -> dict | None:
        """Return the row of a finished photo, None for one that is not finished."""
        record = self._read(job.name)
        with contextlib.suppress(OSError):
            if record is not None and record["inputs"] == job.stamp():
                return record["row"]
        return None

    def other_rows(self, jobs: Iterable[Job]) -> list[dict]:
        """Return the rows of all finished photos but those of some jobs, by name."""
        names = {path.stem for path in (self.folder / RECORDS).glob("*.json")} - {job.name for job in jobs}
        return [record["row"] for name in sorted(names) if (record := self._read(name)) is not None]

    def refuse_others(self, jobs: Iterable[Job]) -> None:
        """Raise ValueError if a job's results would replace those of another photo of its name, which is still there."""
        for job in jobs:
            before = (self._read(job.name) or {}).get("paths")
            with contextlib.suppress(OSError):  # the other one is gone, or cannot be seen
                if before and not os.path.samefile(before[0], job.inputs[0]):
                    raise ValueError(
                        f"{self.folder}: the results of {job.name} are those of {before[0]}; {job.inputs[0]} would replace "
                        "them; choose another folder (-o), or start over (--fresh)"
                    )

    def forget(self, job: Job) -> None:
        """Remove a photo's record before its results are replaced."""
        self._record(job.name).unlink(missing_ok=True)

    def finish(self, job: Job, stamp: list, row: dict) -> None:
        """Record a photo as finished; its inputs had this stamp before the work began."""
        paths = [str(path.resolve()) for path in job.inputs]
        write_text(self._record(job.name), json.dumps({"inputs": stamp, "paths": paths, "row": row}) + "\n")

    def write_summary(self, rows: Iterable[dict]) -> None:
        """Write the rows to summary.csv."""
        rows = list(rows)
        columns = list(dict.fromkeys([*COLUMNS, *(name for row in rows for name in row)]))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        # a name of a file that is not UTF-8, from an old archive, holds surrogates
        write_text(self.folder / SUMMARY, text.getvalue().encode(errors="backslashreplace").decode())

    def _record(self, name: str) -> Path:
        """Return the file of a photo's record."""
        return self.folder / RECORDS / f"{name}.json"

    def _read(self, name: str) -> dict | None:
        """Return the record of a photo whose results are there, None without them."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            record = json.loads(self._record(name).read_text(encoding="utf-8"))
            if all((self.folder / f"{name}_{kind}").is_file() for kind in self.kinds):
                return record | {"inputs": record["inputs"], "row": dict(record["row"])}
        return None


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
