"""Explore Fig. 2: surfaces to turn and cut, and the direction of gradient descent on them."""

import math

import numpy as np

from toykit._shared.palette import LINE_COLORS
from toykit.experiments.potentials import cut, descent_field, over_logits
from toykit.explore.controls import choice, selected, slider, whole_slider
from toykit.explore.frame import explorer, text
from toykit.explore.panels import INK, Panel, Panels
from toykit.potts import RELAXATIONS

CAPTION = """<p>The orange line is the same cut in all three pictures. Where the surface is flat, the gradient vanishes, the
arrows are dots and descent does not move. Move the cut to either end and compare Q with LQ, and NQ with CD.</p>"""


def potential_explorer(relaxation: str = "CD", limit: float = 3.0, n: int = 31):
    """Return a widget with the surface of P over logits (l_i, l_j), a cut at a fixed l_j, and the descent field.

    Parameters
    ----------
    relaxation : str, default "CD"
        The relaxation shown first, a key of `toykit.potts.RELAXATIONS`.
    limit : float, default 3.0
        Logits range from -limit to limit.
    n : int, default 31
        Grid points of the surface along each axis.

    Returns
    -------
    ipywidgets.Box
        The widget.
    """
    panels, longest = _panels(limit), text()
    figure = panels.figure
    shown = choice("relaxation", RELAXATIONS, relaxation)
    fixed = slider("l_j of the cut", -2.0, -limit, limit, 0.1)
    turned = whole_slider("turn the surface, degrees", 230, 360, step=10)

    def show(_=None):
        length = _show(figure, selected(shown), fixed.value, limit, n)
        longest.value = f"longest arrow: |dP/dl| = {length:.2f}"

    def turn(_=None):
        angle = math.radians(turned.value)
        figure.layout.scene.camera.eye = {"x": 2.2 * math.cos(angle), "y": 2.2 * math.sin(angle), "z": 1.1}

    for control in (shown, fixed):
        control.observe(show, "value")
    turned.observe(turn, "value")
    show()
    turn()
    return explorer([shown, fixed, turned], figure, longest, text(CAPTION), panels=panels)


def _panels(limit: float):
    """Create the panels: the surface with the cut on it, the cut and its gradient, and the descent field."""
    panels = Panels(
        [
            Panel("P over logits: drag to turn", (0, 0.54, 0, 1), 340, around=(0, 0, 0), kind="scene"),
            Panel("the cut: P (line), descent -dP/dl_i (dashed)", (0.56, 1, 0, 0.42), 230),
            Panel("direction of descent: -dP/dl", (0.56, 1, 0.42, 1), 340),
        ],
        height=560,
    )
    made = panels.figure
    made.add_surface(colorscale="Cividis", showscale=False, row=1, col=1, name="P",
                     hovertemplate="l_i %{x:.2f}, l_j %{y:.2f}<br>P %{z:.3f}<extra></extra>")  # fmt: skip
    made.add_scatter3d(mode="lines", line={"color": LINE_COLORS[1], "width": 7}, hoverinfo="skip", row=1, col=1)
    for name, color, dash in (("P", LINE_COLORS[1], "solid"), ("descent", LINE_COLORS[0], "dash")):
        made.add_scatter(mode="lines", name=name, line={"color": color, "dash": dash}, row=1, col=2)
    made.add_scatter(
        mode="lines+markers", line={"color": INK, "width": 1.6}, hoverinfo="skip",
        marker={"symbol": "arrow", "angleref": "previous", "color": INK, "opacity": 1}, row=1, col=3,
    )  # fmt: skip
    made.add_scatter(x=[-limit, limit], mode="lines", line={"color": LINE_COLORS[1]}, hoverinfo="skip", row=1, col=3)
    made.update_scenes(xaxis_title="l_i", yaxis_title="l_j", zaxis_title="P", aspectmode="cube", dragmode="orbit",
                       camera_center={"x": 0, "y": 0, "z": -0.17})  # fmt: skip
    made.update_xaxes(title_text="l_i", range=[-1.15 * limit, 1.15 * limit])
    made.update_yaxes(
        title_text="l_j", range=[-1.15 * limit, 1.15 * limit], scaleanchor="x2", constrain="domain", col=3
    )
    made.update_xaxes(constrain="domain", col=3)
    panels.arrange()
    return panels


def _show(figure, relaxation: str, logit_j: float, limit: float, n: int) -> float:
    """Draw all traces; return the norm of the gradient that the longest arrow represents."""
    logits, heights = over_logits(relaxation, limit, n)
    l_i, values, slope = cut(relaxation, logit_j, limit)
    surface, on_surface, curve, pulled, arrows, line = figure.data
    l_i, values, pull = l_i.numpy(), values.numpy(), -slope.numpy()
    x, y, sizes, longest = _arrows(relaxation, limit)
    # one trace at a time: a common batch would reset properties that it sets in some traces only, such as the line's x
    surface.update(x=logits.numpy(), y=logits.numpy(), z=heights.numpy())
    on_surface.update(x=l_i, y=np.full_like(l_i, logit_j), z=values)
    curve.update(x=l_i, y=values)
    pulled.update(x=l_i, y=pull)
    arrows.update(x=x, y=y, marker_size=sizes)
    line.update(y=[logit_j, logit_j])
    return longest


def _arrows(relaxation: str, limit: float):
    """Return the descent field as one line with gaps: x, y, marker sizes that show only heads, and the longest gradient.

    An arrow's length is proportional to the gradient; the longest arrow is one step of the grid, a vanishing one a dot.
    """
    logits, along_i, along_j = (values.numpy() for values in descent_field(relaxation, limit))
    lengths = np.hypot(along_i, along_j)
    longest = float(lengths.max())
    scale = (logits[1] - logits[0]) / longest
    x, y, sizes = [], [], []
    for row, column in np.ndindex(lengths.shape):
        x += [logits[column], logits[column] + scale * along_i[row, column], None]
        y += [logits[row], logits[row] + scale * along_j[row, column], None]
        sizes += [3.5, 12 if lengths[row, column] > 0.15 * longest else 0, 0]
    return x, y, sizes, longest
