"""Labelled controls of explorers: each tells its value when it is let go."""

#: The page puts labels above their controls, in full, however long.
LABEL = {"description_width": "initial"}


def slider(label: str, value: float, low: float, high: float, step: float):
    """A labelled slider."""
    import ipywidgets as widgets

    return widgets.FloatSlider(
        value, min=low, max=high, step=step, description=label, continuous_update=False, style=LABEL
    )


def whole_slider(label: str, value: int, high: int, step: int = 1):
    """A labelled slider of whole numbers 0..high."""
    import ipywidgets as widgets

    return widgets.IntSlider(value, min=0, max=high, step=step, description=label, continuous_update=False, style=LABEL)


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
