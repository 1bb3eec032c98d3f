"""Run numba's loops on torch's number of threads and leave both libraries' settings as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch
from numba.core import config


@contextmanager
def torch_threads() -> Iterator[None]:
    """Give numba as many threads as torch within the context, but not more than numba may take."""
    most = config.NUMBA_NUM_THREADS  # pyright: ignore[reportAttributeAccessIssue]  (numba sets it at import)
    threads = torch.get_num_threads()
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, most))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(
            threads
        )  # numba's first call sets the number of OpenMP threads, and so torch's, to its own
