"""What the pseudo-labels minimise, and how: the configuration of the energy, its neighbourhood and the solver.

A neighbourhood and a solver are each a name with that name's options. An option that the name does not have is an error; one
that is null is left out, so that an override can drop an option of a preset, e.g. when it chooses another name.
"""

from dataclasses import dataclass, field
from typing import Any

from toykit._shared.arguments import check_choice, check_whole
from toykit.energy import Energy
from toykit.energy.balance import BALANCES
from toykit.neighborhoods import NEIGHBORHOODS, Neighborhood, build_neighborhood
from toykit.solvers import check_options

#: The predictions that the solver gets: those that the loss is computed from, or the network's in evaluation mode.
PREDICTIONS = ("training", "evaluation")


@dataclass(frozen=True)
class NeighborhoodConfig:
    """The neighbourhood system and its affinities.

    Parameters
    ----------
    kind : str, default "nearest"
        A key of `toykit.neighborhoods.NEIGHBORHOODS`.
    options : dict, default {}
        Options of that kind, see its class, e.g. {"bandwidth": 9, "connectivity": 8}; lengths in pixels. None: left out.

    Raises
    ------
    ValueError
        For an unknown kind, an option that it does not have, or a value out of range.
    """

    kind: str = "nearest"
    options: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        check_choice("energy.neighborhood.kind", self.kind, NEIGHBORHOODS)
        object.__setattr__(self, "options", _without_none(self.options))
        try:
            self.build()
        except (TypeError, ValueError) as error:
            raise ValueError(f"energy.neighborhood.options: {_remedy(error)}") from error

    def build(self) -> Neighborhood:
        """Return the neighbourhood, on pixels."""
        return build_neighborhood(self.kind, self.options)


@dataclass(frozen=True)
class EnergyConfig:
    """The terms of eq. (8) or (4), their weights in the sub-problem, and their balance in the network's loss.

    Parameters
    ----------
    cross_entropy, relaxation : str, default "CCE" and "CD"
        See `toykit.Energy`.
    eta, lam : float, default 0.3 and 6.0
        See `toykit.Energy`.
    neighborhood : NeighborhoodConfig
    decisiveness : bool, default True
        Whether the method gradient_descent has the entropy term of eq. (4).
    stride : int, default 1
        Side in pixels of the cells on which the terms are computed, see `toykit.energy.cells`; 1 is full resolution.
    balance : {"terms", "seeds"}, default "terms"
        See `toykit.energy.balance`. Used by the methods soft and hard only; phase one always has "terms".
    class_balance : bool, default False
        See `toykit.energy.balance.class_weights`. Used by the methods soft and hard only.

    Raises
    ------
    ValueError
        For an unknown name, a value out of range, or a relaxation that the neighbourhood does not support.
    """

    cross_entropy: str = "CCE"
    relaxation: str = "CD"
    eta: float = 0.3
    lam: float = 6.0
    neighborhood: NeighborhoodConfig = field(default_factory=NeighborhoodConfig)
    decisiveness: bool = True
    stride: int = 1
    balance: str = "terms"
    class_balance: bool = False

    def __post_init__(self):
        check_whole("energy.stride", self.stride)
        check_choice("energy.balance", self.balance, BALANCES)
        self.build()

    def build(self) -> Energy:
        """Return the energy, its neighbourhood on cells. Raises ValueError for an unknown name or a weight out of range."""
        neighborhood = self.neighborhood.build().scaled(1 / self.stride)
        return Energy(self.cross_entropy, self.relaxation, self.eta, self.lam, neighborhood)


@dataclass(frozen=True)
class Solver:
    """The pseudo-label solver.

    Parameters
    ----------
    method : str, default "fast"
        A key of `toykit.solvers.SOLVERS`. The training method hard needs a solver with hard labels; all other
        methods need one with soft labels.
    options : dict, default {}
        Options of that solver, see `toykit.solve`, e.g. {"steps": 200, "lr": 0.075} of gradient. None: left out.
    predictions : {"training", "evaluation"}, default "training"
        "training": the predictions that the loss is computed from. "evaluation": the network's without dropout and with the
        stored statistics of batch normalisation, which needs another forward pass.

    Raises
    ------
    ValueError
        For an unknown solver, an option that it does not have, or a value out of range.
    ImportError
        If the solver needs a library that is not installed.
    """

    method: str = "fast"
    options: dict[str, Any] = field(default_factory=dict)
    predictions: str = "training"

    def __post_init__(self):
        check_choice("solver.predictions", self.predictions, PREDICTIONS)
        object.__setattr__(self, "options", _without_none(self.options))
        try:
            check_options(self.method, dict(self.options))
        except TypeError as error:
            raise ValueError(f"solver.options: {_remedy(error)}") from error


def _without_none(options: dict[str, Any]) -> dict[str, Any]:
    """Leave out the options that are None."""
    return {name: value for name, value in options.items() if value is not None}


def _remedy(error: Exception) -> str:
    """Return the error's message; for an option that is unknown or of the wrong type, with the way to drop it."""
    return f"{error}; null leaves an option out" if isinstance(error, TypeError) else str(error)
