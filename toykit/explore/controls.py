"""Create labelled controls of explorers, which report their values when the user releases them, and groups of them."""

import re
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

    def state(self) -> dict[str, str]:
        """Return the controls' values as text for a link, by short names."""
        return {
            _short(label): control.value if isinstance(control.value, str) else f"{control.value:g}"
            for label, control in self.controls.items()
        }

    def restore(self, state: Mapping[str, object]) -> None:
        """Set what a link contains, see `state`. Links may be damaged: what does not fit is left out."""
        values = {label: _fitting(control, state.get(_short(label))) for label, control in self.controls.items()}
        changed = {k: v for k, v in values.items() if v is not None and v != self.controls[k].value}
        if changed:
            self.set(changed)

    def _changed(self, _) -> None:
        if not self.together:
            self.show()

    def _button(self, words: str, values: dict[str, Any]):
        import ipywidgets as widgets

        button = widgets.Button(description=words)
        button.on_click(lambda _: self.set(values))
        return button


def _short(label: str) -> str:
    """Return a control's name in links."""
    return re.sub(r"\W+", "_", label.partition(" (")[0])


def _fitting(control, text: object) -> str | float | int | None:
    """Return the value of a control that a text names, or None."""
    if not isinstance(text, str):
        return None
    if hasattr(control, "options"):
        return text if text in control.options else None
    try:
        value = type(control.value)(text)
    except ValueError:
        return None
    return value if control.min <= value <= control.max else None
