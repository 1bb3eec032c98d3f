"""Work for tests of `toykit._shared.photo_jobs`: it can fail, and it can kill its own process, in any process."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path

from toykit._shared.files import write_text
from toykit._shared.photo_jobs import Job


@dataclass(frozen=True)
class Copy:
    """Copy a text file. Each call appends the name to the folder's `calls.log`; "bad" as content is an error.

    The process kills itself once for each name in `deaths`, after the results are written and before the record is.
    """

    folder: Path
    deaths: tuple[str, ...] = ()

    @property
    def kinds(self) -> tuple[str, ...]:
        return ("copy.txt", "length.txt")

    def __call__(self, job: Job) -> dict:
        with (self.folder / "calls.log").open("a") as log:
            log.write(f"{job.name}\n")
        text = job.inputs[0].read_text()
        if text == "bad":
            raise ValueError(f"{job.inputs[0]}: it is\nbad")
        write_text(self.folder / f"{job.name}_copy.txt", text)
        write_text(self.folder / f"{job.name}_length.txt", str(len(text)))
        mark = self.folder / f"{job.name}.died"
        if job.name in self.deaths and not mark.exists():
            mark.touch()
            (self.folder / f".{job.name}_copy.txt.half").touch()  # as if it were killed while writing
            os.kill(os.getpid(), signal.SIGKILL)
        return {"length": len(text)}


def make_jobs(folder: Path, count: int) -> list[Job]:
    """Write small text files and return their jobs, or those of the files that are there."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"photo_{i:03}.png" for i in range(count)]
    for i, path in enumerate(paths):
        if not path.exists():
            path.write_text("x" * (i + 1))
    return [Job(path.stem, (path,)) for path in paths]
