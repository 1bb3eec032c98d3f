"""Soft pseudo-labels of a photo while relaxation, cross-entropy, eta, lambda and bandwidth change."""

import warnings

from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.datasets.sample import Sample
from toykit.energy import Energy
from toykit.explore.controls import choice, figure_with_controls, slider
from toykit.neighborhoods import NearestNeighbors
from toykit.plots.images import entropy_map, hard_colors, overlay_seeds, panels, soft_colors
from toykit.potts import RELAXATIONS
from toykit.predictions import seed_logits
from toykit.solvers import ConvergenceWarning, solve


def pseudo_labels(sample: Sample):
    """A widget: seeds, soft labels, their entropy and the hard mask, solved anew when a control is let go."""
    image, seeds = sample.tensors()
    logits = seed_logits(image, seeds, len(sample.classes))

    def draw(relaxation, cross_entropy, eta, lam, bandwidth):
        energy = Energy(cross_entropy, relaxation, eta, lam, NearestNeighbors(bandwidth))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = solve(logits, image, seeds, energy).labels
        pictures = {
            "seeds": overlay_seeds(sample.image, sample.seeds, len(sample.classes)),
            "soft labels": soft_colors(labels),
            "their entropy": entropy_map(labels),
            "hard mask": hard_colors(labels),
        }
        return panels(pictures, legend=sample.classes)

    return figure_with_controls(
        draw,
        {
            "relaxation": choice("relaxation", RELAXATIONS, "CD"),
            "cross_entropy": choice("cross-entropy", CROSS_ENTROPIES, "CCE"),
            "eta": slider("eta", 0.3, 0.0, 2.0, 0.1),
            "lam": slider("lambda", 6.0, 0.0, 20.0, 0.5),
            "bandwidth": slider("bandwidth", 9.0, 1.0, 40.0, 1.0),
        },
    )
