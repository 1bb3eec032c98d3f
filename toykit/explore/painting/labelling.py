"""Compute the pseudo-labels of a painting, and pictures of them."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toykit.energy import Energy
from toykit.explore.painting.paint import Painting
from toykit.mixture_model import mixture_logits
from toykit.neighborhoods import NearestNeighbors
from toykit.plots.images import entropy_map, hard_colors, overlay_seeds
from toykit.plots.label_picture import class_tints, label_picture
from toykit.seed_model import seed_logits
from toykit.solvers import solve
from toykit.supervision.findings import class_findings

#: The views beside the photo: key -> name.
VIEWS = {"soft": "soft labels", "entropy": "entropy", "hard": "hard mask", "seeds": "seeds on photo"}
#: The solvers that the page offers: key -> name.
SOLVERS = {
    "fast": "fast (default)",
    "gradient": "gradient (the paper's)",
    "closed_form": "closed form (exact, Q and Q)",
    "graph_cut": "graph cut (hard labels)",
}
#: Sweeps of the preview after a stroke, and the tolerance of the full solution, which follows when the user pauses.
PREVIEW_SWEEPS, TOLERANCE = 2, 1e-3


@dataclass(frozen=True)
class Settings:
    """Settings of eq. (8), see `toykit.Energy`, and of the solver, a key of `SOLVERS`."""

    relaxation: str = "CD"
    cross_entropy: str = "CCE"
    eta: float = 0.3
    lam: float = 6.0
    bandwidth: float = 9.0
    solver: str = "fast"

    def idle(self) -> dict[str, str]:
        """Return the controls that have no effect at present: name -> reason."""
        idle = {}
        if self.eta == 0:
            idle["cross_entropy"] = "has no effect while eta is 0"
        if self.lam == 0:
            idle |= dict.fromkeys(("relaxation", "bandwidth"), "has no effect while lambda is 0")
        if self.solver == "graph_cut":
            idle |= {
                "relaxation": "all relaxations have the same hard labels",
                "entropy": "hard labels have no entropy",
            }
        if self.solver == "closed_form":
            idle |= dict.fromkeys(("relaxation", "cross_entropy"), "the closed form requires Q and Q")
        return idle

    def energy(self) -> Energy:
        """Return the terms for the solver."""
        relaxation = {"closed_form": "Q", "graph_cut": "BL"}.get(self.solver, self.relaxation)
        cross_entropy = "Q" if self.solver == "closed_form" else self.cross_entropy
        return Energy(cross_entropy, relaxation, self.eta, self.lam, NearestNeighbors(self.bandwidth))


def label(
    painting: Painting, settings: Settings, last: Tensor | None = None, preview: bool = False, kernel: str = "auto"
) -> tuple[Tensor, str]:
    """Compute soft pseudo-labels of a painting.

    Parameters
    ----------
    painting : Painting
        The photo and its seeds.
    settings : Settings
        The terms and the solver.
    last : Tensor, shape (1, K, H, W), optional
        Labels of the previous painting, from which a preview starts.
    preview : bool, default False
        Whether to stop after `PREVIEW_SWEEPS` sweeps (solver "fast" only).
    kernel : str, default "auto"
        The kernel of the fast solver.

    Returns
    -------
    labels : Tensor, shape (1, K, H, W)
        The labels. Without `preview` they depend only on painting and settings.
    message : str
        The solver's message.

    Raises
    ------
    ValueError
        If there are no seeds, or the solver does not apply.
    ImportError
        If the solver's library is missing.
    """
    image, seeds = painting.sample.tensors()
    classes = len(painting.classes)
    if not (painting.seeds < classes).any():
        raise ValueError("paint a stroke in each of two classes: without seeds there is nothing to distinguish them")
    # the mixture takes half a second, which a pause in painting allows
    logits = (seed_logits if preview else mixture_logits)(image, seeds, classes)
    options = {"tolerance": TOLERANCE, "kernel": kernel} if settings.solver == "fast" else {}
    if preview and settings.solver == "fast":
        options["max_steps"] = PREVIEW_SWEEPS
        if last is not None and last.shape == logits.shape:
            # not at the vertices, where steps are short
            options["start"] = 0.9 * last.to(logits) + 0.1 * logits.softmax(1)
    # the page shows the message
    solution = solve(logits, image, seeds, settings.energy(), settings.solver, on_failure="ignore", **options)
    present = np.unique(painting.seeds[painting.seeds < classes])
    if len(present) == 1:  # other classes may have no stroke yet
        return solution.labels, f"{solution.message}; {class_findings(painting.seeds, painting.classes)[0]}"
    return solution.labels, solution.message


def picture(painting: Painting, labels: Tensor | None, view: str) -> np.ndarray:
    """Draw a view.

    Parameters
    ----------
    painting : Painting
        The photo and its seeds.
    labels : Tensor, shape (1, K, H, W), or None
        The labels; without them, all views but "seeds" are blank.
    view : str
        A key of `VIEWS`. Entropy is drawn from white (certain) to black.

    Returns
    -------
    ndarray of uint8, shape (H, W, 4)
        RGBA.
    """
    if view == "seeds":
        return rgba(overlay_seeds(painting.image, painting.seeds, len(painting.classes), colors=tints(painting)))
    if labels is None:
        return np.full((*painting.seeds.shape, 4), 235, np.uint8)
    if view == "hard":
        return rgba(hard_colors(labels, tints(painting)))
    if view == "entropy":
        return rgba(1 - np.repeat(entropy_map(labels)[..., None], 3, axis=2))
    return rgba(label_picture(painting.image, labels, tints(painting)))


def tints(painting: Painting) -> np.ndarray:
    """Return the classes' colours (K, 3) in [0, 1]; a class called "background" is light grey."""
    names = painting.classes
    return class_tints(len(names), names.index("background") if "background" in names else None)


def seeds_layer(painting: Painting) -> np.ndarray:
    """Draw the seeds in their class colours as RGBA (H, W, 4), transparent elsewhere; only seeds are converted, for speed."""
    layer = np.zeros((*painting.seeds.shape, 4), np.uint8)
    seeded = painting.seeds < len(painting.classes)
    layer[seeded] = np.insert((tints(painting) * 255).round(), 3, 255, axis=1)[painting.seeds[seeded]]
    return layer


def rgba(colors: np.ndarray) -> np.ndarray:
    """Convert colours (H, W, 3), in [0, 1] or as bytes, to opaque RGBA bytes."""
    colors = colors if colors.dtype == np.uint8 else (colors * 255 + 0.5).astype(np.uint8)
    return np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8)])


def compile_loops() -> None:
    """Run the fast solver once, so that its loops are compiled (once per installation)."""
    image, seeds = torch.zeros(1, 3, 8, 8), torch.full((1, 8, 8), 255)
    seeds[:, 0, 0], seeds[:, 7, 7] = 0, 1
    solve(torch.zeros(1, 2, 8, 8), image, seeds, on_failure="ignore")
