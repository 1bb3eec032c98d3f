"""Explore a photo's soft pseudo-labels for any relaxation, cross-entropy, eta, lambda and bandwidth."""

import html
import io
import threading

import numpy as np

from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.explore.controls import Controls, choice, selected, slider
from toykit.explore.frame import explorer, pictures, text
from toykit.neighborhoods import NearestNeighbors
from toykit.plots.images import entropy_map, hard_colors, overlay_seeds
from toykit.plots.label_picture import label_picture
from toykit.plots.tints import class_tints
from toykit.potts import RELAXATIONS
from toykit.seed_model import seed_logits
from toykit.solvers import solve

CAPTION = """<p>The less decided a pixel is, the weaker is its tint, and the darker it is in the entropy map. BL decides nearly
every pixel; Q and CD leave some undecided. A larger lambda smooths the labels. A larger bandwidth couples neighbours of
different colours.</p>"""
SITUATIONS = {
    "lambda = 0": {"relaxation": "CD", "lambda": 0.0, "bandwidth": 9.0},
    "BL decides": {"relaxation": "BL", "lambda": 6.0, "bandwidth": 9.0},
    "Q blends": {"relaxation": "Q", "lambda": 20.0, "bandwidth": 9.0},
    "colours hardly count": {"relaxation": "CD", "lambda": 20.0, "bandwidth": 40.0},
}


def pseudo_labels(sample: Sample):
    """Return a widget that shows seeds, soft labels, their entropy and the hard mask.

    The labels are solved again when a control is released.

    Parameters
    ----------
    sample : toykit.datasets.Sample
        A photo with seeds.

    Returns
    -------
    ipywidgets.Box
        The widget.
    """
    import ipywidgets as widgets

    image, seeds = sample.tensors()
    logits = seed_logits(image, seeds, len(sample.classes))
    shown = {name: widgets.Image(format="png") for name in ("soft labels", "their entropy", "hard mask")}
    tints = class_tints(len(sample.classes))
    seeds_picture = overlay_seeds(sample.image, sample.seeds, len(sample.classes), colors=tints)
    seeded = widgets.Image(value=png(seeds_picture), format="png")
    relaxation = choice("relaxation", RELAXATIONS, "CD")
    cross_entropy = choice("cross-entropy", CROSS_ENTROPIES, "CCE")
    eta, lam = slider("eta", 0.3, 0.0, 2.0, 0.1), slider("lambda", 6.0, 0.0, 20.0, 0.5)
    bandwidth = slider("bandwidth", 9.0, 1.0, 40.0, 1.0)
    turn = threading.Lock()

    def show():
        with turn:  # changes may arrive in several threads; the last picture must show the last values
            neighborhood = NearestNeighbors(bandwidth.value)
            energy = Energy(selected(cross_entropy), selected(relaxation), eta.value, lam.value, neighborhood)
            labels = solve(logits, image, seeds, energy, on_failure="ignore").labels
            soft, hard = label_picture(sample.image, labels, tints), hard_colors(labels, tints)
            for widget, colors in zip(shown.values(), (soft, 1 - entropy_map(labels), hard), strict=True):
                widget.value = png(colors)

    controls = Controls([relaxation, cross_entropy, eta, lam, bandwidth], show, SITUATIONS)
    show()
    return explorer(
        "pseudoLabels",
        controls,
        pictures({"seeds": seeded, **shown}),
        text(_legend(sample.classes, tints)),
        text(CAPTION),
    )


def png(colors: np.ndarray) -> bytes:
    """Encode colours (H, W, 3) or grey values (H, W) in [0, 1] as a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray((colors * 255).round().astype(np.uint8)).save(file, format="PNG")
    return file.getvalue()


def _legend(classes: tuple[str, ...], tints: np.ndarray) -> str:
    """Return HTML with each class's name beside its colour."""
    colors = (tints * 255).round().astype(int).tolist()
    return "".join(
        f"<i class='swatch' style='background: rgb{tuple(color)}'></i><span>{html.escape(name)}</span>"
        for name, color in zip(classes, colors, strict=True)
    )
