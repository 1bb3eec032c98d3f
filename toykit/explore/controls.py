"""Controls beside a matplotlib figure that follows them."""

from collections.abc import Callable

#: Labels in full, however long.
LABEL = {"description_width": "initial"}


def figure_with_controls(draw: Callable, controls: dict):
    """A widget: the controls above the figure that ``draw(**values)`` returns, drawn anew whenever one changes.

    draw: takes each control's value by its key and returns a matplotlib figure. controls: name -> ipywidgets control.
    """
    import ipywidgets as widgets
    import matplotlib.pyplot as plt
    from IPython.display import display

    def show(**values):
        figure = draw(**values)
        display(figure)
        plt.close(figure)

    row = widgets.Box(list(controls.values()), layout=widgets.Layout(flex_flow="row wrap"))
    return widgets.VBox([row, widgets.interactive_output(show, controls)])


def slider(label: str, value: float, low: float, high: float, step: float):
    """A labelled slider that reports when it is let go."""
    import ipywidgets as widgets

    return widgets.FloatSlider(
        value, min=low, max=high, step=step, description=label, continuous_update=False, style=LABEL
    )


def choice(label: str, options, value):
    """A labelled drop-down list."""
    import ipywidgets as widgets

    return widgets.Dropdown(options=list(options), value=value, description=label, style=LABEL)
