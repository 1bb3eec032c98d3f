"""Explore two soft labels on the triangle Delta^3 and the six relaxations between them (Fig. 1, Tables 1 and 2)."""

import math

import torch

from toykit._shared.palette import LINE_COLORS
from toykit.experiments.moves import CLASS_NAMES, MOVES, landscape, landscape_sheet, potentials_of, with_coordinate
from toykit.explore.controls import choice, play, selected, slider
from toykit.explore.frame import explorer, text
from toykit.explore.panels import INK, Panel, Panels
from toykit.potts import RELAXATIONS
from toykit.simplex import TRIANGLE, to_triangle

#: The largest value of bars and colours; larger values are written as text.
CEILING = 3.0
#: A click selects shares in steps of 1 / CLICKS.
CLICKS = 50
#: The menu entry for no move: both points stay in place.
FREE = "none"
CAPTION = """<p>Dark colours are low values, with a white line at every 1/4. Place a point by a click, or by sliders from
the keyboard. Move q onto p: the bars that remain belong to the relaxations that penalise two equal uncertain labels.</p>"""


def simplex_explorer(p=(0.7, 0.2, 0.1), q=(0.1, 0.3, 0.6), relaxation: str = "CD"):
    """Return a widget with two points p and q on the triangle, moved by clicks, by sliders or along a move of Fig. 1.

    Bars show all six P(p, q). The colour of the triangle is P(p, .) of one relaxation; dark colours are low values.

    Parameters
    ----------
    p, q : sequence of float, default (0.7, 0.2, 0.1) and (0.1, 0.3, 0.6)
        Distributions over three classes.
    relaxation : str, default "CD"
        The relaxation shown by colour first, a key of `toykit.potts.RELAXATIONS`.

    Returns
    -------
    ipywidgets.Box
        The widget.

    Raises
    ------
    ValueError
        If p or q is not a distribution over three classes.
    """

    state = {name: _distribution(name, point) for name, point in (("p", p), ("q", q))}
    panels = _panels()
    figure = panels.figure
    coordinates = {
        name: [slider(f"{name}: share of {c}", float(point[k]), 0, 1, 0.01) for k, c in enumerate(CLASS_NAMES)]
        for name, point in state.items()
    }
    shown = choice("colour: P(p, .) of", RELAXATIONS, relaxation)
    placed = choice("a click places", ("p", "q"), "q")
    move = choice("move of Fig. 1", (FREE, *MOVES), FREE)
    time = slider("time along the move", 0.0, 0, 1, 0.05)
    player = play(time)
    updating = False

    def show():
        nonlocal updating
        updating = True  # the sliders follow the points, and must not move them in turn
        for name, sliders in coordinates.items():
            for control, value in zip(sliders, state[name].tolist(), strict=True):
                control.value = value
        updating = False
        time.disabled = player.disabled = move.value == FREE
        _show(figure, state["p"], state["q"], selected(shown))

    def place(name, point):
        state[name] = point
        move.value = FREE
        show()

    def follow(name, k):
        def changed(change):
            if not updating:
                place(name, with_coordinate(state[name], k, change.new))

        return changed

    def click(trace, points, _):
        if points.point_inds:  # plotly also calls this for clicks on other traces
            place(selected(placed), grid[points.point_inds[0]])

    def lead(_):
        if move.value != FREE:
            at = MOVES[selected(move)](torch.tensor([time.value], dtype=torch.float64))
            state["p"], state["q"] = (y[0] for y in at)
        show()

    for name, sliders in coordinates.items():
        for k, control in enumerate(sliders):
            control.observe(follow(name, k), "value")
    for control in (shown, move, time):
        control.observe(lead, "value")
    grid = landscape(relaxation, state["p"], CLICKS)[0]
    figure.data[3].on_click(click)
    show()
    shares = [*coordinates["p"], *coordinates["q"]]
    return explorer([shown, *shares, placed, move, time, player], figure, text(CAPTION), panels=panels)


def _distribution(name: str, point) -> torch.Tensor:
    """Return a point as float64 (3,), or raise ValueError if it is not a distribution."""
    distribution = torch.as_tensor(point, dtype=torch.float64)
    if distribution.shape != (3,) or (distribution < 0).any() or abs(float(distribution.sum()) - 1) > 1e-6:
        raise ValueError(f"{name}: expected three numbers >= 0 that sum to 1, got {point!r}")
    return distribution


def _panels():
    """Create the traces: P(p, .), a mask outside the triangle, its border, the grid for clicks, p and q; the bars."""
    panels = Panels(
        [
            Panel("p and q; the colour is P(p, .)", (0, 0.55, 0, 1), 390, around=(4, 4, 46), bar=0),
            Panel("all six P(p, q)", (0.57, 1, 0, 1), 330, around=(48, 4, 30)),
        ],
        height=500,
    )
    made, here = panels.figure, {"row": 1, "col": 1}
    made.add_contour(
        contours={"start": 0, "end": CEILING, "size": 0.25}, zmin=0, zmax=CEILING, colorscale="Cividis", hoverinfo="skip",
        line={"color": "white", "width": 0.5}, **here,
        colorbar={"tickvals": [0, 1, 2, 3], "ticktext": ["0", "1", "2", "3 or more"]},
    )  # fmt: skip
    left, right, top = TRIANGLE
    past = 0.01  # beyond the rectangle's edge
    made.add_scatter(
        x=[left[0] - past, top[0], left[0] - past, None, right[0] + past, top[0], right[0] + past],
        y=[left[1] - past, top[1] + past, top[1] + past, None, right[1] - past, top[1] + past, top[1] + past],
        mode="lines", line={"width": 0}, fill="toself", fillcolor="white", hoverinfo="skip", **here,
    )  # fmt: skip
    x, y = zip(*TRIANGLE, left, strict=True)
    made.add_scatter(x=x, y=y, mode="lines", hoverinfo="skip", line={"color": INK, "width": 1.5}, **here)
    made.add_scatter(mode="markers", name="click here", marker={"size": 8, "opacity": 0}, **here)
    for number, name in enumerate("pq"):
        made.add_scatter(
            mode="markers+text", text=[name], textfont={"size": 17, "color": "white"}, name=name, hoverinfo="skip",
            marker={"size": 27, "color": LINE_COLORS[number], "symbol": ("circle", "square")[number],
                    "line": {"color": "white", "width": 2}}, **here,
        )  # fmt: skip
    made.add_bar(
        x=list(RELAXATIONS), marker={"color": list(LINE_COLORS[:6])}, textposition="outside", cliponaxis=False,
        hoverinfo="x+text", row=1, col=2,
    )  # fmt: skip
    for name, (x, y), shift in zip(CLASS_NAMES, TRIANGLE, (-16, -16, 16), strict=True):
        made.add_annotation(x=x, y=y, text=f"<b>{name}</b>", showarrow=False, yshift=shift, **here)
    made.update_xaxes(visible=False, range=[-0.06, 1.06], constrain="domain", **here)
    made.update_yaxes(visible=False, range=[-0.1, 0.96], scaleanchor="x", constrain="domain", **here)
    made.update_yaxes(title="P(p, q)", range=[0, CEILING * 1.08], row=1, col=2)
    panels.arrange()
    return panels


def _show(figure, p, q, relaxation: str) -> None:
    """Draw P(p, .), both points and the six potentials."""
    grid, heights = landscape(relaxation, p, CLICKS)
    xy, points = to_triangle(grid), to_triangle(torch.stack([p, q]))
    values = {name: float(value) for name, value in potentials_of(p[None], q[None]).items()}
    sheet, _, _, field, *markers, bars = figure.data
    see = f"P_{relaxation}(p, .) = %{{customdata[3]:.3f}}<extra></extra>"
    # one trace at a time: a common batch would reset properties that it sets in some traces only
    x, y, over = landscape_sheet(relaxation, p)
    sheet.update(x=x.numpy(), y=y.numpy(), z=over.clamp_max(CEILING).float().numpy())
    field.update(
        x=xy[:, 0].numpy(), y=xy[:, 1].numpy(), customdata=torch.cat([grid, heights[:, None]], 1).numpy(),
        hovertemplate="A %{customdata[0]:.2f}, B %{customdata[1]:.2f}, C %{customdata[2]:.2f}<br>" + see,
    )  # fmt: skip
    for marker, (x, y) in zip(markers, points.tolist(), strict=True):
        marker.update(x=[x], y=[y])
    bars.update(
        y=[min(value, CEILING) for value in values.values()],
        text=["infinite" if math.isinf(value) else f"{abs(value):.3f}" for value in values.values()],
    )
