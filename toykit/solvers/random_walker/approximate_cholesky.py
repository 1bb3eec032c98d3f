"""The random walker's system by conjugate gradients with an approximate Cholesky factor (library apxchol), for listed edges.

The factor samples the fill of each eliminated pixel (Kyng and Sachdeva 2016; Gao, Kyng and Spielman 2025). So it remains about
as sparse as the matrix, and it preconditions steep affinities too. It is computed once per image and serves all classes. Labels
sum to one: the class with the largest right-hand side is one minus the others.

A residual hardly depends on regions that are joined to all seeds by small affinities only, so labels may be wrong there by far
more than the tolerance. These regions, few and small on photos, are solved by the factorisation of
`toykit.solvers.random_walker.pixel_graph`, given the labels around them.
"""

import apxchol
import numpy as np
from scipy.sparse import coo_array, csr_array, diags_array

from toykit.solvers.random_walker.pixel_graph import PixelGraph, check_determined, on_simplex, solve_walker

#: A region joined to all seeds by less than this share of the largest affinity is solved by factorisation.
LOOSE = 1e-4
#: Affinities below this share of the largest do not enter the iteration: they are below the rounding of its residual.
CUT = 1e-13
#: Largest number of rounds of iteration and factorisation; usually the first suffices.
MAX_ROUNDS = 4


def solve_by_approximate_cholesky(
    graph: PixelGraph, known: np.ndarray, tolerance: float, max_steps: int = 1000
) -> tuple[np.ndarray, float, int]:
    """Solve the system of one image for all classes.

    Parameters
    ----------
    graph : PixelGraph
    known : ndarray, float64 (N, K)
        One-hot on seeds, predictions elsewhere; pixels that are neither seeds nor free keep them.
    tolerance : float
        Each class is iterated to this relative residual (2-norm).
    max_steps : int, default 1000
        Largest number of iterations per class and round.

    Returns
    -------
    labels : ndarray, float64 (N, K)
    residual : float
        The largest |A y - b| / |b| over the classes, for the labels that are returned.
    steps : int
        Number of iterations of the slowest class.

    Raises
    ------
    ValueError
        If eta or lam of 0 leaves free pixels that nothing determines.

    Notes
    -----
    apxchol uses as many threads as OMP_NUM_THREADS allows. With one, the result is deterministic; with several, the factor
    depends on their timing, and the labels vary within the tolerance.
    """
    y = known.copy()
    if not graph.free.any():
        return y, 0.0, 0
    least = np.maximum(graph.w.max(initial=0.0) * np.array([LOOSE, CUT]), np.finfo(float).tiny)
    loose = _cut_off(graph, least[0])
    island, ends = _around(graph, loose)
    lost = np.zeros_like(loose)  # not even the iteration's affinities join them to a seed
    lost[ends] = _cut_off(island, least[1])
    if lost.any() or graph.lam == 0:
        check_determined(graph)
    matrix, sides = _assemble(graph, known)
    goals = np.linalg.norm(sides, axis=1)
    factor = apxchol.factorize(_well_scaled(matrix, graph.lam * least[1], lost[graph.free]).T, keep_factor=False)
    iterated = np.where(lost[graph.free] | (np.abs(sides) < graph.lam * least[1]), 0, sides)
    x = y[graph.free].T.copy() if graph.eta > 0 else np.zeros_like(sides)
    residual, steps = np.inf, 0
    for trial in range(MAX_ROUNDS):
        steps += _iterate(factor, iterated, x, tolerance / 2, max_steps, complete=trial > 0)
        y[graph.free & ~lost] = on_simplex(x.T[~lost[graph.free]])
        if loose.any():
            y[ends] = solve_walker(island, y[ends])[0]
        x = y[graph.free].T.copy()
        errors = np.array([np.linalg.norm(matrix @ labels - side) for labels, side in zip(x, sides, strict=True)])
        previous, residual = residual, float((errors / np.where(goals > 0, goals, 1)).max())
        if residual <= tolerance or residual > previous / 2:
            break
    return y, residual, steps


def _iterate(
    factor: apxchol.Solver, sides: np.ndarray, x: np.ndarray, tolerance: float, max_steps: int, complete: bool
) -> int:
    """Improve the labels x (K, F) in place; without `complete`, one class is the remainder. Return the largest step count."""
    sizes, steps = np.linalg.norm(sides, axis=1), 0
    remainder = -1 if complete else int(sizes.argmax())
    for k in np.flatnonzero(np.arange(len(sides)) != remainder):
        if sizes[k] == 0:  # a class without seeds and prior
            x[k] = 0
            continue
        outcome = factor.solve(sides[k], rtol=tolerance, maxiter=max_steps, x0=x[k])
        x[k], steps = outcome.x, max(steps, outcome.iters)
    if not complete:
        x[remainder] = 1 - (x.sum(axis=0) - x[remainder])
    return steps


def _assemble(graph: PixelGraph, known: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """Return the matrix 2 eta I + lam L over the free pixels, and the right-hand sides (K, F)."""
    free = np.flatnonzero(graph.free)
    number = np.full(len(known), -1)
    number[free] = np.arange(len(free))
    weights = graph.lam * graph.w
    degree = np.bincount(graph.i, weights, len(known)) + np.bincount(graph.j, weights, len(known))
    a, b = number[graph.i], number[graph.j]
    inner = (a >= 0) & (b >= 0)
    a_inner, b_inner, flow = a[inner], b[inner], -weights[inner]
    diagonal, here = 2 * graph.eta + degree[free], np.arange(len(free))
    entries = np.concatenate([flow, flow, diagonal])
    rows, columns = np.concatenate([a_inner, b_inner, here]), np.concatenate([b_inner, a_inner, here])
    matrix = coo_array((entries, (rows, columns)), shape=(len(free), len(free))).tocsr()
    sides = 2 * graph.eta * known[free].T
    for inside, outside in ((a, graph.j), (b, graph.i)):
        kept = (inside >= 0) & graph.grounded[outside]
        for k in range(len(sides)):
            sides[k] += np.bincount(inside[kept], weights[kept] * known[outside[kept], k], len(free))
    return matrix, sides


def _well_scaled(matrix: csr_array, least: float, lost: np.ndarray) -> csr_array:
    """Return the matrix without entries below `least`; `lost` pixels, which they alone tie, are tied to zero."""
    scaled = matrix.copy()
    scaled.data[np.abs(scaled.data) < least] = 0
    scaled.eliminate_zeros()
    return csr_array(scaled + diags_array(lost * matrix.max())) if lost.any() else scaled


def _cut_off(graph: PixelGraph, least: float) -> np.ndarray:
    """Mark the free pixels that no path of affinities of at least `least` joins to a seed."""
    if graph.eta > 0 and 2 * graph.eta >= least * graph.lam:  # each pixel's prior does
        return np.zeros_like(graph.free)
    component = graph.components(least)
    return graph.free & (component[:-1] != component[-1])


def _around(graph: PixelGraph, loose: np.ndarray) -> tuple[PixelGraph, np.ndarray]:
    """Return the graph of the loose pixels and their neighbours, which act as seeds, and their pixel numbers."""
    near = loose[graph.i] | loose[graph.j]
    i, j = graph.i[near], graph.j[near]
    ends = np.unique(np.concatenate([i, j, np.flatnonzero(loose)]))
    i, j = np.searchsorted(ends, i), np.searchsorted(ends, j)
    return PixelGraph(i, j, graph.w[near], loose[ends], ~loose[ends], graph.eta, graph.lam), ends
