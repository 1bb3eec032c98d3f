"""Numba's loops on torch's number of threads, and both libraries' settings left as they were."""

from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch


@contextmanager
def torch_threads() -> Iterator[None]:
    """Within it, numba takes as many threads as torch."""
    threads = torch.get_num_threads()
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        yield
    finally:
        numba.set_num_threads(before)
        torch.set_num_threads(threads)  # numba's first call sets OpenMP's number, and so torch's, to its own
