"""The closed form: the random walker with a unary term, one sparse linear system per image.

`solver` is the entry point and the sparse direct reference; `pixel_graph` builds the system; `over_relaxation` and
`conjugate_gradient` are iterative backends.
"""
