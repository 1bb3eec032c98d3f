"""Create labelled controls of explorers; each reports its value when the user releases it."""

#: The style sheet places each label above its control, in full length.
LABEL = {"description_width": "initial"}


def slider(label: str, value: float, low: float, high: float, step: float):
    """Return a labelled slider."""
    import ipywidgets as widgets

    return widgets.FloatSlider(
        value, min=low, max=high, step=step, description=label, continuous_update=False, style=LABEL
    )


def whole_slider(label: str, value: int, high: int, step: int = 1):
    """Return a labelled slider of whole numbers 0..high."""
    import ipywidgets as widgets

    return widgets.IntSlider(value, min=0, max=high, step=step, description=label, continuous_update=False, style=LABEL)


def choice(label: str, options, value):
    """Return a labelled drop-down list."""
    import ipywidgets as widgets

    return widgets.Dropdown(options=list(options), value=value, description=label, style=LABEL)


def selected(control) -> str:
    """Return the selected option of a drop-down list made by `choice`."""
    return str(control.value)
