"""Fig. 2's surfaces to turn and to cut, and the way that gradient descent takes on them (plotly)."""

import numpy as np

from toykit.experiments.potentials import cut, descent_field, over_logits
from toykit.explore.controls import choice, explorer, slider
from toykit.palette import LINE_COLORS
from toykit.potts import RELAXATIONS


def potential_explorer(relaxation: str = "CD", limit: float = 3.0, n: int = 31):
    """A widget: the surface of P over logits (l_i, l_j) to turn, a cut through it at a fixed l_j, and the descent field.

    relaxation: the one shown first. limit: logits from -limit to limit. n: the surface's grid points along each axis.
    """
    figure = _figure(limit)
    shown = choice("relaxation", RELAXATIONS, relaxation)
    fixed = slider("l_j of the cut", -2.0, -limit, limit, 0.1)

    def show(_=None):
        _show(figure, shown.value, fixed.value, limit, n)

    for control in (shown, fixed):
        control.observe(show, "value")
    show()
    return explorer([shown, fixed], figure)


def _figure(limit: float):
    from plotly import graph_objects as go
    from plotly.subplots import make_subplots

    panels = make_subplots(
        2, 2, specs=[[{"type": "scene", "rowspan": 2}, {}], [None, {}]], column_widths=[0.55, 0.45], vertical_spacing=0.2,
        subplot_titles=("P over logits: drag to turn", "the cut: P (line) and its pull, -dP/dl_i (dashes)",
                        "where descent goes: -dP/dl"),
    )  # fmt: skip
    figure = go.FigureWidget(panels)
    figure.add_surface(colorscale="Cividis", showscale=False, row=1, col=1, name="P",
                       hovertemplate="l_i %{x:.2f}, l_j %{y:.2f}<br>P %{z:.3f}<extra></extra>")  # fmt: skip
    figure.add_scatter3d(mode="lines", line={"color": LINE_COLORS[1], "width": 7}, row=1, col=1)
    for name, color, dash in (("P", LINE_COLORS[1], "solid"), ("pull", LINE_COLORS[0], "dash")):
        figure.add_scatter(mode="lines", name=name, line={"color": color, "dash": dash}, row=1, col=2)
    figure.add_scatter(
        mode="lines+markers", line={"color": "black", "width": 1}, hoverinfo="skip",
        marker={"symbol": "arrow", "angleref": "previous", "color": "black"}, row=2, col=2,
    )  # fmt: skip
    figure.add_scatter(x=[-limit, limit], mode="lines", line={"color": LINE_COLORS[1]}, row=2, col=2)
    figure.update_scenes(xaxis_title="l_i", yaxis_title="l_j", zaxis_title="P", aspectmode="cube",
                         camera={"eye": {"x": -1.7, "y": -1.5, "z": 1.0}})  # fmt: skip
    figure.update_xaxes(title="l_i", range=[-1.15 * limit, 1.15 * limit])
    figure.update_yaxes(title="l_j", range=[-1.15 * limit, 1.15 * limit], row=2, col=2)
    figure.update_annotations(font_size=13)
    figure.update_layout(width=900, height=520, showlegend=False, template="simple_white", margin={"t": 50, "b": 40})
    return figure


def _show(figure, relaxation: str, logit_j: float, limit: float, n: int) -> None:
    logits, heights = over_logits(relaxation, limit, n)
    l_i, values, slope = cut(relaxation, logit_j, limit)
    surface, on_surface, curve, pulled, arrows, line = figure.data
    l_i, values, pull = l_i.numpy(), values.numpy(), -slope.numpy()
    x, y, sizes = _arrows(relaxation, limit)
    # a trace at a time: one batch for all would blank what it sets in one trace and not in another, such as the line's x
    surface.update(x=logits.numpy(), y=logits.numpy(), z=heights.numpy())
    on_surface.update(x=l_i, y=np.full_like(l_i, logit_j), z=values)
    curve.update(x=l_i, y=values)
    pulled.update(x=l_i, y=pull)
    arrows.update(x=x, y=y, marker_size=sizes)
    line.update(y=[logit_j, logit_j])


def _arrows(relaxation: str, limit: float, longest: float = 1.0):
    """The field as one line of tails and heads with gaps: x, y, and marker sizes that show heads only.

    An arrow of length 1 (a gradient of norm 1) is `longest` grid steps long; a vanishing one shrinks to a dot.
    """
    logits, along_i, along_j = descent_field(relaxation, limit)
    scale = longest * float(logits[1] - logits[0]) / 1.5  # no relaxation's gradient is longer than about sqrt(2)
    x, y, sizes = [], [], []
    for row, l_j in enumerate(logits.tolist()):
        for column, l_i in enumerate(logits.tolist()):
            dx, dy = scale * float(along_i[row, column]), scale * float(along_j[row, column])
            x += [l_i, l_i + dx, None]
            y += [l_j, l_j + dy, None]
            sizes += [2, 7 if dx * dx + dy * dy > (0.1 * scale) ** 2 else 0, 0]
    return x, y, sizes
