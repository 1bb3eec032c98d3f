"""The closed-form optimum of H_Q + P_Q with hard seeds: a random walker with priors (section 3.1; Grady 2006).

The energy eta sum ||y_i - sigma_i||^2 + lam sum w_ij ||y_i - y_j||^2 / 2 is a convex quadratic. Let L be the graph's Laplacian
and y the ground truth on the seeds S. Setting the gradient at the unlabelled pixels U to zero gives one symmetric positive
definite system with a right-hand side for each class,

    (2 eta I + lam L_UU) y_U = 2 eta sigma_U - lam L_US y_S.

The matrix has non-positive off-diagonal entries and its rows sum to the right-hand side's weights, so the solution is in the
simplex without a constraint. eta = 0 is Grady's random walker: the probability that a walk reaches each class's seeds first.
Everything is float64, whatever the inputs.
"""

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from toykit._shared.arguments import check_choice, check_number
from toykit.energy import Subproblem
from toykit.solvers.solution import Solution

if TYPE_CHECKING:  # scipy is imported where it is used
    from toykit.solvers.random_walker.pixel_graph import PixelGraph

#: How the system is solved: sparse direct (scipy, exact to rounding), successive over-relaxation (numba, the fastest with
#: predictions), conjugate gradients (torch, any device), conjugate gradients with an approximate Cholesky factor (apxchol, the
#: fastest with seeds only) or with algebraic multigrid (pyamg); "auto" chooses, see `choose_backend`.
BACKENDS = ("direct", "sor", "cg", "approximate_cholesky", "amg", "auto")
_NEEDS = {"sor": "numba", "amg": "pyamg", "approximate_cholesky": "apxchol"}
#: With "auto", images of fewer pixels are factorised, which is quick.
SMALL = 10_000
#: With "auto", over-relaxation solves systems up to this ratio of lam d_i and 2 eta, d_i the largest degree: 200 sweeps.
STEEPEST = 1e3


@dataclass(frozen=True)
class ClosedFormOptions:
    """Options of the solver "closed_form".

    Parameters
    ----------
    backend : {"direct", "sor", "cg", "approximate_cholesky", "amg", "auto"}, default "direct"
        How the system is solved, see `toykit.random_walker`.
    tolerance : float, default 1e-9
        Relative residual, in (0, 1): the iterative backends stop there, and an image above it counts as not converged.

    Raises
    ------
    ValueError
        For an option out of range.
    ImportError
        If the backend's library is not installed.
    """

    backend: str = "direct"
    tolerance: float = 1e-9

    def __post_init__(self):
        check_choice("backend", self.backend, BACKENDS)
        check_number("tolerance", self.tolerance, "(0, 1)")
        library = _NEEDS.get(self.backend)
        if library and not _installed(library):
            raise ImportError(f'backend="{self.backend}" needs {library}: pip install {library}, or take backend="cg"')


def solve_exactly(
    problem: Subproblem, options: ClosedFormOptions, *, callback: Callable[..., object] | None = None
) -> Solution:
    """Solve a sub-problem of H_Q and P_Q.

    Everything is computed in float64: in float32, affinities of steep edges are zero.

    Parameters
    ----------
    problem : Subproblem
    options : ClosedFormOptions
    callback : callable, optional
        Called once, as callback(0, labels, energies).

    Returns
    -------
    Solution
        With float64 labels; `steps` is the number of iterations. The residual of an image is the system's largest
        |A y - b| / (|A| |y| + |b|) from the direct backend, and the largest |A y - b| / |b| over the classes from the others.

    Raises
    ------
    ValueError
        For other terms, a backend that does not support the neighbourhood, or if eta or lam of 0 leaves pixels that nothing
        determines.
    """
    backend, tolerance, energy = options.backend, options.tolerance, problem.energy
    if (energy.cross_entropy, energy.relaxation) != ("Q", "Q"):
        raise ValueError(
            f'the closed form exists for cross_entropy="Q" and relaxation="Q" only, got {energy.cross_entropy!r} and '
            f'{energy.relaxation!r}; use method="fast"'
        )
    problem = problem.double()
    automatic = backend == "auto"
    if automatic:
        backend = choose_backend(problem)
    _check_edges(problem, backend)
    largest = max(energy.eta, energy.lam) or 1.0  # only the ratio matters; this avoids over- and underflow
    eta, lam = energy.eta / largest, energy.lam / largest
    labels, residual, steps = _solve_by(backend, problem, eta, lam, tolerance)
    failed = ~(residual <= tolerance)  # NaN fails, too
    if automatic and backend != "direct" and problem.edges.listed and failed.any():
        images = failed.nonzero()[:, 0]
        labels[images], residual[images], _ = _solve_by("direct", problem[images], eta, lam, tolerance)
        backend += f", then direct for {len(images)} of {len(labels)} images"
    energies = problem.value(labels).detach()
    if callback is not None:
        callback(0, labels, energies)
    converged = bool((residual <= tolerance).all())
    message = f"closed form ({backend}): relative residual {float(residual.max()):.1e}"
    if not converged:
        message += f", above {tolerance:g}: the system is badly scaled; use a larger bandwidth or eta"
        message += ', or backend="direct"' if backend != "direct" else ""
    return Solution(labels, energies[None], steps, residual, converged, message)


def choose_backend(problem: Subproblem) -> str:
    """Choose the backend for "auto" by the edges, the device, the size, the conditioning, and which libraries are installed.

    Parameters
    ----------
    problem : Subproblem

    Returns
    -------
    str
        "cg" for dense neighbourhoods; on a GPU, too, unless eta is small against lam. "direct" for small images. "sor" on the
        grid unless eta is small against lam (it needs numba). Otherwise "approximate_cholesky" (apxchol), or "direct".
    """
    energy, edges = problem.energy, problem.edges
    steepness = 4 * energy.lam / energy.eta if energy.eta > 0 else float("inf")  # affinities are at most 1
    if not edges.listed or (problem.sigma.device.type != "cpu" and steepness <= STEEPEST):
        return "cg"
    if problem.seeds[0].numel() < SMALL:
        return "direct"
    if edges.on_grid and steepness <= STEEPEST and problem.sigma.device.type == "cpu" and _installed("numba"):
        return "sor"
    return "approximate_cholesky" if _installed("apxchol") else "direct"


def _installed(library: str) -> bool:
    """Report whether a library can be imported, without importing it."""
    return importlib.util.find_spec(library) is not None


def _solve_by(
    backend: str, problem: Subproblem, eta: float, lam: float, tolerance: float
) -> tuple[Tensor, Tensor, int]:
    """Solve by one backend; return the labels (B, K, H, W), the relative residuals (B,) and the number of steps."""
    if backend in ("cg", "sor"):
        if eta == 0:  # otherwise each pixel has its prediction
            _check_determined(problem, lam)
        return _iteration(backend)(problem, eta, lam, tolerance)
    return _solve_by_matrix(backend, problem, eta, lam, tolerance)


def _solve_by_matrix(
    backend: str, problem: Subproblem, eta: float, lam: float, tolerance: float
) -> tuple[Tensor, Tensor, int]:
    """Solve the sparse system of each image."""
    labels, residuals, steps = [], [], 0
    for image, given in enumerate(problem.fix_seeds(problem.sigma)):
        known = given.detach().flatten(1).T.cpu().numpy()
        graph = _pixel_graph(problem, image, eta, lam)
        if backend == "approximate_cholesky":  # libraries are imported where they are used
            from toykit.solvers.random_walker.approximate_cholesky import solve_by_approximate_cholesky

            y, residual, used = solve_by_approximate_cholesky(graph, known, tolerance)
            steps = max(steps, used)
        else:
            from toykit.solvers.random_walker.pixel_graph import solve_walker

            y, residual = solve_walker(graph, known, None if backend == "direct" else tolerance)
        labels.append(torch.from_numpy(y.T.reshape(given.shape)))
        residuals.append(residual)
    whole = torch.stack(labels).to(problem.sigma)
    return whole, torch.tensor(residuals, dtype=whole.dtype, device=whole.device), steps


def _check_determined(problem: Subproblem, lam: float) -> None:
    """Raise ValueError if no seed reaches some unlabelled pixel, and eta is 0."""
    from toykit.solvers.random_walker.pixel_graph import check_determined

    for image in range(len(problem.seeds)):
        check_determined(_pixel_graph(problem, image, 0.0, lam))


def _check_edges(problem: Subproblem, backend: str) -> None:
    """Raise ValueError for a backend that does not support the neighbourhood; "cg" needs a list of edges only at eta = 0."""
    listed = problem.edges.listed
    if backend == "sor" and not problem.edges.on_grid:
        raise ValueError('backend="sor" works on NearestNeighbors() only; take backend="cg"')
    if not listed and backend != "cg":
        raise ValueError(
            f'backend="{backend}" needs a list of edges, and dense neighbourhoods have none; take backend="cg"'
        )
    if not listed and problem.energy.eta == 0:
        raise ValueError(
            "dense neighbourhoods: expected eta > 0, got 0: which pixels a seed reaches can be checked on listed edges only"
        )


def _iteration(backend: str) -> Callable[..., tuple[Tensor, Tensor, int]]:
    """Return the function of an iterative backend without a matrix."""
    if backend == "sor":
        from toykit.solvers.random_walker.over_relaxation import solve_by_over_relaxation

        return solve_by_over_relaxation
    from toykit.solvers.random_walker.conjugate_gradient import solve_by_conjugate_gradients

    return solve_by_conjugate_gradients


def _pixel_graph(problem: Subproblem, image: int, eta: float, lam: float) -> "PixelGraph":
    """Return the graph of one image."""
    from toykit.solvers.random_walker.pixel_graph import PixelGraph

    i, j, weights = problem.edges.index_pairs(*problem.seeds.shape[1:])
    i, j = (ends[image] if ends.ndim == 2 else ends for ends in (i, j))
    w = weights[image].detach().cpu().numpy()
    kept = w >= np.finfo(float).tiny
    first, second = i.cpu().numpy()[kept], j.cpu().numpy()[kept]
    free, grounded = (mark[image].flatten().cpu().numpy() for mark in (problem.unlabelled, problem.is_seed))
    return PixelGraph(first, second, w[kept], free, grounded, eta, lam)
