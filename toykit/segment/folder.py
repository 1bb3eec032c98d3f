"""Label a folder of photos from a folder of scribbles, on one machine or on many.

Photos and seeds belong together by their names. The seeds of NAME.jpg are one of NAME.png, NAME.json, NAME_scribbles.png and
NAME_scribbles.json (the last two as the painter saves them). Where both folders are the same one, NAME.png is a photo, and
the seeds are one of the other three. Sub-folders are not read. `toykit._shared.photo_jobs` explains what is written besides
each photo's results, and when a photo is skipped.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from toykit import __version__
from toykit._shared.files import fingerprint
from toykit._shared.photo_jobs import PAINTED, JobOptions, list_photos, process, refuse_ambiguous, refuse_colliding
from toykit._shared.result_folder import Job
from toykit.conventions import UNLABELLED
from toykit.datasets.layout import files_by_name, name_key
from toykit.energy import Energy
from toykit.mixture_model import Backbone
from toykit.segment.labelling import FILES, check_stride, class_shares, segment
from toykit.segment.reading import read_logits, read_sample
from toykit.solvers import check_options
from toykit.supervision import SeedWarning

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
        Two photos have one name, perhaps in another case, a photo has two files of seeds, or two photos share one; the message
        lists them.
    FileNotFoundError
        No photo has seeds.
    """
    images = list_photos(photos)
    names = {_name(path) for path in images}
    marks = sorted(p for p in seeds.iterdir() if p.suffix.lower() in SEED_SUFFIXES and not p.name.startswith("."))
    if photos.samefile(seeds):
        images = [path for path in images if _painted_photo(path) not in names]
        marks = [path for path in marks if path.suffix.lower() == ".json" or _painted_photo(path) in names]
    refuse_colliding(images, f"{photos}: the results of photos with one name would collide")
    by_name = {_name(image): image for image in images}
    owners: dict[Path, list[Path]] = {path: [] for path in marks}
    chosen: dict[str, list[Path]] = {name: [] for name in by_name}
    for path in marks:
        for name in sorted({_name(path), _painted_photo(path)}):
            if name in by_name:
                chosen[name].append(path)
                owners[path].append(by_name[name])
    refuse_ambiguous(chosen, f"{seeds}: more than one file of seeds for a photo")
    refuse_ambiguous({str(path): shared for path, shared in owners.items()}, f"{photos}: photos share their seeds")
    found = {image: chosen[_name(image)][0] for image in images if chosen[_name(image)]}
    if not images:
        raise FileNotFoundError(f"{photos}: no photos directly in it")
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
    """Return the key of a file's name without suffix."""
    return name_key(path.stem)


def _painted_photo(path: Path) -> str:
    """Return the name of the photo that the painter's file belongs to, "" for another file."""
    name = _name(path)
    return name.removesuffix(PAINTED) if name.endswith(PAINTED) else ""


@dataclass(frozen=True)
class Labelling:
    """Label photos: its call labels one, see `toykit.segment.segment`, from a job's photo, seeds and perhaps logits.

    Attributes
    ----------
    output : Path
        The folder of the results.
    energy, method, options
        See `toykit.segment.segment`.
    unlabelled : int, default 255
        The id in indexed PNG files that means "no label", besides 255.
    version : str
        The version of toykit of the command.
    """

    output: Path
    energy: Energy
    method: str = "fast"
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
                sample = read_sample(image, seeds, UNLABELLED if _are_strokes(seeds) else self.unlabelled)
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
    work: Labelling,
    *,
    logits: str | Path | None = None,
    jobs: JobOptions | None = None,
) -> list[dict]:
    """Label all photos of a folder that have seeds.

    Parameters
    ----------
    photos, seeds : str or Path
        The folders, see `find_pairs`.
    work : Labelling
        How they are labelled. Its folder gets NAME_labels.npz, NAME_mask.png and NAME_picture.png for each photo
        (`toykit.segment.segment`), summary.csv, settings.json and records/.
    logits : str or Path, optional
        A folder with a network's logits for each photo, NAME.npy. Default: those of a model that is fitted on the seeds.
    jobs : JobOptions, optional
        Which photos are labelled again, by which processes, and what receives lines of text: photos without seeds, seeds
        without a photo, and each photo that failed.

    Returns
    -------
    list of dict
        The rows of summary.csv: photo, error (empty if there was none), seconds, seeds, width, height, converged, warnings
        (what the seeds look like), message, and "share of CLASS" in [0, 1] for each class.

    Raises
    ------
    ValueError
        Names are ambiguous, the folder of the results is one of the others, has results of other settings or other files that
        would be replaced, or an option is out of range or has no effect. Nothing has been computed then.
    TypeError
        For an option that the solver does not have.
    OSError
        A folder cannot be read or written, or there is no scheduler.
    ImportError
        Dask's distributed is not installed.
    """
    jobs = jobs or JobOptions()
    photos, seeds, output = (Path(path).absolute() for path in (photos, seeds, work.output))
    pairs = find_pairs(photos, seeds)
    if output.exists() and any(output.samefile(folder) for folder in (photos, seeds)):
        raise ValueError(f"{output}: expected a folder of its own for the results, got that of the photos or seeds")
    if work.unlabelled != UNLABELLED and all(map(_are_strokes, pairs.found.values())):
        raise ValueError(
            f"unlabelled={work.unlabelled}: has no effect, because all seeds in {seeds} are strokes (JSON)"
        )
    options, its_own = dict(work.options), inspect.signature(segment).parameters
    check_options(work.method, {name: value for name, value in options.items() if name not in its_own})
    check_stride(options.get("stride"), work.energy)
    for text, paths in {"no seeds for": pairs.without_seeds, "no photo for": pairs.without_photo}.items():
        if paths:
            names = ", ".join(path.name for path in paths[:8]) + (", ..." if len(paths) > 8 else "")
            jobs.report(f"{text} {len(paths)} {'file' if len(paths) == 1 else 'files'}, left out: {names}")
    settings = {
        "toykit": __version__, "cross_entropy": work.energy.cross_entropy, "relaxation": work.energy.relaxation,
        "eta": work.energy.eta, "lambda": work.energy.lam, "neighborhood": repr(work.energy.neighborhood),
        "solver": work.method, "logits": [] if logits is None else [str(Path(logits).absolute())],
        "unlabelled": work.unlabelled, **{name: _plain(value) for name, value in options.items()},
    }  # fmt: skip
    if options.get("features") is not None:
        Backbone(options["features"])  # raise before any work
        if Path(options["features"]).is_file():
            settings["features"] = fingerprint(options["features"])  # of another content the results are others
            options["features"] = str(Path(options["features"]).absolute())  # workers may run in another folder
    scores = {} if logits is None else files_by_name(Path(logits).absolute(), (".npy",))
    todo = [
        Job(image.stem, (image, marks, *([] if logits is None else [_logits_of(image, scores, Path(logits))])))
        for image, marks in pairs.found.items()
    ]
    return process(replace(work, output=output, options=options), todo, output, settings, jobs)


def _logits_of(image: Path, scores: Mapping[str, Path], folder: Path) -> Path:
    """Return the file of a photo's logits; if there is none, the one whose absence is to be reported."""
    return scores.get(_name(image), folder.absolute() / f"{image.stem}.npy")


def _are_strokes(seeds: Path) -> bool:
    """Return whether a file of seeds holds strokes instead of a map."""
    return seeds.suffix.lower() == ".json"


def _plain(value: Any) -> Any:
    """Return a value that JSON can hold."""
    return value if value is None or isinstance(value, (bool, int, float, str)) else repr(value)
