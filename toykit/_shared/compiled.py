"""How loops are compiled by numba, and which changes make its disk cache compile them again.

Outer loops are cached on disk; all that they call is compiled into them. Numba compares the date of the file that holds the
outer loop only. Its cache key, however, also contains the values that a function closes over. So each outer loop closes over a
digest of all sources that are compiled into it, and of this file, and a change in any of them compiles the loop again.

Where neither the package's folder nor the user's cache folder can be written (a container, a cluster), numba refuses to cache.
The loops are then compiled in each process, without the disk.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numba
from numba.extending import intrinsic, overload

# NaN and infinity keep their meaning
FAST = {"contract", "reassoc", "nsz", "arcp"}
#: Settings of all functions that outer loops call. Nothing but compiled code calls them: functions for calls from Python and C
#: would take a quarter of the time of compiling. References to arrays are not counted in them: counting takes as long as a
#: short loop, and threads wait for each other at it. So they cannot allocate. They must not return an array, alone or in a
#: tuple, to an outer loop, which counts; numba refuses only some of these. What returns one is `inlined` or `generated`.
_WITHIN: dict[str, Any] = {
    "fastmath": FAST,
    "error_model": "numpy",
    "no_cpython_wrapper": True,
    "no_cfunc_wrapper": True,
    "_nrt": False,
}
#: Decorator of the functions that outer loops call: compiled with each of them, without a cache of their own. With Python's
#: error model a test for division by zero would keep a loop from being vectorised.
inner = numba.njit(**_WITHIN)
#: As `inner`, for large functions with one caller: they become part of it before LLVM sees them. LLVM would else optimise each
#: by itself, and again within its caller, that one's caller, and so on. Also for functions that return arrays (see above), and
#: for those with many arrays as arguments, which are copied at each call.
inlined = numba.njit(**_WITHIN, inline="always")


def generated(generator: Callable[..., tuple[Any, Callable]]) -> Callable[..., Any]:
    """Decorate what generates LLVM's code of a function for compiled code: `numba.extending.intrinsic`.

    The function is called without the generator's first argument, the typing context, which type checkers would ask for.
    """
    return intrinsic(generator)


def in_compiled_code(function: Callable) -> Callable[[Callable], Callable]:
    """Decorate what compiled code does instead of a function on tensors: see `numba.extending.overload`."""
    return overload(function, jit_options={"fastmath": FAST, "error_model": "numpy"})


def digest(files: Iterable[Path]) -> int:
    """Return a number that changes with the content of any of some files, and of this file."""
    sha = hashlib.sha256()
    for file in [Path(__file__), *files]:
        sha.update(file.read_bytes())
    return int.from_bytes(sha.digest()[:7], "big")  # numba's integers are signed and have 64 bits


def outer(
    sources: Iterable[Path],
) -> Callable[[Callable[[int], Callable[..., None]]], Callable[..., None]]:
    """Return a decorator of a factory of an outer loop, which makes it the loop, cached where a folder can be written.

    The loop runs without the interpreter's lock, so that threads can share it (`toykit._shared.threads.share`).

    Parameters
    ----------
    sources : iterable of Path
        The files with code that is compiled into the loop.

    Returns
    -------
    callable
        Takes factory(digest), which returns the loop. The loop must mention `digest`: only then does it close over it.
    """
    number = digest(sources)
    settings: dict[str, Any] = {"fastmath": FAST, "error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True}

    def compiled(factory: Callable[[int], Callable[..., None]]) -> Callable[..., None]:
        loop = factory(number)
        try:
            return numba.njit(cache=True, **settings)(loop)
        except RuntimeError:  # "cannot cache function": numba finds no folder that it may write to
            return numba.njit(cache=False, **settings)(loop)

    return compiled
