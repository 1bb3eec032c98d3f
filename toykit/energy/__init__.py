"""The energy of eq. (8): its sub-problem in y (`energy`), its balance in the network's loss (`balance`), its cells (`cells`)."""

from toykit.energy.energy import Energy, Subproblem

__all__ = ["Energy", "Subproblem"]
