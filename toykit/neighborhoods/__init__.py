"""Neighbourhood systems N and affinities w_ij: which pixels are neighbours, and how strongly (paper, sections 1.1 and 3.3).

    nearest          NearestNeighbors  NN: 4 or 8 on the grid             few edges; any relaxation, every solver
    sparse_nonlocal  SparseNonLocal    SN: the grid and some far pixels   few edges; any relaxation
    dense            Dense             DN: all pairs of pixels            a filter instead of edges; P_BL and P_Q only

`protocol.py` states what each provides. Each undirected edge counts once. An edge with an end in the padding does not exist;
unlabelled pixels have all their edges.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from toykit._shared.arguments import check_choice
from toykit.neighborhoods.dense import Dense, DenseEdges
from toykit.neighborhoods.nearest import GridEdges, NearestNeighbors
from toykit.neighborhoods.protocol import Edges, Neighborhood, Relaxation
from toykit.neighborhoods.sparse import ListEdges, SparseNonLocal

__all__ = [
    "NEIGHBORHOODS",
    "Dense",
    "DenseEdges",
    "Edges",
    "GridEdges",
    "ListEdges",
    "NearestNeighbors",
    "Neighborhood",
    "Relaxation",
    "SparseNonLocal",
    "build_neighborhood",
]

#: Neighbourhoods by name. Their fields are their options.
NEIGHBORHOODS = {"nearest": NearestNeighbors, "sparse_nonlocal": SparseNonLocal, "dense": Dense}


def build_neighborhood(kind: str, options: Mapping[str, Any]) -> Neighborhood:
    """Build a neighbourhood by name.

    Parameters
    ----------
    kind : str
        A key of `NEIGHBORHOODS`.
    options : mapping
        Fields of that class; the others keep their defaults.

    Returns
    -------
    Neighborhood

    Raises
    ------
    ValueError
        For an unknown kind, or an option out of range.
    TypeError
        For an option that the kind does not have, or of the wrong type.
    """
    check_choice("neighborhood", kind, NEIGHBORHOODS)
    known = [field.name for field in dataclasses.fields(NEIGHBORHOODS[kind])]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"neighborhood {kind!r} has no option {', '.join(unknown)}; it has {', '.join(known)}")
    return NEIGHBORHOODS[kind](**options)
