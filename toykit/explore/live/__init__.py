"""Explorers that run in the page, without a kernel: one script for JupyterLab, the dashboard and static pages."""

import base64
import html
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toykit._shared.palette import LINE_COLORS, LINE_STYLES
from toykit.explore.modules import joined

FOLDER = Path(__file__).parent
#: The modules, each after those that it imports.
MODULES = ("formulas", "elements", "../links", "colors", "chart", "simplex", "potentials", "cross_entropies", "live")


def live(kind: str, start: dict[str, Any], picture: Callable[[], Any], description: str):
    """Return a widget that a page runs by itself.

    Parameters
    ----------
    kind : str
        The explorer's name in `live.js`.
    start : dict
        What the explorer shows first; JSON types only.
    picture : callable
        Returns the Matplotlib figure that replaces the explorer where no script runs.
    description : str
        The alternative text of that figure.

    Returns
    -------
    anywidget.AnyWidget
        The widget. A cell's output is HTML with picture, script and style sheet, so that a stored page needs nothing else.
    """
    from toykit.explore.live.widget import LiveWidget

    return LiveWidget(kind, start, picture, description)


def line(number: int) -> dict[str, str]:
    """Return colour and dashes of a line of `toykit._shared.palette`, by its number, for an SVG; black is the page's ink."""
    named = {"-": (), "--": (3.7, 1.6), "-.": (6.4, 1.6, 1, 1.6)}  # Matplotlib's patterns, in line widths
    style = LINE_STYLES[number]
    pattern = named[style] if isinstance(style, str) else style[1]
    color = "currentColor" if LINE_COLORS[number] == "#000000" else LINE_COLORS[number]
    return {"color": color, "dash": " ".join(f"{2.4 * length:g}" for length in pattern)}


def script() -> str:
    """Return the script."""
    return joined(FOLDER, MODULES)


def style() -> str:
    """Return the style sheet."""
    return (FOLDER / "live.css").read_text(encoding="utf-8")


def page(kind: str, start: dict[str, Any], png: bytes, description: str) -> str:
    """Return HTML that shows a picture, and the explorer in its place once its script runs; it requests nothing."""
    code = script().replace("export default {", "const live = {")
    data = html.escape(json.dumps({"kind": kind, "start": start}, allow_nan=False))
    source = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return (
        f'<style>{style()}</style>\n<div class="toykit-live" data-start="{data}">'
        f'<img src="{source}" alt="{html.escape(description)}"></div>\n'
        f'<script type="module">\n{code}\nlive.begin();\n</script>'
    )


def png(figure) -> bytes:
    """Encode a Matplotlib figure as a PNG file and close it."""
    from matplotlib import pyplot

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100, metadata={"Software": None})
    pyplot.close(figure)
    return file.getvalue()
