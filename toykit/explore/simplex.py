"""Two soft labels on the triangle Delta^3 and the six relaxations between them, live (Fig. 1, Tables 1 and 2)."""

import math

import torch

from toykit.experiments.moves import CLASS_NAMES, MOVES, landscape, potentials_of, with_coordinate
from toykit.explore.controls import choice, explorer, play, slider
from toykit.palette import LINE_COLORS
from toykit.potts import RELAXATIONS
from toykit.simplex import TRIANGLE, to_triangle

#: Bars and colours end here; what is larger is written out.
CEILING = 3.0
#: The move that is none: both points stay where they were put.
FREE = "none"


def simplex_explorer(p=(0.7, 0.2, 0.1), q=(0.1, 0.3, 0.6), relaxation: str = "CD"):
    """A widget: points p and q on the triangle, set by a click or by sliders, or led along a move of Fig. 1.

    Bars show all six P(p, q); the triangle's colour is P(p, .) of one relaxation, dark where it is cheap.
    p, q: distributions over three classes. relaxation: the one shown by colour first.
    Raises: ValueError for points outside the triangle.
    """
    import ipywidgets as widgets

    state = {name: _distribution(name, point) for name, point in (("p", p), ("q", q))}
    figure = _figure()
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
        updating = True  # the sliders follow the points, and would otherwise move them in turn
        for name, sliders in coordinates.items():
            for control, value in zip(sliders, state[name].tolist(), strict=True):
                control.value = value
        updating = False
        time.disabled = player.disabled = move.value == FREE
        _show(figure, state["p"], state["q"], shown.value)

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
        if points.point_inds:  # plotly calls this for clicks on the bars, too
            place(placed.value, grid[points.point_inds[0]])

    def lead(_):
        if move.value != FREE:
            at = MOVES[move.value](torch.tensor([time.value], dtype=torch.float64))
            state["p"], state["q"] = (y[0] for y in at)
        show()

    for name, sliders in coordinates.items():
        for k, control in enumerate(sliders):
            control.observe(follow(name, k), "value")
    for control in (shown, move, time):
        control.observe(lead, "value")
    grid = landscape(relaxation, state["p"])[0]
    figure.data[0].on_click(click)
    show()
    rows = [coordinates["p"], coordinates["q"], [shown, placed], [move, time, player]]
    return explorer([widgets.HBox(row, layout={"flex_flow": "row wrap"}) for row in rows], figure)


def _distribution(name: str, point) -> torch.Tensor:
    found = torch.as_tensor(point, dtype=torch.float64)
    if found.shape != (3,) or (found < 0).any() or abs(float(found.sum()) - 1) > 1e-6:
        raise ValueError(f"{name}: expected three numbers >= 0 that sum to 1, got {point!r}")
    return found


def _figure():
    """The triangle's grid, border, p and q on the left; a bar for each relaxation on the right."""
    from plotly import graph_objects as go
    from plotly.subplots import make_subplots

    figure = go.FigureWidget(make_subplots(1, 2, column_widths=[0.52, 0.48]))
    figure.add_scatter(
        mode="markers", row=1, col=1, name="click here",
        marker={"size": 16, "symbol": "hexagon", "colorscale": "Cividis", "cmin": 0, "cmax": CEILING},
    )  # fmt: skip
    corners = torch.tensor([*TRIANGLE, TRIANGLE[0]])
    figure.add_scatter(
        x=corners[:, 0].tolist(), y=corners[:, 1].tolist(), mode="lines", hoverinfo="skip",
        line={"color": "black", "width": 1}, row=1, col=1,
    )  # fmt: skip
    for number, name in enumerate("pq"):
        figure.add_scatter(
            mode="markers+text", text=[name], textfont={"size": 18, "color": "white"}, name=name, hoverinfo="skip",
            marker={"size": 28, "color": LINE_COLORS[number], "symbol": ("circle", "square")[number],
                    "line": {"color": "white", "width": 2}},
            row=1, col=1,
        )  # fmt: skip
    figure.add_bar(
        x=list(RELAXATIONS), marker={"color": list(LINE_COLORS[:6])}, textposition="outside", cliponaxis=False,
        hoverinfo="x+text", row=1, col=2,
    )  # fmt: skip
    for name, (x, y), shift in zip(CLASS_NAMES, TRIANGLE, (-18, -18, 18), strict=True):
        figure.add_annotation(x=x, y=y, text=f"<b>{name}</b>", showarrow=False, yshift=shift, row=1, col=1)
    figure.update_xaxes(visible=False, range=[-0.1, 1.1], row=1, col=1)
    figure.update_yaxes(visible=False, range=[-0.12, 1.0], scaleanchor="x", row=1, col=1)
    figure.update_yaxes(title="P(p, q)", range=[0, CEILING * 1.08], row=1, col=2)
    figure.update_layout(width=860, height=400, showlegend=False, template="simple_white", margin={"t": 20, "b": 30})
    return figure


def _show(figure, p, q, relaxation: str) -> None:
    grid, heights = landscape(relaxation, p)
    xy, points = to_triangle(grid), to_triangle(torch.stack([p, q]))
    values = {name: float(value) for name, value in potentials_of(p[None], q[None]).items()}
    field, _, *markers, bars = figure.data
    see = f"P_{relaxation}(p, .) = %{{customdata[3]:.3f}}<extra></extra>"
    # a trace at a time: one batch for all would blank what it sets in one trace and not in another, such as the bars' colours
    field.update(
        x=xy[:, 0].numpy(), y=xy[:, 1].numpy(), marker_color=heights.clamp_max(CEILING).numpy(),
        customdata=torch.cat([grid, heights[:, None]], 1).numpy(),
        hovertemplate="A %{customdata[0]:.2f}, B %{customdata[1]:.2f}, C %{customdata[2]:.2f}<br>" + see,
    )  # fmt: skip
    for marker, (x, y) in zip(markers, points.tolist(), strict=True):
        marker.update(x=[x], y=[y])
    bars.update(
        y=[min(value, CEILING) for value in values.values()],
        text=["infinite" if math.isinf(value) else f"{abs(value):.3f}" for value in values.values()],
    )
