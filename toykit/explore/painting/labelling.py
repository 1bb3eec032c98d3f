"""Compute the pseudo-labels of a painting."""

from dataclasses import dataclass

import torch
from torch import Tensor

from toykit.conventions import seeded_classes
from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.explore.painting.previews import Previews
from toykit.mixture_model import mixture_logits
from toykit.neighborhoods import NearestNeighbors
from toykit.seed_model import seed_logits
from toykit.solvers import solve
from toykit.supervision.findings import class_findings

#: The solvers that the page offers: key -> name.
SOLVERS = {
    "fast": "fast (default)",
    "gradient": "gradient (the paper's)",
    "closed_form": "closed form (exact, Q and Q)",
    "graph_cut": "graph cut (hard labels)",
}
#: Sweeps of a preview on the whole problem, and the tolerance of the full solution, which follows when the user pauses.
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
    sample: Sample,
    settings: Settings,
    last: Tensor | None = None,
    preview: bool = False,
    kernel: str = "auto",
    previews: Previews | None = None,
) -> tuple[Tensor, str]:
    """Compute soft pseudo-labels of a painting.

    Parameters
    ----------
    sample : Sample
        The photo and its seeds, at the photo's own size or as a `small_sample`.
    settings : Settings
        The terms and the solver.
    last : Tensor, shape (1, K, H, W), optional
        Labels of the previous painting, from which a preview starts.
    preview : bool, default False
        Whether to stop after a few sweeps (solver "fast" only).
    kernel : str, default "auto"
        The kernel of the fast solver.
    previews : Previews, optional
        Of the sample's photo: keeps full solutions of the fast solver, from which previews follow. Without a full solution,
        with eta = 0, or after the list of classes or the set of seeded classes has changed, a preview solves the whole problem.

    Returns
    -------
    labels : Tensor, shape (1, K, H, W)
        The labels. Without `preview` they depend only on sample and settings.
    message : str
        The solver's message.

    Raises
    ------
    ValueError
        If there are no seeds, or the solver does not apply.
    ImportError
        If the solver's library is missing.
    """
    image, seeds = sample.tensors()
    classes = len(sample.classes)
    if not (sample.seeds < classes).any():
        raise ValueError("paint a stroke in each of two classes: without seeds there is nothing to distinguish them")
    energy = settings.energy()
    following = previews if settings.solver == "fast" and settings.eta > 0 else None
    if preview and following is not None:
        followed = following.labels(sample.classes, seeds, energy, kernel)
        if followed is not None:
            return followed[0], _with_finding(followed[1], sample)
    if settings.eta == 0:  # the solver would start from predictions that have no weight
        logits = image.new_zeros(1, classes, *seeds.shape[1:])
    elif preview:
        logits = seed_logits(image, seeds, classes)
    else:  # takes half a second, which a pause in painting allows
        logits = mixture_logits(image, seeds, classes)
    present = seeded_classes(seeds, classes)  # as in `toykit segment`: a class without a stroke gets no pixel
    options = {"tolerance": TOLERANCE, "kernel": kernel} if settings.solver == "fast" else {}
    if preview and settings.solver == "fast":
        options["max_steps"] = PREVIEW_SWEEPS
        if last is not None and last.shape == logits.shape:
            # not at the vertices, where steps are short
            options["start"] = 0.9 * last.to(logits) + 0.1 * logits.softmax(1)
    # the page shows the message
    solution = solve(logits, image, seeds, energy, settings.solver, present=present, on_failure="ignore", **options)
    if previews is not None and not preview:
        previews.forget()  # what follows a former solution would go back to it
        if following is not None:
            following.remember(sample.classes, seeds, logits, solution.labels, energy, kernel)
    return solution.labels, _with_finding(solution.message, sample)


def _with_finding(message: str, sample: Sample) -> str:
    """Return the solver's message, followed by a finding if only one class has seeds: the others may have no stroke yet."""
    if sample.present().sum() > 1:
        return message
    return f"{message}; {class_findings(sample.seeds, sample.classes)[0]}"


def compile_loops() -> None:
    """Run the fast solver once, so that its loops are compiled (once per installation)."""
    image, seeds = torch.zeros(1, 3, 8, 8), torch.full((1, 8, 8), 255)
    seeds[:, 0, 0], seeds[:, 7, 7] = 0, 1
    solve(torch.zeros(1, 2, 8, 8), image, seeds, on_failure="ignore")
