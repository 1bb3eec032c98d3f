"""How the block descent stores a sub-problem: blocks of pixels, no two of one block neighbours.

`blocks` is the protocol that the torch kernel uses. `four_colour_grid` implements it for grid edges, `edge_list` for any list
of edges.
"""
