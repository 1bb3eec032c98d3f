"""Explore Fig. 3 (a-c): the cross-entropies, their gradients, and which side mimics the other."""

from toykit._shared.arguments import check_number
from toykit._shared.palette import CROSS_ENTROPY_LINES
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.explore.live import line, live


def cross_entropy_explorer(label: float = 0.75, prediction: float = 0.9):
    """Return a widget that shows H(y, sigma) over predictions for one label, and over labels for one prediction.

    Circles mark the current values, diamonds the minimisers. A table lists gradients and which side mimics the other. It
    needs no kernel: it also works in stored pages. Where no script runs, a picture shows the curves over predictions.

    Parameters
    ----------
    label : float, default 0.75
        The label y = (label, 1 - label) at the start, in [0, 1].
    prediction : float, default 0.9
        The prediction sigma = (prediction, 1 - prediction) at the start, in [0.01, 0.99].

    Returns
    -------
    anywidget.AnyWidget
        The widget.

    Raises
    ------
    ValueError
        For a label or a prediction out of range.
    """
    check_number("label", label, "[0, 1]")
    check_number("prediction", prediction, "[0.01, 0.99]")
    lines = {name: line(CROSS_ENTROPY_LINES[name]) for name in CROSS_ENTROPIES}
    start = {"label": float(label), "prediction": float(prediction), "lines": lines}
    return live(
        "crossEntropies", start, lambda: _picture(label), "Four cross-entropies over predictions, for one label."
    )


def _picture(label: float):
    """Draw the losses over predictions."""
    from toykit.plots.curves import loss_curves

    return loss_curves(labels=(label,))
