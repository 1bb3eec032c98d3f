"""Explore Fig. 3 (a-c): the cross-entropies, their gradients, and which side mimics the other."""

from toykit._shared.palette import LINE_COLORS
from toykit.cross_entropy import CROSS_ENTROPIES
from toykit.experiments.uncertainty import (
    best_label,
    best_prediction,
    label_curve,
    label_gradient,
    loss_at,
    loss_curve,
    prediction_gradient,
    verdict,
)
from toykit.explore.controls import slider
from toykit.explore.frame import explorer, text
from toykit.explore.panels import Panel, Panels

DASHES = ("solid", "dash", "dashdot", "dot")  # as in `toykit._shared.palette.LINE_STYLES`, under plotly's names
CAPTION = """<p>Circles mark the current label and prediction, diamonds the minimiser for the other side. Set y to 0.5: CE still
pulls the prediction to the uncertainty of the label; CCE and RCE have no gradient.</p>"""


def cross_entropy_explorer(label: float = 0.75, prediction: float = 0.9):
    """Return a widget that shows H(y, sigma) over predictions for one label, and over labels for one prediction.

    Circles mark the current values, diamonds the minimisers. A table lists gradients and which side mimics the other.

    Parameters
    ----------
    label : float, default 0.75
        The label y = (label, 1 - label) at the start, in [0, 1].
    prediction : float, default 0.9
        The prediction sigma = (prediction, 1 - prediction) at the start, in [0.01, 0.99].

    Returns
    -------
    ipywidgets.Box
        The widget.
    """
    panels, table = _panels(), text()
    y = slider("label y = (x, 1 - x): x", label, 0, 1, 0.01)
    sigma = slider("prediction sigma = (x, 1 - x): x", prediction, 0.01, 0.99, 0.01)

    def show(_=None):
        _show(panels.figure, y.value, sigma.value)
        table.value = _table(y.value, sigma.value)

    for control in (y, sigma):
        control.observe(show, "value")
    show()
    return explorer([y, sigma], panels.figure, table, text(CAPTION), panels=panels)


def _panels():
    """Create two panels with a curve per cross-entropy and marks at the current value and at the minimiser."""
    titles = ("given the label: the loss of sigma", "given the prediction: the loss of y")
    panels = Panels([Panel(t, (k / 2, (k + 1) / 2, 0, 1), 360) for k, t in enumerate(titles)], height=430, legend=True)
    made = panels.figure
    for column in (1, 2):
        for name, color, dash in zip(CROSS_ENTROPIES, LINE_COLORS, DASHES, strict=False):
            options = {"name": name, "legendgroup": name, "row": 1, "col": column}
            made.add_scatter(
                mode="lines", line={"color": color, "dash": dash, "width": 2.2}, showlegend=column == 1,
                hovertemplate=f"x %{{x:.2f}}<br>H_{name} %{{y:.3f}}<extra></extra>", **options,
            )  # fmt: skip
            marks = {"color": color, "symbol": ["circle", "diamond"], "size": [10, 13], "line": {"color": "white"}}
            made.add_scatter(mode="markers", marker=marks, showlegend=False, **options)
    made.update_xaxes(range=[-0.02, 1.02])
    made.update_xaxes(title_text="sigma = (x, 1 - x): x", col=1)
    made.update_xaxes(title_text="y = (x, 1 - x): x", col=2)
    made.update_yaxes(range=[-0.1, 4], title_text="H(y, sigma)")
    panels.arrange()
    return panels


def _show(figure, label: float, prediction: float) -> None:
    """Draw the curves and their marks."""
    traces = iter(figure.data)
    with figure.batch_update():
        for side in ("prediction", "label"):
            for name in CROSS_ENTROPIES:
                curve, marks = next(traces), next(traces)
                if side == "prediction":
                    x, values = loss_curve(name, label)
                    here, best = prediction, best_prediction(name, label)
                    at_best = loss_at(name, label, float(best[0]))
                else:
                    x, values = label_curve(name, prediction)
                    here, best = label, best_label(name, prediction)
                    at_best = loss_at(name, float(best[0]), prediction)
                curve.x, curve.y = x.numpy(), values.numpy()
                flat = len(best) > 1  # a flat curve has no single minimiser
                marks.x = [here, None if flat else float(best[0])]
                marks.y = [loss_at(name, label, prediction), None if flat else at_best]


def _table(label: float, prediction: float) -> str:
    """Return an HTML table with the loss, both gradients and both minimisers of each cross-entropy."""
    head = ("", "loss", "dH/dl at sigma", "best sigma for this y", "dH/dl at y", "best y for this sigma")
    rows = []
    for name in CROSS_ENTROPIES:
        to_label = f"{label_gradient(name, label, prediction):.3f}" if 0 < label < 1 else "(a corner)"
        rows.append(
            (
                name,
                f"{loss_at(name, label, prediction):.3f}",
                f"{prediction_gradient(name, label, prediction):.3f}",
                verdict(best_prediction(name, label), label),
                to_label,
                verdict(best_label(name, prediction), prediction),
            )
        )
    lines = [
        "<tr>" + "".join(f"<{tag}>{c}</{tag}>" for c in cells) + "</tr>"
        for tag, cells in (("th", head), *(("td", row) for row in rows))
    ]
    return "<table>" + "".join(lines) + "</table>"
