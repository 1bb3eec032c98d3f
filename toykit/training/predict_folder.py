"""Apply a trained network to photos and write the results to a folder; a rerun skips finished photos.

NAME_mask.png       class ids, an indexed PNG in VOC's colours       classes.txt     class names, one per line
NAME_picture.png    the photo, and the classes over it               summary.csv     one row per photo
NAME_labels.npz     with `soft`: labels float16 (K, H, W), classes   settings.json, records/
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from toykit import __version__
from toykit._shared.files import write_atomically, write_text
from toykit._shared.photo_jobs import JobOptions, list_photos, process, refuse_colliding
from toykit._shared.result_folder import Job, ResultFolder
from toykit.datasets.sample import read_image
from toykit.simplex import most_likely
from toykit.supervision import write_seeds
from toykit.training.predict import Views
from toykit.training.trained import TrainedNetwork, probabilities

#: Longer side of a photo in the picture, in pixels: a panel shows no more.
LONGEST = 1000


@dataclass(frozen=True)
class Prediction:
    """Predict one photo, the only input of a job."""

    trained: TrainedNetwork
    output: Path
    views: Views
    soft: bool

    @property
    def kinds(self) -> tuple[str, ...]:
        """The results are the files NAME_KIND."""
        return ("mask.png", "picture.png", *(("labels.npz",) if self.soft else ()))

    def __call__(self, job: Job) -> dict:
        """Write the photo's files and return its columns of the summary."""
        photo = read_image(job.inputs[0])
        classes = self.trained.classes
        height, width = photo.shape[:2]
        mask = np.empty((height, width), np.uint8)
        labels = np.empty((len(classes), height, width), np.float16) if self.soft else None
        for first, scores in self.trained.rows(photo, self.views):
            own = slice(first, first + scores.shape[1])
            mask[own] = most_likely(scores).byte().cpu().numpy()
            if labels is not None:
                labels[:, own] = probabilities(scores, self.views).half().numpy()
        write_seeds(self.output / f"{job.name}_mask.png", mask)
        _write_picture(self.output / f"{job.name}_picture.png", photo, mask, classes)
        if labels is not None:
            path, names = self.output / f"{job.name}_labels.npz", np.array(classes)
            write_atomically(path, lambda file: np.savez_compressed(file, labels=labels, classes=names))
        counts = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
        shares = {f"share of {name}": round(float(share), 6) for name, share in zip(classes, counts, strict=True)}
        return {"width": width, "height": height} | shares


def find_photos(paths: Sequence[Path]) -> list[Path]:
    """List photos given as files and folders.

    Parameters
    ----------
    paths : sequence of Path
        Of a folder, the photos directly in it.

    Returns
    -------
    list of Path

    Raises
    ------
    FileNotFoundError
        A path does not exist, or there are no photos.
    ValueError
        Two photos have one name, perhaps in another case, so that their results would collide; the message lists them.
    """
    photos: list[Path] = []
    for path in paths:
        if not path.exists():
            raise FileNotFoundError(f"{path}: no such file or folder")
        photos += list_photos(path) if path.is_dir() else [path]
    photos = list({photo.resolve(): photo for photo in photos}.values())
    if not photos:
        raise FileNotFoundError(f"{', '.join(map(str, paths))}: no photos there")
    refuse_colliding(photos, "the results of photos with one name would collide")
    return photos


def predict_photos(
    trained: TrainedNetwork,
    paths: Sequence[str | Path],
    output: str | Path,
    *,
    soft: bool = False,
    views: Views | None = None,
    fresh: bool = False,
    report: Callable[[str], object] = print,
) -> list[dict]:
    """Apply a trained network to photos at their own size and write the results to a folder.

    Parameters
    ----------
    trained : TrainedNetwork
    paths : sequence of str or Path
        Photos and folders of photos.
    output : str or Path
        The folder of the results, see the module.
    soft : bool, default False
        Write soft labels, too.
    views : Views, optional
        Default: `trained.views()`, as in evaluation.
    fresh : bool, default False
        Predict all photos again. Otherwise finished photos are skipped, and a folder with results of other settings is an
        error.
    report : callable, default print
        Receives a line of text for each photo that failed.

    Returns
    -------
    list of dict
        The rows of summary.csv: photo, error (empty if there was none), seconds, width, height, and "share of CLASS" in
        [0, 1] for each class.

    Raises
    ------
    FileNotFoundError, ValueError
        See `find_photos`; also ValueError for a folder that holds the photos, results of other settings, or other files
        that would be replaced.
    OSError
        The folder cannot be written.
    """
    output, views = Path(output), views or trained.views()
    photos = find_photos([Path(path) for path in paths])
    if output.resolve() in {photo.resolve().parent for photo in photos}:
        raise ValueError(f"{output}: expected a folder of its own for the results, got one that holds photos")
    settings = {
        "toykit": __version__, "weights": hashlib.blake2b(trained.path.read_bytes(), digest_size=8).hexdigest(),
        "soft": soft, "scale": views.scale, "factors": views.factors, "flip": views.flip, "tile": views.tile,
        "precision": trained.config.run.precision,
    }  # fmt: skip
    if not fresh:
        ResultFolder(output, ()).refuse_foreign(["classes.txt"])
    work, jobs = Prediction(trained, output, views, soft), [Job(photo.stem, (photo,)) for photo in photos]
    rows = process(work, jobs, output, settings, JobOptions(fresh, report=report))
    write_text(output / "classes.txt", "".join(f"{name}\n" for name in trained.classes))
    return rows


def _write_picture(path: Path, photo: np.ndarray, mask: np.ndarray, classes: tuple[str, ...]) -> None:
    """Write a picture of the photo, and of the classes over it."""
    import matplotlib.pyplot as plt

    from toykit import plots

    plots.style()
    stride = -(-max(mask.shape) // LONGEST)  # a large photo is drawn smaller
    image = photo[::stride, ::stride] / 255
    ids = mask[::stride, ::stride]
    tints = plots.class_tints(len(classes), plots.background_class(classes), ids)
    colors = 0.4 * image + 0.6 * tints[ids]
    names = {int(k): classes[k] for k in np.unique(ids)}
    figure = plots.panels({"photo": image, "classes": colors}, legend=names, named={"classes": ids}, colors=tints)
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
    plt.close(figure)
