"""Interactive explorers for the notebooks. Needs ipywidgets, anywidget and plotly.

The explorers made by `toykit.explore.live` run in the page, also in stored ones. The others need a running kernel; in the
notebooks, a static figure beside each shows the same content without one.
"""

from toykit.explore.neighborhoods import neighborhood_explorer
from toykit.explore.painting import painter
from toykit.explore.photos import pseudo_labels
from toykit.explore.potentials import potential_explorer
from toykit.explore.simplex import simplex_explorer
from toykit.explore.uncertainty import cross_entropy_explorer

__all__ = [
    "cross_entropy_explorer",
    "neighborhood_explorer",
    "painter",
    "potential_explorer",
    "pseudo_labels",
    "simplex_explorer",
]
