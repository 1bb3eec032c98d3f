"""Run numba's loops on torch's number of threads, and restore the settings of both libraries."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch
from numba.core import config


@contextmanager
def torch_threads() -> Iterator[None]:
    """Let numba use as many threads as torch within a `with` block."""
    threads = torch.get_num_threads()
    before = numba.get_num_threads()
    most = config.NUMBA_NUM_THREADS  # pyright: ignore[reportAttributeAccessIssue]  # numba sets it at run time
    numba.set_num_threads(min(threads, most))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(threads)  # numba's first call changes OpenMP's number of threads, which torch shares
