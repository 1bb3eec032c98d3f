"""Define the widget above the dashboard's tabs."""

from pathlib import Path

import anywidget
import traitlets

from toykit.explore.modules import joined

FOLDER = Path(__file__).parent / "page"


class Bar(anywidget.AnyWidget):
    """The dashboard's bar: full screen, large type, dark colours, the picture as a file.

    It also keeps the open tab and its explorer's state in the page's address, so that a link reopens them.
    """

    _esm = joined(FOLDER, ("link", "picture", "bar"))
    _css = FOLDER / "bar.css"
    tabs = traitlets.List(help="of each tab: name, title, whether its pictures can be saved").tag(sync=True)
    selected = traitlets.Int(0, help="number of the open tab").tag(sync=True)
