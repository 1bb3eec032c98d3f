"""How the kernel's functions are compiled, and which changes make numba's disk cache compile them again.

The outer, parallel loops are cached on disk; all that they call is compiled into them. Numba compares the date of the file
that holds the outer loop only. Its cache key, however, also contains the values that a function closes over. So each outer
loop closes over a digest of all sources that are compiled into it, and a change in any of them compiles the loop again.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

from toykit import simplex
from toykit.solvers.block_descent import scalar_forms

# NaN and infinity keep their meaning
FAST = {"contract", "reassoc", "nsz", "arcp"}
#: Flags of every function; with Python's error model a test for division by zero would keep a loop from being vectorised.
FLAGS: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy"}
#: Decorator of the functions that outer loops call: compiled with each of them, without a cache of their own.
inner = numba.njit(**FLAGS)


def _digest() -> int:
    """Return a number that changes with any source that an outer loop contains."""
    sources = [*sorted(Path(__file__).parent.glob("*.py")), Path(scalar_forms.__file__), Path(simplex.__file__)]
    digest = hashlib.sha256()
    for source in sources:
        digest.update(source.read_bytes())
    return int.from_bytes(digest.digest()[:7], "big")  # numba's integers are signed and have 64 bits


_SOURCES = _digest()


def outer(factory: Callable[[int], Callable[..., None]]) -> Callable[..., None]:
    """Decorate a factory of an outer loop; the result is the compiled, cached, parallel loop.

    factory(digest) returns the loop, which must mention `digest`: only then does it close over it.
    """
    return numba.njit(parallel=True, cache=True, **FLAGS)(factory(_SOURCES))
