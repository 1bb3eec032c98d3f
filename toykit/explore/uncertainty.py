"""Fig. 3 (a-c) with a slider for the label."""

from toykit.explore.controls import figure_with_controls, slider
from toykit.plots.curves import loss_curves


def cross_entropies(label: float = 0.75):
    """A widget: the four cross-entropies over predictions, for the label y = (label, 1 - label) that a slider sets."""
    return figure_with_controls(
        lambda label: loss_curves(labels=(round(label, 4),)), {"label": slider("label", label, 0.5, 1, 0.05)}
    )
