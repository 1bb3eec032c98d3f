"""Show all explorers and the painter on one page without code, served by Voila, for use in class."""

import html
from collections.abc import Sequence
from pathlib import Path

from toykit.explore.dashboard.tabs import TABS, Tab

#: The page, and the folder for JUPYTER_PATH with its template, which makes no requests to other servers.
NOTEBOOK = Path(__file__).parent / "dashboard.ipynb"
JUPYTER = Path(__file__).parent / "jupyter"


def dashboard(tabs: Sequence[Tab] = TABS):
    """Return one tab per explorer below a bar; a widget is created when its tab is first opened.

    Parameters
    ----------
    tabs : sequence of Tab
        What the tabs show; default `TABS`.

    Returns
    -------
    ipywidgets.VBox
    """
    import ipywidgets as widgets

    from toykit.explore.dashboard.bar import Bar
    from toykit.plots import style

    style()
    pages = [widgets.VBox([_words(tab)]).add_class("toykit-tab") for tab in tabs]
    tab = widgets.Tab(pages, titles=[tab.title for tab in tabs], selected_index=0)
    bar = Bar(tabs=[{"name": tab.name, "title": tab.title, "saves": tab.saves} for tab in tabs])

    def fill(number: int | None) -> None:
        if number is not None and len(pages[number].children) == 1:
            pages[number].children = [*pages[number].children, tabs[number].make()]

    tab.observe(lambda change: fill(change["new"]), "selected_index")
    fill(0)
    widgets.jslink((bar, "selected"), (tab, "selected_index"))
    return widgets.VBox([bar, tab]).add_class("toykit-page")


def _words(tab: Tab):
    """Return a widget with a tab's question and its folded notes."""
    import ipywidgets as widgets

    notes = "".join(f"<li>{html.escape(note)}</li>" for note in tab.notes)
    return widgets.HTML(
        f"<p>{html.escape(tab.question)}</p>"
        f"<details class='toykit-notes'><summary>Notes for the lecturer</summary><ul>{notes}</ul></details>"
    ).add_class("toykit-question")


__all__ = ["JUPYTER", "NOTEBOOK", "TABS", "Tab", "dashboard"]
