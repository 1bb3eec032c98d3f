"""Fig. 2's surfaces to turn, with a menu for the relaxation (plotly)."""

from toykit.experiments.potentials import over_logits
from toykit.potts import RELAXATIONS


def potential_surface(relaxation: str = "Q", limit: float = 3.0, n: int = 31):
    """A plotly FigureWidget of P over logits (l_i, l_j) in [-limit, limit]^2; drag to turn it.

    relaxation: the one shown first; the menu has all six. n: grid points along each axis.
    """
    import plotly.graph_objects as go

    names = list(RELAXATIONS)
    figure = go.FigureWidget()
    for name in names:
        logits, values = over_logits(name, limit, n)
        figure.add_surface(
            x=logits.float().numpy(), y=logits.float().numpy(), z=values.float().numpy(),
            colorscale="Cividis", showscale=False, visible=name == relaxation, name=name,
            hovertemplate="l_i %{x:.2f}, l_j %{y:.2f}<br>P %{z:.3f}",
        )  # fmt: skip
    buttons = [
        {"label": name, "method": "update", "args": [{"visible": [other == name for other in names]}]} for name in names
    ]
    figure.update_layout(
        width=620,
        height=480,
        margin={"l": 0, "r": 0, "t": 30, "b": 0},
        scene={"xaxis_title": "l_i", "yaxis_title": "l_j", "zaxis_title": "P"},
        updatemenus=[{"buttons": buttons, "active": names.index(relaxation), "x": 0, "y": 1.08, "xanchor": "left"}],
    )
    return figure
