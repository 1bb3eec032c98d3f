"""Explore two soft labels on the triangle Delta^3 and the six relaxations between them (Fig. 1, Tables 1 and 2)."""

import torch

from toykit._shared.arguments import check_choice
from toykit._shared.palette import LABEL_LINES, LINE_COLORS
from toykit.experiments.moves import CLASS_NAMES
from toykit.explore.live import live
from toykit.potts import RELAXATIONS


def simplex_explorer(p=(0.7, 0.2, 0.1), q=(0.1, 0.3, 0.6), relaxation: str = "CD"):
    """Return a widget with two points p and q on the triangle, moved by drags, by keys or along a move of Fig. 1.

    Bars show all six P(p, q). The colour of the triangle is P(p, .) of one relaxation; dark colours are low values. It needs
    no kernel: it also works in stored pages. Where no script runs, a picture shows P(p, .) with both points.

    Parameters
    ----------
    p, q : sequence of float, default (0.7, 0.2, 0.1) and (0.1, 0.3, 0.6)
        Distributions over three classes.
    relaxation : str, default "CD"
        The relaxation shown by colour first, a key of `toykit.potts.RELAXATIONS`.

    Returns
    -------
    anywidget.AnyWidget
        The widget.

    Raises
    ------
    ValueError
        If p or q is not a distribution over three classes; for another relaxation.
    """
    check_choice("relaxation", relaxation, RELAXATIONS)
    points = {name: _distribution(name, point).tolist() for name, point in (("p", p), ("q", q))}
    lines = {name: {"color": color} for name, color in zip(RELAXATIONS, LINE_COLORS, strict=False)}
    start = {
        **points, "relaxation": relaxation, "lines": lines, "corners": list(CLASS_NAMES),
        "handles": [LINE_COLORS[line] for line in LABEL_LINES],
    }  # fmt: skip
    description = (
        f"Two labels p and q on a triangle, coloured by P(p, .) of {relaxation}; the explorer needs JavaScript."
    )
    return live("simplex", start, lambda: _picture(**points, relaxation=relaxation), description)


def _distribution(name: str, point) -> torch.Tensor:
    """Return a point as float64 (3,), or raise ValueError if it is not a distribution."""
    distribution = torch.as_tensor(point, dtype=torch.float64)
    if distribution.shape != (3,) or not (distribution >= 0).all() or abs(float(distribution.sum()) - 1) > 1e-6:
        raise ValueError(f"{name}: expected three numbers >= 0 that sum to 1, got {point!r}")
    return distribution


def _picture(p: list[float], q: list[float], relaxation: str):
    """Draw P(p, .) and both points."""
    from toykit.plots.simplex import landscapes
    from toykit.simplex import to_triangle

    figure = landscapes(torch.tensor(p, dtype=torch.float64), (relaxation,), columns=1)
    for name, point, line in zip("pq", (p, q), LABEL_LINES, strict=True):
        x, y = to_triangle(torch.tensor(point, dtype=torch.float64)).tolist()
        figure.axes[0].plot(x, y, "o", color=LINE_COLORS[line], markersize=16, markeredgecolor="white", zorder=4)
        figure.axes[0].annotate(name, (x, y), color="white", ha="center", va="center", zorder=5)
    return figure
