"""Define the widget in each explorer's frame, which exchanges messages between the page and Python."""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class Frame(anywidget.AnyWidget):
    """An invisible widget: style sheet, width for pictures, names of figure and sliders, states of links."""

    _esm = HERE / "frame.js"
    _css = HERE / "frame.css"
    width = traitlets.Int(0, help="width available for pictures, in pixels").tag(sync=True)
    kind = traitlets.Unicode(help="the explorer's name in links").tag(sync=True)
    state = traitlets.Dict(help="what a link contains: names and texts").tag(sync=True)
    label = traitlets.Unicode(help="description of the figure for screen readers").tag(sync=True)
