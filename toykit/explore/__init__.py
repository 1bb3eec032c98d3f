"""Interactive explorers for the notebooks: what a reader wants to turn or drag. Needs ipywidgets and plotly.

In the notebooks a static figure beside each shows the same thing without a kernel.
"""

from toykit.explore.moves import play_move
from toykit.explore.painting import painter
from toykit.explore.photos import pseudo_labels
from toykit.explore.potentials import potential_surface
from toykit.explore.uncertainty import cross_entropies

__all__ = ["cross_entropies", "painter", "play_move", "potential_surface", "pseudo_labels"]
