"""Explore a pixel's affinities under nearest, sparse non-local and dense neighbourhoods (section 3.3)."""

from toykit.datasets.sample import Sample
from toykit.experiments.neighborhoods import affinity_map
from toykit.explore.controls import Controls, choice, selected, slider, whole_slider
from toykit.explore.frame import explorer, text
from toykit.explore.panels import Panel, Panels
from toykit.neighborhoods import Dense, NearestNeighbors, SparseNonLocal

#: Menu entry -> function from a colour and a spatial bandwidth to a neighbourhood.
NEIGHBORHOODS = {
    "nearest, 4": lambda color, space: NearestNeighbors(color),
    "nearest, 8": lambda color, space: NearestNeighbors(color, connectivity=8),
    "sparse non-local": lambda color, space: SparseNonLocal(color),
    "dense": lambda color, space: Dense(color, space),
}
COLOR, SPACE = "colour bandwidth (0..255)", "spatial bandwidth (pixels), dense only"
#: The close-up shows this many pixels to each side.
REACH = 6
CAPTION = """<p>Bright colours are high affinities. A nearest neighbourhood contains only the adjacent pixels. A dense one
reaches all pixels of similar colour; the wider the bandwidths, the less colour and position matter.</p>"""
SITUATIONS = {
    "only adjacent pixels": {"neighbourhood": "nearest, 4", COLOR: 9},
    "a few distant ones": {"neighbourhood": "sparse non-local", COLOR: 9},
    "all of this colour": {"neighbourhood": "dense", COLOR: 9, SPACE: 100},
    "position counts more": {"neighbourhood": "dense", COLOR: 60, SPACE: 8},
}


def neighborhood_explorer(sample: Sample, neighborhood: str = "dense"):
    """Return a widget that shows a photo, the affinities w_ij of one pixel i, and a close-up of them.

    A click or the sliders choose the pixel.

    Parameters
    ----------
    sample : toykit.datasets.Sample
        The photo; a small one (100 pixels) responds immediately.
    neighborhood : str, default "dense"
        The neighbourhood shown first, a key of `NEIGHBORHOODS`.

    Returns
    -------
    ipywidgets.Box
        The widget.
    """
    image, _ = sample.tensors()
    height, width = image.shape[2:]
    panels, counts = _panels(sample.image), text()
    figure = panels.figure
    kind = choice("neighbourhood", NEIGHBORHOODS, neighborhood)
    color = slider(COLOR, 9.0, 1, 60, 1)
    space = slider(SPACE, 30.0, 1, 100, 1)
    x, y = whole_slider("pixel: x", width // 2, width - 1), whole_slider("pixel: y", height // 2, height - 1)

    def show():
        space.disabled = kind.value != "dense"
        system = NEIGHBORHOODS[selected(kind)](color.value, space.value)
        weights = affinity_map(image, (y.value, x.value), system).numpy()
        _show(figure, weights, x.value, y.value)
        counts.value = (
            f"pixel ({x.value}, {y.value}) has {int((weights > 0.01).sum())} neighbours with w &gt; 0.01; "
            f"sum of all weights: {weights.sum():.2f}; largest weight: {weights.max():.3f}"
        )

    def click(trace, points, _):
        if points.point_inds:  # plotly calls all traces; the click may have been on another one
            controls.set({"pixel: x": int(points.xs[0]), "pixel: y": int(points.ys[0])})

    controls = Controls([kind, color, space, x, y], show, SITUATIONS)
    for trace in figure.data[1:3]:
        trace.on_click(click)
    show()
    return explorer("neighbourhoods", controls, figure, counts, text(CAPTION), panels=panels)


def _panels(photo):
    """Create the panels: the photo with a transparent layer for clicks, the affinities and the close-up."""
    height, width = photo.shape[:2]
    upper, lower, around = round(145 * height / width) + 60, 220, (30, 8, 26)  # pixels of a narrow page's two rows
    share = upper / (upper + lower)
    panels = Panels(
        [
            Panel("click a pixel i", (0, 0.37, 0, 1), (0, 0.5, 0, share), around),
            Panel("its affinities w_ij", (0.37, 0.74, 0, 1), (0.5, 1, 0, share), around),
            Panel(f"close-up: {REACH} pixels around", (0.74, 1, 0, 1), (0, 1, share, 1), around),
        ],
        heights=(330, upper + lower),
    )
    made = panels.figure
    made.add_image(z=photo, hoverinfo="skip", row=1, col=1)
    scale = {"zmin": 0, "zmax": 1, "colorscale": "Cividis", "hovertemplate": "x %{x}, y %{y}: %{z:.3f}<extra></extra>"}
    made.add_heatmap(opacity=0, showscale=False, **scale, row=1, col=1)
    made.add_heatmap(showscale=False, **scale, row=1, col=2)
    made.add_heatmap(showscale=False, **scale, row=1, col=3)
    for column in (1, 2):
        for color, thick in (("black", 5), ("white", 2)):  # visible on bright and on dark colours
            cross = {"symbol": "cross-thin", "size": 15, "line": {"color": color, "width": thick}}
            made.add_scatter(mode="markers", marker=cross, hoverinfo="skip", row=1, col=column)
        made.update_xaxes(range=[-0.5, width - 0.5], row=1, col=column)
        made.update_yaxes(range=[height - 0.5, -0.5], row=1, col=column)
    for column, anchor in enumerate(("x", "x2", "x3"), 1):
        made.update_xaxes(constrain="domain", row=1, col=column)
        made.update_yaxes(scaleanchor=anchor, constrain="domain", row=1, col=column)
    panels.arrange()
    return panels


def _show(figure, weights, x: int, y: int) -> None:
    """Draw the affinities and mark the pixel."""
    _, clicks, whole, close, *crosses = figure.data
    with figure.batch_update():
        clicks.z = whole.z = close.z = weights
        for cross in crosses:
            cross.x, cross.y = [x], [y]
        figure.layout.xaxis3.range = [x - REACH - 0.5, x + REACH + 0.5]
        figure.layout.yaxis3.range = [y + REACH + 0.5, y - REACH - 0.5]
