"""From a painting to its pseudo-labels, and from these to pictures."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from toykit.energy import Energy
from toykit.explore.painting.paint import Painting
from toykit.neighborhoods import NearestNeighbors
from toykit.plots.images import entropy_map, hard_colors, overlay_seeds, soft_colors
from toykit.seed_model import seed_logits
from toykit.solvers import solve

#: What can be shown beside the photo: key -> words.
VIEWS = {"soft": "soft labels", "entropy": "entropy", "hard": "hard mask", "seeds": "seeds on photo"}
#: The solvers that the page offers: key -> words.
SOLVERS = {
    "fast": "fast (default)",
    "gradient": "gradient (the paper's)",
    "closed_form": "closed form (exact, Q and Q)",
    "graph_cut": "graph cut (hard labels)",
}
#: The first picture after a stroke comes from so few sweeps; the whole solution follows when the hand rests.
PREVIEW_SWEEPS, TOLERANCE = 2, 1e-3


@dataclass(frozen=True)
class Settings:
    """The choices of eq. (8), see `toykit.Energy`, and of a solver, a key of `SOLVERS`."""

    relaxation: str = "CD"
    cross_entropy: str = "CCE"
    eta: float = 0.3
    lam: float = 6.0
    bandwidth: float = 9.0
    solver: str = "fast"

    def idle(self) -> dict[str, str]:
        """The controls that would change nothing at present: name -> why."""
        idle = {}
        if self.eta == 0:
            idle["cross_entropy"] = "plays no part while eta is 0"
        if self.lam == 0:
            idle |= dict.fromkeys(("relaxation", "bandwidth"), "plays no part while lambda is 0")
        if self.solver == "graph_cut":
            idle |= {"relaxation": "all relaxations agree on hard labels", "entropy": "hard labels have no entropy"}
        if self.solver == "closed_form":
            idle |= dict.fromkeys(("relaxation", "cross_entropy"), "the closed form is for Q and Q")
        return idle

    def energy(self) -> Energy:
        """The terms, as the solver takes them."""
        relaxation = {"closed_form": "Q", "graph_cut": "BL"}.get(self.solver, self.relaxation)
        cross_entropy = "Q" if self.solver == "closed_form" else self.cross_entropy
        return Energy(cross_entropy, relaxation, self.eta, self.lam, NearestNeighbors(self.bandwidth))


def label(
    painting: Painting, settings: Settings, last: Tensor | None = None, preview: bool = False, kernel: str = "auto"
) -> tuple[Tensor, str]:
    """Soft pseudo-labels (1, K, H, W) of a painting and the solver's words.

    last: labels of the painting before, where a preview starts. preview: stop after a few sweeps (solver "fast" only).
    kernel: the fast solver's. The whole solution depends on painting and settings alone.
    Raises: ValueError without seeds, or where the solver does not apply; ImportError where its library is missing.
    """
    image, seeds = painting.sample.tensors()
    classes = len(painting.classes)
    if not (painting.seeds < classes).any():
        raise ValueError("paint a stroke in each of two classes: without seeds there is nothing to tell them apart")
    logits = seed_logits(image, seeds, classes)
    options = {"tolerance": TOLERANCE, "kernel": kernel} if settings.solver == "fast" else {}
    if preview and settings.solver == "fast":
        options["max_steps"] = PREVIEW_SWEEPS
        if last is not None and last.shape == logits.shape:
            options["start"] = 0.9 * last.to(logits) + 0.1 * logits.softmax(1)  # off the vertices, to move more freely
    # the page shows the message
    solution = solve(logits, image, seeds, settings.energy(), settings.solver, on_failure="ignore", **options)
    return solution.labels, solution.message


def picture(painting: Painting, labels: Tensor, view: str) -> np.ndarray:
    """RGBA, uint8 (H, W, 4), of a view, a key of `VIEWS`: entropy from white, certain, to black."""
    if view == "soft":
        return rgba(soft_colors(labels))
    if view == "hard":
        return rgba(hard_colors(labels))
    if view == "entropy":
        return rgba(1 - np.repeat(entropy_map(labels)[..., None], 3, axis=2))
    return rgba(overlay_seeds(painting.image, painting.seeds, len(painting.classes)))


def seeds_layer(painting: Painting) -> np.ndarray:
    """The seeds in their classes' colours, RGBA, transparent elsewhere; float conversions happen on few pixels."""
    from toykit._shared.palette import voc_palette

    layer = np.zeros((*painting.seeds.shape, 4), np.uint8)
    seeded = painting.seeds < len(painting.classes)
    layer[seeded] = np.insert((voc_palette(len(painting.classes)) * 255).round(), 3, 255, axis=1)[
        painting.seeds[seeded]
    ]
    return layer


def rgba(colors: np.ndarray) -> np.ndarray:
    """Opaque RGBA bytes of colours in 0..1 or of bytes, (H, W, 3)."""
    colors = colors if colors.dtype == np.uint8 else (colors * 255 + 0.5).astype(np.uint8)
    return np.dstack([colors, np.full(colors.shape[:2], 255, np.uint8)])


def compile_loops() -> None:
    """Let the fast solver compile what it compiles once per installation."""
    image, seeds = torch.zeros(1, 3, 8, 8), torch.full((1, 8, 8), 255)
    seeds[:, 0, 0], seeds[:, 7, 7] = 0, 1
    solve(torch.zeros(1, 2, 8, 8), image, seeds, on_failure="ignore")
