"""The random walker's sparse system for one image, and a factorisation that steep edges do not break.

For unlabelled pixels U and seeds S: (2 eta I + lam L_UU) y_U = 2 eta sigma_U + lam W_US y_S, with affinities W and the
Laplacian L = D - W. Each row states that the flow out of a pixel is balanced by its prior.

Affinities of a photo span hundreds of orders of magnitude. A region that is joined to all seeds only by affinities below
1e-16 of its own makes the matrix singular *in floating point*: the diagonal, a sum, has lost them. The sum of the rows of
such a region has not lost them: inner flows cancel exactly, and the rest is the balance of the region as a whole, a sum of
small affinities only. So one row of each such region is replaced by this sum (an equivalent system); the same holds for regions
within regions. With eta > 0 of ordinary size no region is that loose, and the system stays symmetric.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_array, csc_array, csr_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

#: Regions are searched for at each power of this ratio below the largest affinity; within one, ~1e-16 / RATIO is lost.
RATIO = 1e-6


@dataclass(frozen=True)
class PixelGraph:
    """The graph of one image with N pixels.

    Parameters
    ----------
    i, j : ndarray, int (E,)
        Both ends of each edge.
    w : ndarray, float64 (E,)
        Affinities, positive.
    free : ndarray, bool (N,)
        The unlabelled pixels.
    grounded : ndarray, bool (N,)
        The seeds.
    eta, lam : float
        The energy's weights.
    """

    i: np.ndarray
    j: np.ndarray
    w: np.ndarray
    free: np.ndarray
    grounded: np.ndarray
    eta: float
    lam: float

    def components(self, least: float) -> np.ndarray:
        """Compute the connected components of the graph of edges w >= least.

        A prior anchors its pixel as an edge of weight 2 eta / lam to a seed would.

        Returns
        -------
        ndarray, int (N + 1,)
            Each pixel's component; the last node joins all seeds.
        """
        count = len(self.free)
        kept = self.w >= least
        tied = self.grounded | (self.free if 2 * self.eta >= least * self.lam else False)
        anchored = np.flatnonzero(tied)
        i = np.concatenate([self.i[kept], anchored])
        j = np.concatenate([self.j[kept], np.full(len(anchored), count)])
        graph = coo_array((np.ones(len(i), dtype=np.int8), (i, j)), shape=(count + 1, count + 1))
        return connected_components(graph, directed=False)[1]

    def balance(self, regions: csr_array) -> csr_array:
        """Sum the rows of 2 eta I + lam L over the pixels of each region.

        An edge inside a region cancels exactly, in integers, before its affinity enters.

        Parameters
        ----------
        regions : csr_array, int (R, N)
            Indicators of the regions.

        Returns
        -------
        csr_array, float64 (R, N)
        """
        edges = np.arange(len(self.w))
        signs, rows = np.repeat([1, -1], len(edges)), np.concatenate([self.i, self.j])
        ends = csr_array((signs, (rows, np.concatenate([edges, edges]))), shape=(len(self.free), len(edges)))
        crossing = csr_array(regions @ ends)
        crossing.eliminate_zeros()
        return csr_array(2 * self.eta * regions + self.lam * (crossing * self.w) @ ends.T)


def solve_walker(graph: PixelGraph, known: np.ndarray, tolerance: float | None = None) -> tuple[np.ndarray, float]:
    """Solve the symmetric system A y = b of one image.

    Parameters
    ----------
    graph : PixelGraph
    known : ndarray, float64 (N, K)
        One-hot on seeds, predictions elsewhere; pixels that are neither seeds nor free keep them.
    tolerance : float, optional
        None factorises. A number iterates to this residual by conjugate gradients with multigrid (pyamg).

    Returns
    -------
    labels : ndarray, float64 (N, K)
    residual : float
        Of the factorisation, the largest |A y - b| / (|A| |y| + |b|) over the rows (maxima over the classes), about 1e-16 where
        the solution is exact to rounding. Of the iteration, the largest |A y - b| / |b| over the classes.

    Raises
    ------
    ValueError
        If eta or lam of 0 leaves free pixels that nothing determines.
    """
    y = known.copy()
    free = np.flatnonzero(graph.free)
    if len(free) == 0:
        return y, 0.0
    check_determined(graph)
    matrix, right_side = _equations(graph, _indicators(free, {}, len(known)), known)
    if tolerance is None:
        y[free] = on_simplex(_factorise(graph, matrix, right_side, known))
        size = abs(matrix) @ y[free] + np.abs(right_side)
        residual = (np.abs(matrix @ y[free] - right_side).max(axis=1) / size.max(axis=1)).max()
    else:
        solution, residual = _iterate(matrix, right_side, known[free], tolerance)
        y[free] = on_simplex(solution)
    return y, float(residual)


def on_simplex(solution: np.ndarray) -> np.ndarray:
    """Remove rounding errors, and an iteration's remaining errors: the exact solution is non-negative and sums to one."""
    solution = solution.clip(0)
    total = solution.sum(axis=1, keepdims=True)
    return solution / np.where(total > 0, total, 1)


def _factorise(graph: PixelGraph, matrix: csc_array, right_side: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Solve the system by a sparse factorisation."""
    regions = _loose_regions(graph)
    if regions:
        rows = _indicators(np.flatnonzero(graph.free), regions, len(known))
        balanced_matrix, balanced_side = _equations(graph, rows, known)
        scale = diags_array(1 / abs(balanced_matrix).max(axis=1).toarray().ravel())
        return splu(csc_array(scale @ balanced_matrix)).solve(scale @ balanced_side)
    # symmetric positive definite: no pivoting needed, and an ordering for symmetric matrices fills in least
    factors = splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0, options={"SymmetricMode": True})
    return factors.solve(right_side)


def _iterate(
    matrix: csc_array, right_side: np.ndarray, start: np.ndarray, tolerance: float
) -> tuple[np.ndarray, float]:
    """Solve by conjugate gradients, class by class; one smoothed-aggregation hierarchy preconditions them all."""
    import pyamg

    hierarchy = pyamg.smoothed_aggregation_solver(csr_array(matrix), max_coarse=200)
    solution, residual = np.zeros_like(right_side), 0.0
    for k in range(right_side.shape[1]):
        side, size = right_side[:, k], np.linalg.norm(right_side[:, k])
        if size > 0:  # otherwise a class without seeds and prior: zero solves it
            solution[:, k] = hierarchy.solve(side, x0=start[:, k], tol=tolerance / 2, accel="cg", maxiter=200)
            residual = max(residual, float(np.linalg.norm(matrix @ solution[:, k] - side) / size))
    return solution, residual


def _indicators(free: np.ndarray, regions: dict[int, np.ndarray], num_pixels: int) -> csr_array:
    """Return an integer matrix (F, N) with a row for each free pixel: the region that replaces its row, or itself."""
    number = np.empty(num_pixels, dtype=int)
    number[free] = np.arange(len(free))
    alone = np.setdiff1d(free, np.fromiter(regions, dtype=int, count=len(regions)))
    rows = np.concatenate([number[alone], *(np.full(len(region), number[row]) for row, region in regions.items())])
    columns = np.concatenate([alone, *regions.values()])
    return csr_array((np.ones(len(rows), dtype=int), (rows, columns)), shape=(len(free), num_pixels))


def _equations(graph: PixelGraph, regions: csr_array, known: np.ndarray) -> tuple[csc_array, np.ndarray]:
    """Return the matrix over the free pixels and the right-hand sides (R, K) of the balances of `regions`."""
    rows = graph.balance(regions)
    to_seeds = rows[:, graph.grounded] @ known[graph.grounded]
    return csc_array(rows[:, graph.free]), 2 * graph.eta * (regions @ known) - to_seeds


def check_determined(graph: PixelGraph) -> None:
    """Raise ValueError if a free pixel has neither a prior nor a path to a seed."""
    if graph.eta > 0:
        return
    component = graph.components(np.finfo(float).tiny if graph.lam > 0 else np.inf)
    lost = graph.free & (component[:-1] != component[-1])
    if lost.any():
        raise ValueError(
            f"random walker: with eta = 0 and lam = {graph.lam:g} no seed reaches {int(lost.sum())} unlabelled pixels "
            f"(the first is pixel {int(lost.argmax())} along the rows), so their labels are undetermined; add a seed "
            "there, use eta > 0, or a larger bandwidth if steep edges cut them off"
        )


def _loose_regions(graph: PixelGraph) -> dict[int, np.ndarray]:
    """Find the regions that are joined to all seeds by small affinities only: the row that each replaces -> its pixels.

    From the strongest affinities down, components without a seed are kept. One that grows replaces the row of its
    largest part; the other parts keep theirs.
    """
    regions: dict[int, np.ndarray] = {}
    if len(graph.w) == 0:
        return regions
    row = np.arange(len(graph.free))  # of the component that each pixel is in
    size = np.ones(len(graph.free), dtype=int)
    level = graph.w.max() * RATIO
    while True:
        component = graph.components(level)
        loose = graph.free & (component[:-1] != component[-1])
        if not loose.any():
            return regions
        pixels = np.flatnonzero(loose)
        pixels = pixels[np.lexsort((-size[pixels], component[pixels]))]
        for part in np.split(pixels, np.flatnonzero(np.diff(component[pixels])) + 1):
            if size[part[0]] < len(part):  # grown since the last level
                row[part], size[part] = row[part[0]], len(part)
                regions[int(row[part[0]])] = part
        top = max(graph.w[graph.w < level].max(initial=0), 2 * graph.eta / graph.lam)
        level = top * RATIO  # the strongest affinity (or the prior) not yet counted starts the next level
