"""The energy of eq. (8): the sub-problem in y (`energy`), its balance in a network's loss (`balance`), its cells (`cells`)."""

from toykit.energy.energy import Energy, Subproblem

__all__ = ["Energy", "Subproblem"]
