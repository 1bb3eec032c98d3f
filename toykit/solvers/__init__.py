"""Pseudo-label solvers: `solve` picks one by name; all return a `Solution`.

Which one? "fast", the default, takes any terms on any neighbourhood and goes lower in a fraction of the steps. "gradient" is
the paper's (Adam by default; optimizer="gd" for plain gradient descent). "closed_form" is exact, for H_Q + P_Q only.
"graph_cut" gives hard labels, by alpha-expansion on the Potts model (needs PyMaxflow); "mean_field" does so on any
neighbourhood. BL, Q and NQ are the Potts model at the vertices of the simplex. CCE, LQ and CD are infinite between two
different vertices; hard labels for them, too, minimise the Potts model. `round_greedily` rounds soft labels of BL.
"""

import inspect

import torch
from torch import Tensor

from toykit._shared.arguments import check_choice
from toykit.energy import Energy, Subproblem
from toykit.neighborhoods import NearestNeighbors
from toykit.solvers.block_descent.solver import check_fast_options, fast_descent
from toykit.solvers.gradient import check_gradient_options, gradient_descent
from toykit.solvers.hard_labels.graph_cut import alpha_expansion, check_graph_cut_options
from toykit.solvers.hard_labels.mean_field import check_mean_field_options, mean_field
from toykit.solvers.hard_labels.rounding import round_greedily
from toykit.solvers.present import solve_present
from toykit.solvers.random_walker.solver import check_closed_form_options, solve_exactly
from toykit.solvers.solution import ConvergenceWarning, Solution

#: Solvers by name: f(subproblem, *, callback=None, **options) -> Solution.
SOLVERS = {
    "fast": fast_descent,
    "gradient": gradient_descent,
    "closed_form": solve_exactly,
    "graph_cut": alpha_expansion,
    "mean_field": mean_field,
}
_CHECKS = {
    "fast": check_fast_options,
    "gradient": check_gradient_options,
    "closed_form": check_closed_form_options,
    "graph_cut": check_graph_cut_options,
    "mean_field": check_mean_field_options,
}
#: The solvers that return hard labels; the others' are soft.
HARD = ("graph_cut", "mean_field")

__all__ = [
    "HARD",
    "SOLVERS",
    "ConvergenceWarning",
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
    callback=None,
    **options,
) -> Solution:
    """Pseudo-labels: minimise the sub-problem of eq. (8) over y in the simplex, y one-hot on the seeds.

    logits (B, K, H, W), image (B, 3, H, W) in 0..255, seeds (B, H, W): see `toykit.conventions`. Each image of the
    batch is solved as it would be alone. No gradient passes from the labels back to the logits.
    energy: default `Energy()`. method: a key of `SOLVERS`; `options` are that solver's (its docstring lists them).
    present: bool (B, K), the classes that may occur in each image; the labels of all others are exactly 0, and the solver's
        time falls with the number of classes. Default: all. See `toykit.solvers.present`.
    callback: callback(step, labels, energies), for plots and progress bars.

    Returns: `Solution`; a `ConvergenceWarning` that names the remedy if an image did not converge.
    Raises: TypeError for an unknown option; TypeError or ValueError for bad inputs, before any work is done.
    """
    check_options(method, options)
    energy = Energy() if energy is None else energy
    if not isinstance(energy, Energy):
        raise TypeError(f"energy: expected a toykit.Energy, got {type(energy).__name__}")
    # ordinary tensors and full precision, also inside someone's inference mode or autocast
    with torch.inference_mode(False), torch.no_grad():
        logits = logits.detach().clone() if torch.is_tensor(logits) else logits
        with torch.autocast(logits.device.type if torch.is_tensor(logits) else "cpu", enabled=False):
            problem = energy.subproblem(logits, image, seeds, present)
            return solve_problem(problem, method, callback=callback, **options).warn_unless_converged()


def solve_problem(problem: Subproblem, method: str = "fast", *, callback=None, **options) -> Solution:
    """Solve a sub-problem that has been checked, with options that have been checked; no warning is given."""
    if problem.present is None or bool(problem.present.all()):
        return SOLVERS[method](problem, callback=callback, **options)
    return solve_present(SOLVERS[method], problem, callback=callback, **options)


def random_walker(
    logits: Tensor,
    image: Tensor,
    seeds: Tensor,
    eta: float = 0.3,
    lam: float = 6.0,
    neighborhood: NearestNeighbors | None = None,
    *,
    present: Tensor | None = None,
    backend: str = "direct",
    tolerance: float = 1e-9,
) -> Solution:
    """The minimiser of eta H_Q + lam P_Q with hard seeds, float64; by default exact, by sparse direct factorisation (scipy).

    logits, image, seeds: see `toykit.conventions`; with eta = 0, Grady's random walker, the logits only tell K. One
    factorisation an image serves all classes. neighborhood: default `NearestNeighbors()`.
    backend: "direct"; "sor", over-relaxation on a processor, the quickest where eta is not small against lam; "cg",
    conjugate gradients in torch on the logits' device; "amg", multigrid (pyamg). tolerance: the relative residual at which
    those three stop. present: as of `solve`.

    Returns: Solution with float64 labels on the logits' device; its residual: see `solvers.closed_form.solve_exactly`.
    Raises: ValueError where eta = 0 leaves unlabelled pixels that no seed reaches (the system is singular there); TypeError
        or ValueError for bad inputs, as `toykit.conventions.check_inputs` does.
    """
    energy = Energy("Q", "Q", eta, lam, NearestNeighbors() if neighborhood is None else neighborhood)
    return solve(
        logits, image, seeds, energy, method="closed_form", present=present, backend=backend, tolerance=tolerance
    )


def check_options(method: str, options: dict) -> None:
    """Raise ValueError for an unknown solver or a value out of range, TypeError for an option that it does not have."""
    check_choice("method", method, SOLVERS)
    parameters = inspect.signature(SOLVERS[method]).parameters.values()
    known = {p.name: p.default for p in parameters if p.name not in ("problem", "callback")}
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"method {method!r} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    _CHECKS[method](**known | options)
