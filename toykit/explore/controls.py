"""Controls above a figure that follows them."""

import io
import threading
from collections.abc import Callable

#: Labels in full, however long.
LABEL = {"description_width": "initial"}


def figure_with_controls(draw: Callable, controls: dict):
    """A widget: the controls above the figure that ``draw(**values)`` returns, drawn anew whenever one changes.

    draw: takes each control's value by its key and returns a matplotlib figure. controls: name -> ipywidgets control.
    """
    import ipywidgets as widgets
    import matplotlib.pyplot as plt

    picture, turn = widgets.Image(format="png"), threading.Lock()

    def show(_=None):
        with turn:  # a front end may send changes to threads of their own; pyplot has one current figure for all
            figure = draw(**{name: control.value for name, control in controls.items()})
            file = io.BytesIO()
            figure.savefig(file, format="png", bbox_inches="tight")
            plt.close(figure)
            picture.value = file.getvalue()

    for control in controls.values():
        control.observe(show, "value")
    show()
    row = widgets.Box(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([row, widgets.Box([picture])])


def explorer(controls: list, *shown):
    """A widget: controls in rows, above the figure widget (and what else is shown) that their observers update."""
    import ipywidgets as widgets

    return widgets.VBox([widgets.Box(controls, layout=widgets.Layout(flex_flow="row wrap")), *shown])


def slider(label: str, value: float, low: float, high: float, step: float):
    """A labelled slider that reports when it is let go."""
    import ipywidgets as widgets

    return widgets.FloatSlider(
        value,
        min=low,
        max=high,
        step=step,
        description=label,
        continuous_update=False,
        style=LABEL,
        layout=_room(label),
    )


def whole_slider(label: str, value: int, high: int):
    """A labelled slider of whole numbers 0..high."""
    import ipywidgets as widgets

    return widgets.IntSlider(
        value, min=0, max=high, description=label, continuous_update=False, style=LABEL, layout=_room(label)
    )


def _room(label: str) -> dict[str, str]:
    """A layout as wide as the label, with the same track beside each."""
    return {"width": f"{14 + 0.55 * len(label)}em"}


def play(control):
    """A play button that moves a slider of `slider` from its lowest to its highest value."""
    import ipywidgets as widgets

    steps = round((control.max - control.min) / control.step)
    button = widgets.Play(0, min=0, max=steps, interval=200, description="play")
    button.observe(lambda change: setattr(control, "value", control.min + change.new * control.step), "value")
    return button


def choice(label: str, options, value):
    """A labelled drop-down list."""
    import ipywidgets as widgets

    return widgets.Dropdown(options=list(options), value=value, description=label, style=LABEL)
