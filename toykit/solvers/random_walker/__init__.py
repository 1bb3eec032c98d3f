"""The closed form: the random walker with a unary term, one sparse linear system per image.

`solver` is the entry point; `pixel_graph` builds the system and factorises it, the reference; `approximate_cholesky`,
`over_relaxation` and `conjugate_gradient` are iterative backends.
"""
