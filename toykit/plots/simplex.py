"""Draw the triangle Delta^3, paths on it, and Fig. 1 with the potentials along its moves."""

import math

import torch
from torch import Tensor

from toykit._shared.arguments import check_number
from toykit._shared.palette import LABEL_LINES, LINE_COLORS, LINE_STYLES
from toykit.experiments.moves import CLASS_NAMES, MOVES, landscape, potentials_along
from toykit.potts import RELAXATIONS
from toykit.simplex import TRIANGLE, to_triangle

MOVE_TITLES = {"a": "(a) inside an object: A to B together", "b": "(b) at a boundary: C to B beside A"}


def triangle(axis, names: tuple[str, ...] = CLASS_NAMES) -> None:
    """Draw the border of the simplex and the names of its corners.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
        The axis to draw into.
    names : tuple of str, default ("A", "B", "C")
        The names of the corners.
    """
    corners = torch.tensor([*TRIANGLE, TRIANGLE[0]])
    axis.fill(corners[:, 0], corners[:, 1], facecolor="0.96", zorder=0)
    axis.fill(corners[:, 0], corners[:, 1], fill=False, edgecolor="0.2", linewidth=1.2, joinstyle="round", zorder=1.5)
    centre = torch.tensor(TRIANGLE).mean(0)
    for name, corner in zip(names, torch.tensor(TRIANGLE), strict=True):
        x, y = corner + 0.12 * (corner - centre) / (corner - centre).norm()
        axis.text(float(x), float(y), name, ha="center", va="center", fontweight="bold")
    axis.set(xlim=(-0.22, 1.22), ylim=(-0.2, 1.05), aspect="equal")
    axis.set_axis_off()


def simplex_path(axis, points: Tensor, color: str = LINE_COLORS[0], label: str = "") -> None:
    """Draw a path on the simplex, with a dot at its start and an arrow at its end.

    Parameters
    ----------
    axis : matplotlib.axes.Axes
        The axis to draw into.
    points : Tensor, shape (T, 3)
        Distributions along the path. A constant path is drawn as a dot.
    color : str
        The colour of the path.
    label : str, default ""
        Its entry in the legend.
    """
    xy = to_triangle(points.double())
    axis.plot(xy[:, 0], xy[:, 1], color=color, linewidth=2.2, label=label, zorder=2)
    axis.plot(*xy[0], "o", color=color, markersize=7, zorder=3)
    if (xy[-1] - xy[0]).norm() > 1e-9:
        axis.annotate("", xy[-1].tolist(), xy[-2].tolist(), arrowprops={"arrowstyle": "-|>", "color": color, "lw": 2.2})


def move_figure(move: str, at: float | None = None):
    """Draw Fig. 1 (a) or (b): the paths of both labels on the simplex, and all six relaxations along the move.

    Parameters
    ----------
    move : str
        "a" or "b", a key of `toykit.experiments.moves.MOVES`.
    at : float, optional
        A time in [0, 1] at which to mark the labels and the potentials.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `at` is outside [0, 1] or `move` is unknown.
    """
    import matplotlib.pyplot as plt

    if at is not None:
        check_number("at", at, "[0, 1]")
    t, potentials = potentials_along(move)
    p, q = MOVES[move](t)
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.3), width_ratios=(1, 1.7))
    triangle(left)
    shift = torch.tensor([-0.02, -0.02, 0.04]) if move == "a" else torch.zeros(3)  # otherwise one path hides the other
    p, q = p + shift, q - shift
    first, second = (LINE_COLORS[line] for line in LABEL_LINES)
    simplex_path(left, p, first, "$y_i$")
    simplex_path(left, q, second, "$y_j$")
    left.legend(loc="upper left")
    left.set_title(MOVE_TITLES[move])
    for number, (name, values) in enumerate(potentials.items()):
        finite = torch.isfinite(values)
        note = "" if finite.all() else " (infinite)" if not finite.any() else " (infinite at the ends)"
        right.plot(t, values, color=LINE_COLORS[number], linestyle=LINE_STYLES[number], label=f"{name}{note}")
    right.set(xlabel="time along the move", ylabel="potential", xlim=(0, 1), ylim=(-0.05, 2.1))
    right.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    if at is not None:
        for y, color, shape in ((p, first, "D"), (q, second, "s")):
            point = to_triangle(y[round(at * (len(t) - 1))])
            left.plot(*point, shape, color=color, markersize=9, markeredgecolor="white", zorder=4)
        right.axvline(at, color="0.6", linewidth=1)
    return figure


def landscapes(p: Tensor, names: tuple[str, ...] = tuple(RELAXATIONS), columns: int = 3, ceiling: float = 3.0):
    """Draw P(p, q) over the triangle of all labels q, for one label p; one panel per relaxation.

    Dark colours are low values, a black dot marks p, a white cross the lowest value on a grid, and lines are drawn at every
    quarter. Each row has a scale of its own.

    Parameters
    ----------
    p : Tensor, shape (3,)
        The fixed label.
    names : tuple of str, default all
        Keys of `toykit.potts.RELAXATIONS`.
    columns : int, default 3
        Panels per row.
    ceiling : float, default 3.0
        Larger values are drawn as this one.

    Returns
    -------
    matplotlib.figure.Figure
    """
    import matplotlib.pyplot as plt

    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(9.5 / 3 * columns, 2.7 * rows), squeeze=False)
    for number, row in enumerate(axes):
        drawn = {name: landscape(name, p, 60) for name in names[number * columns : (number + 1) * columns]}
        highest = max(float(values[values.isfinite()].max()) for _, values in drawn.values())
        top = min(ceiling, math.ceil(highest))
        levels, fills = torch.arange(0, top + 0.01, 0.25).tolist(), []
        for axis, (name, (q, values)) in zip(row, drawn.items(), strict=False):
            triangle(axis)
            x, y = to_triangle(q).unbind(1)
            fills.append(axis.tricontourf(x, y, values.clamp(0, top), levels=levels, cmap="cividis", zorder=1))
            axis.tricontour(x, y, values.clamp(0, top), levels=levels, colors="white", linewidths=0.5, zorder=1.2)
            axis.plot(*to_triangle(p.double()), "o", color="black", markeredgecolor="white", markersize=9, zorder=3)
            low = int(values.argmin())
            axis.plot(
                x[low], y[low], "X", color="white", markeredgecolor="black", markersize=7, zorder=3.5, clip_on=False
            )
            axis.set_title(f"$P_{{{name}}}(p, q)$")
        figure.colorbar(fills[-1], ax=row, shrink=0.8, ticks=range(int(top) + 1))
    return figure
