"""Define the widget of explorers that run in the page."""

from collections.abc import Callable
from typing import Any

import anywidget
import traitlets

from toykit.explore.live import page, png, script, style


class LiveWidget(anywidget.AnyWidget):
    """An explorer without a kernel, see `toykit.explore.live.live`.

    Inside other widgets, as on the dashboard, it is a widget. As a cell's output it is HTML, which still works when the
    notebook is stored and its kernel is gone.
    """

    _esm = script()
    _css = style()
    kind = traitlets.Unicode().tag(sync=True)
    start = traitlets.Dict().tag(sync=True)

    def __init__(self, kind: str, start: dict[str, Any], picture: Callable[[], Any], description: str):
        super().__init__(kind=kind, start=start)
        self.picture, self.description = picture, description

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Return the page as HTML, and the description as text."""
        html = page(self.kind, self.start, png(self.picture()), self.description)
        return {"text/html": html, "text/plain": self.description}
