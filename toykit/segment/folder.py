"""Label a folder of photos from a folder of scribbles, on one machine or on many.

Photos and seeds belong together by their names. The seeds of NAME.jpg are one of NAME.png, NAME.json, NAME_scribbles.png and
NAME_scribbles.json (the last two as the painter saves them). Where both folders are the same one, NAME.png is a photo, and
the seeds are one of the other three. Sub-folders are not read. `toykit._shared.photo_jobs` explains what is written besides
each photo's results, and when a photo is skipped.
"""

from __future__ import annotations

import inspect
import unicodedata
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from toykit import __version__
from toykit._shared.photo_jobs import Job, list_photos, process, refuse_ambiguous
from toykit.conventions import UNLABELLED
from toykit.energy import Energy
from toykit.mixture_model import Backbone
from toykit.segment.labelling import FILES, class_shares, segment
from toykit.segment.reading import read_logits, read_sample
from toykit.solvers import check_options
from toykit.supervision import SeedWarning

#: What the painter adds to a photo's name.
PAINTED = "_scribbles"
SEED_SUFFIXES = (".png", ".json")


@dataclass(frozen=True)
class Pairs:
    """The photos of a folder with their seeds.

    Attributes
    ----------
    found : dict of Path to Path
        Photo -> seeds, sorted by name.
    without_seeds : tuple of Path
        Photos without seeds.
    without_photo : tuple of Path
        Seeds without a photo.
    """

    found: dict[Path, Path]
    without_seeds: tuple[Path, ...]
    without_photo: tuple[Path, ...]


def find_pairs(photos: Path, seeds: Path) -> Pairs:
    """Find the seeds of each photo by its name.

    Parameters
    ----------
    photos, seeds : Path
        The two folders, or one folder twice. The rule is at the top of this file.

    Returns
    -------
    Pairs

    Raises
    ------
    ValueError
        Two photos have one name, a photo has two files of seeds, or two photos share one; the message lists them.
    FileNotFoundError
        No photo has seeds.
    """
    images = list_photos(photos)
    names = {_name(path) for path in images}
    marks = sorted(p for p in seeds.iterdir() if p.suffix.lower() in SEED_SUFFIXES and not p.name.startswith("."))
    if photos.samefile(seeds):
        images = [path for path in images if _painted_photo(path) not in names]
        marks = [path for path in marks if path.suffix.lower() == ".json" or _painted_photo(path) in names]
    by_name: dict[str, list[Path]] = {_name(path): [] for path in images}
    owners: dict[Path, list[Path]] = {path: [] for path in marks}
    for image in images:
        by_name[_name(image)].append(image)
    refuse_ambiguous(by_name, f"{photos}: the results of photos with one name would collide")
    chosen: dict[str, list[Path]] = {name: [] for name in by_name}
    for path in marks:
        for name in sorted({_name(path), _painted_photo(path)}):
            if name in by_name:
                chosen[name].append(path)
                owners[path] += by_name[name]
    refuse_ambiguous(chosen, f"{seeds}: more than one file of seeds for a photo")
    refuse_ambiguous({str(path): shared for path, shared in owners.items()}, f"{photos}: photos share their seeds")
    found = {image: chosen[_name(image)][0] for image in images if chosen[_name(image)]}
    if not found:
        raise FileNotFoundError(
            f"{seeds}: no seeds for any of the {len(images)} photos in {photos}; expected NAME.png, NAME.json, "
            f"NAME{PAINTED}.png or NAME{PAINTED}.json for a photo NAME.jpg"
        )
    return Pairs(
        found,
        tuple(image for image in images if image not in found),
        tuple(path for path in marks if not owners[path]),
    )


def _name(path: Path) -> str:
    """Return a file's name without suffix; macOS decomposes accents in file names, others compose them."""
    return unicodedata.normalize("NFC", path.stem)


def _painted_photo(path: Path) -> str:
    """Return the name of the photo that the painter's file belongs to, "" for another file."""
    name = _name(path)
    return name.removesuffix(PAINTED) if name.endswith(PAINTED) else ""


@dataclass(frozen=True)
class Labelling:
    """Label one photo, see `toykit.segment.segment`; the inputs of a job are the photo, its seeds and perhaps its logits."""

    output: Path
    energy: Energy
    method: str
    unlabelled: int = UNLABELLED
    options: Mapping[str, Any] = field(default_factory=dict)
    version: str = __version__

    @property
    def kinds(self) -> tuple[str, ...]:
        """The results are the files NAME_KIND."""
        return FILES

    def __call__(self, job: Job) -> dict:
        """Write the photo's files and return its columns of the summary."""
        import matplotlib

        matplotlib.use("agg")  # a worker may have a screen
        if self.version != __version__:
            raise RuntimeError(f"this worker has toykit {__version__}, the command {self.version}; install one version")
        image, seeds, *others = job.inputs
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", SeedWarning)
            try:
                sample = read_sample(image, seeds, self.unlabelled)
                height, width = sample.seeds.shape
                logits = read_logits(others[0], len(sample.classes), (width, height)) if others else None
            except ValueError as error:  # what was found before may be its cause
                raise ValueError("; ".join([str(error), *(str(warning.message) for warning in caught)])) from error
        result = segment(
            sample, self.output, self.energy, self.method, logits=logits, on_failure="ignore", **self.options
        )
        solution = result.solution
        of_names = class_shares(sample, solution, result.mask)
        shares = {f"share of {name}": round(share, 6) for name, share in of_names.items()}
        columns = {"seeds": seeds.name, "width": width, "height": height, "converged": solution.converged}
        found = "; ".join(str(warning.message) for warning in caught)
        return columns | {"warnings": found, "message": solution.message} | shares


def segment_folder(
    photos: str | Path,
    seeds: str | Path,
    output: str | Path,
    energy: Energy,
    method: str = "fast",
    *,
    logits: str | Path | None = None,
    unlabelled: int = UNLABELLED,
    fresh: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    report: Callable[[str], object] = print,
    **options,
) -> list[dict]:
    """Label all photos of a folder that have seeds.

    Parameters
    ----------
    photos, seeds : str or Path
        The folders, see `find_pairs`.
    output : str or Path
        The folder of the results: NAME_labels.npz, NAME_mask.png and NAME_picture.png for each photo
        (`toykit.segment.segment`), summary.csv, settings.json and records/.
    energy, method, **options
        See `toykit.segment.segment`.
    logits : str or Path, optional
        A folder with a network's logits for each photo, NAME.npy. Default: those of a model that is fitted on the seeds.
    unlabelled : int, default 255
        The id in indexed PNG files that means "no label", besides 255.
    fresh : bool, default False
        Label all photos again. Otherwise finished photos are skipped, and a folder with results of other settings is an error.
    workers : int, optional
        Number of processes on this machine, with one thread each. Default: this process, with all its threads.
    scheduler : str, optional
        Address of a running Dask scheduler, e.g. "tcp://10.0.0.1:8786", instead of `workers`. Its workers need the same
        version of toykit, and the folders at the same paths.
    report : callable, default print
        Receives lines of text: photos without seeds, seeds without a photo, and each photo that failed.

    Returns
    -------
    list of dict
        The rows of summary.csv: photo, error (empty if there was none), seconds, seeds, width, height, converged, warnings
        (what the seeds look like), message, and "share of CLASS" in [0, 1] for each class.

    Raises
    ------
    ValueError
        Names are ambiguous, `output` is one of the other folders or has results of other settings, or an option is out of
        range. Nothing has been computed then.
    TypeError
        For an option that the solver does not have.
    OSError
        A folder cannot be read or written, or there is no scheduler.
    ImportError
        Dask's distributed is not installed.
    """
    photos, seeds, output = (Path(path).absolute() for path in (photos, seeds, output))
    pairs = find_pairs(photos, seeds)
    if output.exists() and any(output.samefile(folder) for folder in (photos, seeds)):
        raise ValueError(f"{output}: expected a folder of its own for the results, got that of the photos or seeds")
    its_own = inspect.signature(segment).parameters
    check_options(method, {name: value for name, value in options.items() if name not in its_own})
    for text, paths in {"no seeds for": pairs.without_seeds, "no photo for": pairs.without_photo}.items():
        if paths:
            names = ", ".join(path.name for path in paths[:8]) + (", ..." if len(paths) > 8 else "")
            report(f"{text} {len(paths)} {'file' if len(paths) == 1 else 'files'}, left out: {names}")
    if options.get("features") is not None and Path(options["features"]).is_file():
        options["features"] = str(Path(options["features"]).absolute())  # workers may run in another folder
    if options.get("features") is not None:
        Backbone(options["features"])  # raise before any work
    extra = () if logits is None else (Path(logits).absolute(),)
    jobs = [
        Job(image.stem, (image, marks, *(folder / f"{image.stem}.npy" for folder in extra)))
        for image, marks in pairs.found.items()
    ]
    settings = {
        "toykit": __version__, "cross_entropy": energy.cross_entropy, "relaxation": energy.relaxation, "eta": energy.eta,
        "lambda": energy.lam, "neighborhood": repr(energy.neighborhood), "solver": method,
        "logits": [str(folder) for folder in extra], "unlabelled": unlabelled,
        **{name: _plain(value) for name, value in options.items()},
    }  # fmt: skip
    work = Labelling(output, energy, method, unlabelled, options)
    return process(work, jobs, output, settings, fresh=fresh, workers=workers, scheduler=scheduler, report=report)


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
