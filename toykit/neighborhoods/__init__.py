"""Neighbourhood systems N and affinities w_ij: who is a neighbour of whom, and how much (paper, sections 1.1 and 3.3).

    NearestNeighbors  NN, 4 or 8 on the grid              few edges, any relaxation, every solver
    SparseNonLocal    SN, the grid and some far pixels    few edges, any relaxation
    Dense             DN, all pairs of pixels             a filter instead of edges: P_BL and P_Q only

Each has ``edges(image, padding) -> Edges`` (see `toykit.neighborhoods.edges` for what an `Edges` owes). Each undirected
edge counts once. An edge with an end in the padding does not exist; unlabelled pixels have all theirs.
"""

from toykit.neighborhoods.dense import Dense, DenseEdges
from toykit.neighborhoods.edges import Edges, IndexedEdges
from toykit.neighborhoods.nearest import GridEdges, NearestNeighbors
from toykit.neighborhoods.sparse import ListEdges, SparseNonLocal

__all__ = [
    "Dense",
    "DenseEdges",
    "Edges",
    "GridEdges",
    "IndexedEdges",
    "ListEdges",
    "NearestNeighbors",
    "SparseNonLocal",
]
