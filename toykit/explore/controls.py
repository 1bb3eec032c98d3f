"""Create labelled controls of explorers, which report their values when the user releases them, and groups of them."""

from collections.abc import Callable, Mapping
from typing import Any

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


class Controls:
    """An explorer's controls, and buttons that set several of them at once.

    Parameters
    ----------
    controls : sequence of widgets
        Made by the functions above.
    show : callable
        Draws the explorer; called once after each change, also where a button changes several controls.
    situations : mapping of str to dict
        A button's words -> the values that it sets, by the controls' labels. A button "reset" sets the first values of all.
    """

    def __init__(self, controls, show: Callable[[], None], situations: Mapping[str, dict[str, Any]]):
        self.controls, self.show, self.together = {c.description: c for c in controls}, show, False
        start = {label: control.value for label, control in self.controls.items()}
        for control in self.controls.values():
            control.observe(self._changed, "value")
        self.buttons = [self._button(words, values) for words, values in {**situations, "reset": start}.items()]

    def set(self, values: dict[str, Any]) -> None:
        """Set controls by their labels, then draw once."""
        self.together = True
        try:
            for label, value in values.items():
                self.controls[label].value = value
        finally:
            self.together = False
        self.show()

    def _changed(self, _) -> None:
        if not self.together:
            self.show()

    def _button(self, words: str, values: dict[str, Any]):
        import ipywidgets as widgets

        button = widgets.Button(description=words)
        button.on_click(lambda _: self.set(values))
        return button
