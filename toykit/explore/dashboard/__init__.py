"""All explorers and the painter on one page without code, served by Voila: what a lecturer opens in class."""

from pathlib import Path

from toykit import explore
from toykit.datasets import photo

#: The page, and the folder for JUPYTER_PATH that holds its template (which asks no other server for anything).
NOTEBOOK = Path(__file__).parent / "dashboard.ipynb"
JUPYTER = Path(__file__).parent / "jupyter"

#: The tabs: title, maker of the widget.
TABS = [
    ("Painter", lambda: explore.painter()),
    ("Simplex (Fig. 1)", lambda: explore.simplex_explorer()),
    ("Potentials (Fig. 2)", lambda: explore.potential_explorer()),
    ("Cross-entropies (Fig. 3)", lambda: explore.cross_entropy_explorer()),
    ("Pseudo-labels (Fig. 4)", lambda: explore.pseudo_labels(photo("chelsea", 240))),
    ("Neighbourhoods (Fig. 6)", lambda: explore.neighborhood_explorer(photo("coffee", 100))),
]


def dashboard(tabs: list | None = None):
    """A tab for each of `TABS`, or of given (title, maker); a widget is made when its tab is first opened."""
    import ipywidgets as widgets

    from toykit.plots import style

    style()
    tabs = TABS if tabs is None else tabs
    pages = [widgets.VBox() for _ in tabs]
    tab = widgets.Tab(pages, titles=[title for title, _ in tabs], selected_index=0)

    def fill(number: int) -> None:
        if number is not None and not pages[number].children:
            pages[number].children = [tabs[number][1]()]

    tab.observe(lambda change: fill(change["new"]), "selected_index")
    fill(0)
    return tab
