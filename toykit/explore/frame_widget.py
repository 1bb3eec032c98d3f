"""The widget within each explorer's frame, which only carries messages between the page and Python."""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__).parent


class Frame(anywidget.AnyWidget):
    """Shows nothing: brings the style sheet, tells how wide the pictures' room is, and names figure and sliders aloud."""

    _esm = HERE / "frame.js"
    _css = HERE / "frame.css"
    width = traitlets.Int(0, help="of the room for pictures, in pixels").tag(sync=True)
    says = traitlets.Unicode(help="what the figure shows, in words").tag(sync=True)
