"""The solvers by name. To add one, write its function and its options beside it, and add a line to `SOLVERS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from toykit._shared.arguments import check_choice
from toykit.solvers.block_descent.options import FastOptions
from toykit.solvers.block_descent.solver import fast_descent
from toykit.solvers.gradient import GradientOptions, gradient_descent
from toykit.solvers.hard_labels.graph_cut import GraphCutOptions, alpha_expansion
from toykit.solvers.hard_labels.mean_field import MeanFieldOptions, mean_field
from toykit.solvers.random_walker.solver import ClosedFormOptions, solve_exactly
from toykit.solvers.solution import Solution


@dataclass(frozen=True)
class SolverEntry:
    """A solver in the registry.

    Attributes
    ----------
    solve : callable
        solve(problem, options, *, callback=None) -> Solution, with a `Subproblem` and an instance of `options`.
    options : type
        The frozen dataclass of its options. It raises an error for a value out of range.
    hard : bool
        Whether the labels are hard (one-hot) rather than soft.
    """

    solve: Callable[..., Solution]
    options: type[Any]
    hard: bool = False

    def option_names(self) -> list[str]:
        """Return the names of the solver's options."""
        return [field.name for field in fields(self.options)]


#: Solvers by name, as `toykit.solve` takes them for `method`.
SOLVERS = {
    "fast": SolverEntry(fast_descent, FastOptions),
    "gradient": SolverEntry(gradient_descent, GradientOptions),
    "closed_form": SolverEntry(solve_exactly, ClosedFormOptions),
    "graph_cut": SolverEntry(alpha_expansion, GraphCutOptions, hard=True),
    "mean_field": SolverEntry(mean_field, MeanFieldOptions, hard=True),
}


def check_options(method: str, options: Mapping[str, Any]) -> Any:
    """Check a solver's name and options.

    Parameters
    ----------
    method : str
        A key of `SOLVERS`.
    options : mapping
        Options of that solver by name; the others keep their defaults.

    Returns
    -------
    FastOptions, GradientOptions, ClosedFormOptions, GraphCutOptions or MeanFieldOptions
        All options of that solver.

    Raises
    ------
    ValueError
        For an unknown solver, or an option out of range.
    TypeError
        For an option that the solver does not have, or of the wrong type.
    ImportError
        If the solver needs a library that is not installed.
    """
    check_choice("method", method, SOLVERS)
    known = SOLVERS[method].option_names()
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise TypeError(f"method {method!r} has no option {', '.join(unknown)}; it has {', '.join(known) or 'none'}")
    return SOLVERS[method].options(**options)
