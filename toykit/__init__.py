"""toykit: soft self-labelling and Potts relaxations for weakly-supervised segmentation.

The paper is Zhang & Boykov, "Soft Self-labeling and Potts Relaxations for Weakly-Supervised Segmentation", CVPR 2025.
Equation, table, figure and section numbers in this package refer to it.

Importing toykit imports torch and nothing else. Scipy, plotting and notebook libraries are imported where they are used.
"""

from toykit import cross_entropy, potts, simplex
from toykit.conventions import PADDING, UNLABELLED
from toykit.energy import Energy
from toykit.neighborhoods import Dense, NearestNeighbors, SparseNonLocal
from toykit.self_labeling import SelfLabelingLoss
from toykit.simplex import soft_jaccard
from toykit.solvers import ConvergenceError, ConvergenceWarning, Solution, random_walker, solve

__version__ = "0.1.0"

__all__ = [
    "PADDING",
    "UNLABELLED",
    "ConvergenceError",
    "ConvergenceWarning",
    "Dense",
    "Energy",
    "NearestNeighbors",
    "SelfLabelingLoss",
    "Solution",
    "SparseNonLocal",
    "cross_entropy",
    "potts",
    "random_walker",
    "simplex",
    "soft_jaccard",
    "solve",
]
