"""The files whose code is compiled into the kernel's outer loops: a change in any of them compiles the loops again."""

from pathlib import Path

from toykit import simplex
from toykit.solvers.block_descent import scalar_forms

SOURCES = (*sorted(Path(__file__).parent.glob("*.py")), Path(scalar_forms.__file__), Path(simplex.__file__))
