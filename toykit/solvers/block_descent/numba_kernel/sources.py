"""The files whose code is compiled into the kernel's outer loops: a change in any of them compiles the loops again."""

from pathlib import Path

from toykit import simplex
from toykit._shared import lanes
from toykit.solvers.block_descent import scalar_forms

SOURCES = (
    *sorted(Path(__file__).parent.glob("*.py")),
    Path(lanes.__file__),
    Path(scalar_forms.__file__),
    Path(simplex.__file__),
)
