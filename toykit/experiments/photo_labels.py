"""Labels of single photos from human scribbles (ours): `toykit segment`'s steps on and off, beside other tools.

    python -m toykit.experiments.photo_labels -o DIR [--features FILE] [--long-side 320]

The maps are those of `toykit.datasets.grabcut`: two scribble maps per photo. The defaults were chosen on the photos in
`CHOSEN_ON` and on simulated scribbles over VOC; the other photos are the split "unseen". The score is the IoU of the object
over all pixels that the ground truth decides. Seconds are CPU time in one process with one thread.
"""

import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from toykit.conventions import UNLABELLED
from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.experiments.label_noise import interval
from toykit.experiments.results import Rows, write
from toykit.mixture_model import Backbone, fit_photo, mixture_logits
from toykit.neighborhoods import NearestNeighbors
from toykit.seed_model import seed_logits
from toykit.solvers import solve

#: Photos whose maps, with others, decided the defaults.
CHOSEN_ON = ("106024", "153093", "21077", "326038")
#: The command's defaults before and since the mixture.
OLD = Energy(eta=0.3, lam=6.0, neighborhood=NearestNeighbors(9.0))
NEW = Energy(eta=0.3, lam=6.0, neighborhood=NearestNeighbors("auto", 8))

Predict = Callable[[Sample], Tensor]
Segment = Callable[[Sample], np.ndarray]


def predictions(features: str | Path | None = None) -> dict[str, Predict]:
    """Return the predictions to compare, each with one step more than the one before: name -> f(sample) -> logits.

    Parameters
    ----------
    features : str or Path, optional
        A network for `toykit.mixture_model.Backbone`; adds the predictions with features.

    Returns
    -------
    dict from str to callable
    """
    chosen: dict[str, Predict] = {
        "stand-in": lambda s: seed_logits(*s.tensors(), len(s.classes)),
        "colour": _colour,
        "colour, position": _mixture,
        "colour, position, refits": lambda s: _mixture(s, energy=NEW),
    }
    if features is not None:
        body = Backbone(features)
        chosen |= {
            "colour, position, features": lambda s: _mixture(s, features=body),
            "colour, position, features, refits": lambda s: _mixture(s, features=body, energy=NEW),
        }
    return chosen


def solvers(name: str) -> dict[str, tuple[Energy, str]]:
    """Return what is done with predictions: name -> energy and method of `toykit.solve`."""
    chosen = {"solved": (NEW, "fast")}
    if name == "stand-in":
        chosen["solved, old weights"] = (OLD, "fast")
    if name == "colour, position":
        chosen["alpha-expansion"] = (replace(NEW, relaxation="BL"), "graph_cut")
    return chosen


def other_tools() -> dict[str, Segment]:
    """Return the tools that are installed: name -> f(sample) -> classes (H, W)."""
    cv2 = {"OpenCV grabCut": _grab_cut} if importlib.util.find_spec("cv2") is not None else {}
    return {"scikit-image random_walker": _random_walker, **cv2}


def measure(sample: Sample, predict: dict[str, Predict], tools: dict[str, Segment]) -> Rows:
    """Run every method on a map. The time of solved predictions includes that of the predictions.

    Parameters
    ----------
    sample : Sample
        With a mask, of the classes background and object.
    predict, tools : dict from str to callable
        From `predictions` and `other_tools`.

    Returns
    -------
    list of dict
        One row per method, the columns of `toykit.experiments.results.MEASURED["photo_labels"]`.
    """
    split = "chosen on" if sample.name.split("/")[0] in CHOSEN_ON else "unseen"
    rows: Rows = []

    def add(method: str, classes: np.ndarray, seconds: float) -> None:
        iou = round(100 * object_iou(classes, sample.mask), 2)
        rows.append({"split": split, "map": sample.name, "method": method, "iou": iou, "seconds": round(seconds, 3)})

    for name, function in predict.items():
        logits, first = _timed(function, sample)
        add(name, _classes(logits), first)
        for solver, (energy, method) in solvers(name).items():
            solution, second = _timed(solve, logits, *sample.tensors(), energy, method, on_failure="ignore")
            add(f"{name}: {solver}", _classes(solution.labels), first + second)
    for name, tool in tools.items():
        add(name, *_timed(tool, sample))
    return rows


def object_iou(classes: np.ndarray, mask: np.ndarray | None) -> float:
    """Compute the IoU of class 1 over the pixels that a mask (H, W) decides.

    Parameters
    ----------
    classes, mask : ndarray, shape (H, W)
        Class ids; 255 in the mask is void.

    Returns
    -------
    float
        In [0, 1].

    Raises
    ------
    ValueError
        If there is no mask.
    """
    if mask is None:
        raise ValueError("object_iou: expected a sample with a mask, got one without")
    judged = mask != UNLABELLED
    labelled, true = (classes == 1) & judged, (mask == 1) & judged
    return float((labelled & true).sum() / max(1, (labelled | true).sum()))


def format_table(rows: Rows) -> str:
    """Format the mean IoU per method and split, with its 95% interval over the maps, and the median seconds.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    str
    """
    splits, names = (list(dict.fromkeys(row[key] for row in rows)) for key in ("split", "method"))
    wide = max(map(len, names))
    lines = [f"{'':{wide}}" + "".join(f"{split:>16}" for split in splits) + f"{'seconds':>10}"]
    for name in names:
        line = f"{name:{wide}}"
        for split in splits:
            scores = [r["iou"] for r in rows if r["method"] == name and r["split"] == split]
            mean, half = interval(scores) if scores else (math.nan, math.nan)
            line += f"{mean:10.1f} ±{half:4.1f}"
        lines.append(line + f"{np.median([r['seconds'] for r in rows if r['method'] == name]):10.2f}")
    return "\n".join(lines)


def _small(sample: Sample) -> Sample:
    """Return a small part of a sample with both classes in it."""
    seeds, mask = sample.seeds[:24, :32].copy(), np.ones((24, 32), np.uint8)
    seeds[0, 0], seeds[-1, -1] = 0, 1
    return replace(sample, image=sample.image[:24, :32], seeds=seeds, mask=mask)


def _timed(function: Callable, *arguments, **options) -> tuple:
    """Return a function's result and its CPU seconds."""
    start = time.process_time()
    result = function(*arguments, **options)
    return result, time.process_time() - start


def _mixture(sample: Sample, **options) -> Tensor:
    """Return the logits of the mixtures and the position, see `mixture_logits`."""
    return mixture_logits(*sample.tensors(), len(sample.classes), **options)


def _colour(sample: Sample) -> Tensor:
    """Return the logits of the mixtures without position."""
    image, seeds = sample.tensors()
    model = fit_photo(image[0], seeds[0])
    return replace(model, evidence=torch.zeros_like(model.evidence)).logits(image[0], len(sample.classes))[None]


def _classes(labels: Tensor) -> np.ndarray:
    """Return the most likely class of each pixel."""
    return labels[0].argmax(0).numpy()


def _random_walker(sample: Sample) -> np.ndarray:
    """Run scikit-image's random walker with its default beta."""
    from skimage.segmentation import random_walker

    markers = np.array([1, 2, *[0] * 254])[sample.seeds]
    return random_walker(sample.image, markers, beta=130, mode="cg_j", channel_axis=-1, tol=1e-3) - 1


def _grab_cut(sample: Sample) -> np.ndarray:
    """Run OpenCV's grabCut, five iterations from the scribbles; unlabelled pixels start as probable background."""
    import cv2  # pyright: ignore[reportMissingImports]

    mask = np.array([cv2.GC_BGD, cv2.GC_FGD, *[cv2.GC_PR_BGD] * 254], np.uint8)[sample.seeds]
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(0)
    cv2.grabCut(sample.image[..., ::-1].copy(), mask, None, background, foreground, 5, cv2.GC_INIT_WITH_MASK)
    return np.isin(mask, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(int)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command of this module's first lines."""
    import argparse

    from toykit.datasets.grabcut import grabcut_seeds

    parser = argparse.ArgumentParser(
        prog="python -m toykit.experiments.photo_labels", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("-o", "--output", required=True, help="folder of photo_labels.csv")
    parser.add_argument("--features", help="a timm model, or a file of weights")
    parser.add_argument("--long-side", type=int, help="scale the photos down to this side; default: their own size")
    options = parser.parse_args(arguments)
    samples = grabcut_seeds(options.long_side)
    if not samples:
        parser.error("grabcut_seeds/ was not found under TOYKIT_DATA; see toykit/datasets/grabcut.py for its layout")
    torch.set_num_threads(1)
    predict, tools = predictions(options.features), other_tools()
    measure(_small(samples[0]), predict, tools)  # kernels compile here
    rows: Rows = []
    for sample in sorted(samples, key=lambda sample: sample.name.split("/")[0] in CHOSEN_ON):
        rows += measure(sample, predict, tools)
        write("photo_labels", rows, options.output)
    print(format_table(rows))


if __name__ == "__main__":
    main()
