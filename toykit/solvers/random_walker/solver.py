"""The closed-form optimum of H_Q + P_Q with hard seeds: a random walker with priors (section 3.1; Grady 2006).

The energy eta sum ||y_i - sigma_i||^2 + lam sum w_ij ||y_i - y_j||^2 / 2 is a convex quadratic. Setting its gradient at
the unlabelled pixels U to zero, with L the graph's Laplacian and y = the ground truth on the seeds S, gives one
symmetric positive definite system with a right-hand side for each class,

    (2 eta I + lam L_UU) y_U = 2 eta sigma_U - lam L_US y_S.

The matrix has non-positive off-diagonal entries and its rows sum to the right-hand side's weights, so the solution lies
in the simplex by itself. eta = 0 is Grady's random walker: the probability that a walk reaches each class's seeds first.
Everything is float64, whatever the inputs.
"""

import importlib.util
from numbers import Real

import numpy as np
import torch

from toykit._shared.arguments import check_choice
from toykit.energy import Subproblem
from toykit.solvers.solution import Solution

#: How to solve the system: sparse direct (scipy, exact to rounding), successive over-relaxation (numba, the quickest with
#: predictions), conjugate gradients (torch, any device), algebraic multigrid with conjugate gradients (pyamg).
BACKENDS = ("direct", "sor", "cg", "amg")
_NEEDS = {"sor": "numba", "amg": "pyamg"}


def check_closed_form_options(backend: str, tolerance: float) -> None:
    """Raise ValueError for an option outside its range, ImportError where the backend's library is missing."""
    check_choice("backend", backend, BACKENDS)
    if not isinstance(tolerance, Real) or isinstance(tolerance, bool) or not 0 < tolerance < 1:
        raise ValueError(f"tolerance: expected a number in (0, 1), got {tolerance!r}")
    library = _NEEDS.get(backend)
    if library and importlib.util.find_spec(library) is None:
        raise ImportError(f'backend="{backend}" needs {library}: pip install {library}, or take backend="cg"')


def solve_exactly(problem: Subproblem, *, backend: str = "direct", tolerance: float = 1e-9, callback=None) -> Solution:
    """Solve a sub-problem of H_Q and P_Q; callback(0, labels, energies) is called once.

    backend: a key of `BACKENDS`. tolerance: relative residual, in (0, 1): where the iterative backends stop, and above which an
    image counts as not converged. All is computed in float64: in float32 affinities of steep edges are zero.
    Returns: Solution; its residual per image is the system's largest |A y - b| / (|A| |y| + |b|) from the direct backend, the
        largest |A y - b| / |b| over the classes from the others; `steps` are iterations.
    Raises: ValueError for other terms or options out of range, or where eta or lam of 0 leaves pixels that nothing determines.
        ImportError where the backend's library is missing.
    """
    check_closed_form_options(backend, tolerance)
    energy = problem.energy
    if (energy.cross_entropy, energy.relaxation) != ("Q", "Q"):
        raise ValueError(
            f'the closed form exists for cross_entropy="Q" and relaxation="Q" only, got {energy.cross_entropy!r} and '
            f'{energy.relaxation!r}; use method="fast"'
        )
    _check_edges(problem, backend)
    problem = problem.double()
    largest = max(energy.eta, energy.lam) or 1.0  # only the ratio matters; this keeps it clear of over- and underflow
    eta, lam = energy.eta / largest, energy.lam / largest
    from toykit.solvers.random_walker.pixel_graph import (  # scipy is imported where it is used
        check_determined,
        solve_walker,
    )

    graphs = (_network(problem, b, eta, lam) for b in range(len(problem.seeds)))  # built where they are asked for
    steps = 0
    if backend in ("cg", "sor"):
        if eta == 0:  # else each pixel has its prediction
            for graph in graphs:
                check_determined(graph)
        labels, residual, steps = _iteration(backend)(problem, eta, lam, tolerance)
    else:
        found = []
        for graph, given in zip(graphs, problem.fix_seeds(problem.sigma), strict=True):
            known = given.detach().flatten(1).T.cpu().numpy()
            y, left = solve_walker(graph, known, None if backend == "direct" else tolerance)
            found.append((torch.from_numpy(y.T.reshape(given.shape)), left))
        labels = torch.stack([y for y, _ in found]).to(problem.sigma)
        residual = torch.tensor([left for _, left in found], dtype=labels.dtype, device=labels.device)
    energies = problem.value(labels).detach()
    if callback is not None:
        callback(0, labels, energies)
    converged = bool((residual <= tolerance).all())
    message = f"closed form ({backend}): relative residual {float(residual.max()):.1e}"
    if not converged:
        message += f", above {tolerance:g}: the system is badly scaled; use a larger bandwidth or eta"
        message += ', or backend="direct"' if backend != "direct" else ""
    return Solution(labels, energies[None], steps, residual, converged, message)


def _check_edges(problem: Subproblem, backend: str) -> None:
    """Refuse a backend that cannot work with the neighbourhood's edges; `cg` asks for no list of edges, but at eta = 0."""
    listed = problem.edges.listed
    if backend == "sor" and not problem.edges.on_grid:
        raise ValueError('backend="sor" works on NearestNeighbors() only; take backend="cg"')
    if not listed and backend != "cg":
        raise ValueError(
            f'backend="{backend}" needs a list of edges, and dense neighbourhoods have none; take backend="cg"'
        )
    if not listed and problem.energy.eta == 0:
        raise ValueError(
            "dense neighbourhoods: expected eta > 0, got 0: which pixels a seed reaches is known of edges only"
        )


def _iteration(backend: str):
    if backend == "sor":
        from toykit.solvers.random_walker.over_relaxation import solve_by_over_relaxation

        return solve_by_over_relaxation
    from toykit.solvers.random_walker.conjugate_gradient import solve_by_conjugate_gradients

    return solve_by_conjugate_gradients


def _network(problem: Subproblem, image: int, eta: float, lam: float):
    """One image's system as `pixel_graph.PixelGraph`."""
    from toykit.solvers.random_walker.pixel_graph import PixelGraph

    i, j, weights = problem.edges.index_pairs(*problem.seeds.shape[1:])
    i, j = (ends[image] if ends.ndim == 2 else ends for ends in (i, j))
    w = weights[image].detach().cpu().numpy()
    there = w >= np.finfo(float).tiny
    ends = (ends.cpu().numpy()[there] for ends in (i, j))
    marks = (mark[image].flatten().cpu().numpy() for mark in (problem.unlabelled, problem.is_seed))
    return PixelGraph(*ends, w[there], *marks, eta, lam)
