"""Pseudo-label solvers. `solve` calls one by name; each returns a `Solution`.

Which solver? "fast", the default, minimises any terms on any neighbourhood, and reaches lower energies than the paper's solver
in a fraction of the steps. "gradient" is the paper's (Adam by default; optimizer="gd" is plain gradient descent). "closed_form"
is exact, for H_Q + P_Q only. "graph_cut" computes hard labels by alpha-expansion on the Potts model (it needs PyMaxflow);
"mean_field" computes them on any neighbourhood.

BL, Q and NQ equal the Potts model at the vertices of the simplex. CCE, LQ and CD are infinite between two different vertices;
their hard labels, too, minimise the Potts model. `round_greedily` rounds soft labels of BL.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.energy import Energy, Subproblem
from toykit.neighborhoods import NearestNeighbors, Neighborhood
from toykit.solvers.block_descent.options import FastOptions
from toykit.solvers.gradient import GradientOptions
from toykit.solvers.hard_labels.graph_cut import GraphCutOptions
from toykit.solvers.hard_labels.mean_field import MeanFieldOptions
from toykit.solvers.hard_labels.rounding import round_greedily
from toykit.solvers.present import solve_present
from toykit.solvers.random_walker.solver import ClosedFormOptions
from toykit.solvers.registry import SOLVERS, check_options
from toykit.solvers.solution import ON_FAILURE, ConvergenceError, ConvergenceWarning, Solution

__all__ = [
    "ON_FAILURE",
    "SOLVERS",
    "ClosedFormOptions",
    "ConvergenceError",
    "ConvergenceWarning",
    "FastOptions",
    "GradientOptions",
    "GraphCutOptions",
    "MeanFieldOptions",
    "Solution",
    "check_options",
    "random_walker",
    "round_greedily",
    "solve",
    "solve_problem",
]


def solve(
    logits: Tensor,
    image: Tensor,
    seeds: Tensor,
    energy: Energy | None = None,
    method: str = "fast",
    *,
    present: Tensor | None = None,
    callback: Callable[..., object] | None = None,
    on_failure: str = "warn",
    **options,
) -> Solution:
    """Compute pseudo-labels: minimise the sub-problem of eq. (8) over y in the simplex, with y one-hot on the seeds.

    Parameters
    ----------
    logits : Tensor, float (B, K, H, W)
        The network's predictions before the softmax.
    image : Tensor, float (B, C, H, W)
        C >= 1 channels in 0..255, e.g. RGB.
    seeds : Tensor, int64 (B, H, W)
        Class ids; 255 is unlabelled, 254 padding. See `toykit.conventions`.
    energy : Energy, optional
        The terms and their weights. Default: `Energy()`.
    method : {"fast", "gradient", "closed_form", "graph_cut", "mean_field"}, default "fast"
        The solver, a key of `toykit.solvers.SOLVERS`; see Notes.
    present : Tensor, bool (B, K), optional
        The classes that may occur in each image. The labels of all others are exactly 0, and the solver is faster with fewer
        classes; see `toykit.solvers.present`. Default: all classes.
    callback : callable, optional
        Called as callback(step, labels, energies) at the start and after each step, for plots and progress bars; the solver
        stops early if it returns True.
    on_failure : {"warn", "ignore", "raise"}, default "warn"
        What to do if an image does not converge: emit a `ConvergenceWarning`, do nothing, or raise a `ConvergenceError`. In all
        cases `Solution.converged` and `Solution.message` report it.
    **options
        Options of the solver; see Notes.

    Returns
    -------
    Solution
        Labels, energies, and whether all images converged. No gradient passes from the labels to the logits.

    Raises
    ------
    TypeError
        For an option that the solver does not have, or an argument of the wrong type.
    ValueError
        For an argument out of range, or terms or a neighbourhood that the solver does not support.
    ImportError
        If the solver needs a library that is not installed.
    ConvergenceError
        If an image does not converge and `on_failure` is "raise".

    Notes
    -----
    The sub-problem of eq. (8) is, with the pixels S that have seeds,

        min_y  eta sum_{i not in S} H(y_i, sigma_i)  +  lam sum_{ij in N} w_ij P(y_i, y_j).

    Each image of the batch is solved as it would be alone. Arguments are checked before any work is done. The solvers, each
    with the class in `toykit.solvers` that documents its options:

    - "fast" (`FastOptions`): over-relaxed block descent; any terms on any neighbourhood;
    - "gradient" (`GradientOptions`): the paper's gradient descent on logits; any terms on any neighbourhood;
    - "closed_form" (`ClosedFormOptions`): the random walker with priors; H_Q + P_Q only;
    - "graph_cut" (`GraphCutOptions`): alpha-expansion; hard labels, neighbourhoods that list their edges;
    - "mean_field" (`MeanFieldOptions`): mean field; hard labels, any neighbourhood.

    Examples
    --------
    >>> energy = Energy("CCE", "CD", eta=0.3, lam=6.0)
    >>> solution = solve(logits, image, seeds, energy, max_steps=500, on_failure="raise")
    >>> hard = solution.labels.argmax(1)
    """
    check_choice("on_failure", on_failure, ON_FAILURE)
    checked = check_options(method, options)
    energy = Energy() if energy is None else energy
    if not isinstance(energy, Energy):
        raise TypeError(f"energy: expected a toykit.Energy, got {type(energy).__name__}")
    if not (callback is None or callable(callback)):
        raise TypeError(f"callback: expected a callable or None, got {type(callback).__name__}")
    # ordinary tensors and full precision, also within a caller's inference mode or autocast
    with torch.inference_mode(False), torch.no_grad():
        if torch.is_tensor(logits):
            logits = logits.clone() if logits.is_inference() else logits.detach()
        with torch.autocast(logits.device.type if torch.is_tensor(logits) else "cpu", enabled=False):
            problem = energy.subproblem(logits, image, seeds, present)
            solution = solve_problem(problem, method, checked, callback=callback)
    return solution.handle_failure(on_failure)


def solve_problem(
    problem: Subproblem, method: str = "fast", options: Any = None, *, callback: Callable[..., object] | None = None
) -> Solution:
    """Solve a sub-problem whose inputs have been checked, without a warning if it does not converge.

    Parameters
    ----------
    problem : Subproblem
        From `Energy.subproblem`.
    method : str, default "fast"
        A key of `SOLVERS`.
    options : object, optional
        The solver's options, as `check_options` returns them. Default: its defaults.
    callback : callable, optional
        See `solve`.

    Returns
    -------
    Solution
    """
    solver = SOLVERS[method]
    options = solver.options() if options is None else options
    if problem.present is None or bool(problem.present.all()):
        return solver.solve(problem, options, callback=callback)
    return solve_present(solver.solve, problem, options, callback=callback)


def random_walker(
    logits: Tensor,
    image: Tensor,
    seeds: Tensor,
    eta: float = 0.3,
    lam: float = 6.0,
    neighborhood: Neighborhood | None = None,
    *,
    present: Tensor | None = None,
    backend: str = "direct",
    tolerance: float = 1e-9,
    on_failure: str = "warn",
) -> Solution:
    """Compute the minimiser of eta H_Q + lam P_Q with hard seeds, in float64; exact by default.

    Parameters
    ----------
    logits : Tensor, float (B, K, H, W)
        The network's predictions before the softmax. With eta = 0 only K matters.
    image : Tensor, float (B, C, H, W)
        C >= 1 channels in 0..255, e.g. RGB.
    seeds : Tensor, int64 (B, H, W)
        Class ids; 255 is unlabelled, 254 padding. See `toykit.conventions`.
    eta : float, default 0.3
        Weight of the unary term, at least 0. With eta = 0 the result is Grady's random walker.
    lam : float, default 6.0
        Weight of the pairwise term, at least 0.
    neighborhood : NearestNeighbors, SparseNonLocal or Dense, optional
        Default: `NearestNeighbors()`. A dense neighbourhood needs backend="cg" and eta > 0.
    present : Tensor, bool (B, K), optional
        The classes that may occur in each image, see `toykit.solve`. Default: all classes.
    backend : {"direct", "sor", "cg", "approximate_cholesky", "amg", "auto"}, default "direct"
        "direct" is a sparse factorisation (scipy), exact to rounding; one factorisation per image serves all classes.
        "sor" is over-relaxation on the CPU, the fastest where eta is not small against lam; "cg" is conjugate gradients in
        torch on the logits' device; "approximate_cholesky" preconditions them by an approximate factor (apxchol), the fastest
        for seeds only; "amg" does by multigrid (pyamg). "auto" chooses by size, conditioning and installed libraries
        (`toykit.solvers.random_walker.solver.choose_backend`), and uses "direct" for images that do not converge.
    tolerance : float, default 1e-9
        Relative residual, in (0, 1), at which the iterations stop.
    on_failure : {"warn", "ignore", "raise"}, default "warn"
        What to do if an image does not converge, see `toykit.solve`.

    Returns
    -------
    Solution
        With float64 labels on the logits' device. `toykit.solvers.random_walker.solver.solve_exactly` defines its residual.

    Raises
    ------
    ValueError
        If eta = 0 and no seed reaches some unlabelled pixels: the system is singular there. For an argument out of range.
    TypeError
        For an argument of the wrong type.
    ImportError
        If the backend's library is not installed.
    ConvergenceError
        If an image does not converge and `on_failure` is "raise".

    Notes
    -----
    With the unlabelled pixels U, the seeds S and the graph's Laplacian L, the labels solve one linear system with a right-hand
    side for each class (section 3.1 of the paper; Grady 2006),

        (2 eta I + lam L_UU) y_U = 2 eta sigma_U - lam L_US y_S.
    """
    check_choice("on_failure", on_failure, ON_FAILURE)
    energy = Energy("Q", "Q", eta, lam, NearestNeighbors() if neighborhood is None else neighborhood)
    solution = solve(
        logits, image, seeds, energy, "closed_form",
        present=present, on_failure="ignore", backend=backend, tolerance=tolerance,
    )  # fmt: skip
    return solution.handle_failure(on_failure)
