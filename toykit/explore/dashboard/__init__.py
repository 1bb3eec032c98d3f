"""Show all explorers and the painter on one page without code, served by Voila, for use in class."""

from pathlib import Path

from toykit import explore
from toykit.datasets import photo

#: The page, and the folder for JUPYTER_PATH with its template, which makes no requests to other servers.
NOTEBOOK = Path(__file__).parent / "dashboard.ipynb"
JUPYTER = Path(__file__).parent / "jupyter"

#: The tabs: title, and a function that creates the widget.
TABS = [
    ("Painter", lambda: explore.painter()),
    ("Simplex (Fig. 1)", lambda: explore.simplex_explorer()),
    ("Potentials (Fig. 2)", lambda: explore.potential_explorer()),
    ("Cross-entropies (Fig. 3)", lambda: explore.cross_entropy_explorer()),
    ("Pseudo-labels (Fig. 4)", lambda: explore.pseudo_labels(photo("chelsea", 240))),
    ("Neighbourhoods (Fig. 6)", lambda: explore.neighborhood_explorer(photo("coffee", 100))),
]


def dashboard(tabs: list | None = None):
    """Return one tab per explorer; a widget is created when its tab is first opened.

    Parameters
    ----------
    tabs : list of (str, callable), optional
        Title and a function that creates the widget; default `TABS`.

    Returns
    -------
    ipywidgets.Tab
    """
    import ipywidgets as widgets

    from toykit.plots import style

    style()
    tabs = TABS if tabs is None else tabs
    pages = [widgets.VBox() for _ in tabs]
    tab = widgets.Tab(pages, titles=[title for title, _ in tabs], selected_index=0)

    def fill(number: int | None) -> None:
        if number is not None and not pages[number].children:
            pages[number].children = [tabs[number][1]()]

    tab.observe(lambda change: fill(change["new"]), "selected_index")
    fill(0)
    return tab
