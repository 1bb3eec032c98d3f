"""Interactive explorers for the notebooks: what a reader wants to turn or drag. Needs ipywidgets and plotly.

In the notebooks a static figure beside each shows the same thing without a kernel.
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
