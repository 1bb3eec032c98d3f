"""How the kernel's functions are compiled, and which changes make numba's disk cache compile them again.

The outer, parallel loops are cached on disk; all that they call is compiled into them. Numba compares the date of the file
that holds the outer loop only. Its cache key, however, also contains the values that a function closes over. So each outer
loop closes over a digest of all sources that are compiled into it, and a change in any of them compiles the loop again.

Where neither the package's folder nor the user's cache folder can be written (a container, a cluster), numba refuses to cache.
The loops are then compiled in each process, without the disk.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numba
from numba.extending import overload

from toykit import simplex
from toykit.solvers.block_descent import scalar_forms

# NaN and infinity keep their meaning (except in `forms._log_single`)
FAST = {"contract", "reassoc", "nsz", "arcp"}
#: Decorator of the functions that outer loops call: compiled with each of them, without a cache of their own. With Python's
#: error model a test for division by zero would keep a loop from being vectorised.
inner = numba.njit(fastmath=FAST, error_model="numpy")


def in_compiled_code(function: Callable) -> Callable[[Callable], Callable]:
    """Decorate what compiled code does instead of a function on tensors: see `numba.extending.overload`."""
    return overload(function, jit_options={"fastmath": FAST, "error_model": "numpy"})


def sources() -> list[Path]:
    """Return the files with code that is compiled into the outer loops."""
    return [*sorted(Path(__file__).parent.glob("*.py")), Path(scalar_forms.__file__), Path(simplex.__file__)]


def digest(files: list[Path]) -> int:
    """Return a number that changes with the content of any of some files."""
    sha = hashlib.sha256()
    for file in files:
        sha.update(file.read_bytes())
    return int.from_bytes(sha.digest()[:7], "big")  # numba's integers are signed and have 64 bits


_DIGEST = digest(sources())


def outer(factory: Callable[[int], Callable[..., None]]) -> Callable[..., None]:
    """Decorate a factory of an outer loop; the result is the compiled, parallel loop, cached where a folder can be written.

    factory(digest) returns the loop, which must mention `digest`: only then does it close over it.
    """
    loop = factory(_DIGEST)
    try:
        return numba.njit(parallel=True, cache=True, fastmath=FAST, error_model="numpy")(loop)
    except RuntimeError:  # "cannot cache function": numba finds no folder that it may write to
        return numba.njit(parallel=True, cache=False, fastmath=FAST, error_model="numpy")(loop)
