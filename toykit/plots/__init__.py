"""Draw the figures: pictures of labels (Fig. 4), potentials (Fig. 2), moves on the simplex (Fig. 1), curves.

Needs matplotlib. Each function draws into given axes, or creates a figure and returns it; none calls `plt.show`.
"""

from toykit.plots.curves import convergence_curves, label_curves, loss_curves
from toykit.plots.grid import panels
from toykit.plots.images import entropy_map, hard_colors, overlay_seeds, soft_colors
from toykit.plots.label_noise import noise_curves, scene_gallery
from toykit.plots.label_picture import certainty, label_picture
from toykit.plots.neighborhoods import affinity_panels, discount_curves, shape_curves
from toykit.plots.potentials import contours, descent_fields, surfaces
from toykit.plots.results import dot_rows, length_curves
from toykit.plots.simplex import landscapes, move_figure, simplex_path, triangle
from toykit.plots.style import figure_format, style
from toykit.plots.tints import background_class, class_tints
from toykit.plots.training import training_curves

__all__ = [
    "affinity_panels",
    "background_class",
    "certainty",
    "class_tints",
    "contours",
    "convergence_curves",
    "descent_fields",
    "discount_curves",
    "dot_rows",
    "entropy_map",
    "figure_format",
    "hard_colors",
    "label_curves",
    "label_picture",
    "landscapes",
    "length_curves",
    "loss_curves",
    "move_figure",
    "noise_curves",
    "overlay_seeds",
    "panels",
    "scene_gallery",
    "shape_curves",
    "simplex_path",
    "soft_colors",
    "style",
    "surfaces",
    "training_curves",
    "triangle",
]
