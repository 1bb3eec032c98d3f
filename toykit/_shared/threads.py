"""Share a loop among as many threads as torch uses."""

import itertools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import torch


def share(loop: Callable[..., None], count: int, *arguments: Any, work: int | None = None) -> None:
    """Call loop(first, last, *arguments) for parts of range(count), one for each of torch's threads, and wait for all.

    Parameters
    ----------
    loop : callable
        A compiled loop without the interpreter's lock (`toykit._shared.compiled.outer`); its turns are independent.
    count : int
        The number of turns.
    *arguments
        Further arguments of the loop.
    work : int, optional
        How many numbers the loop reads; threads cost more than they save on fewer than 2^15 each.
    """
    threads = min(torch.get_num_threads(), count, count if work is None else work >> 15)
    if threads <= 1:
        loop(0, count, *arguments)
        return
    bounds = [count * part // threads for part in range(threads + 1)]
    pool = _pool(threads, os.getpid())  # threads of a parent process do not exist in its forks
    for part in [pool.submit(loop, *bound, *arguments) for bound in itertools.pairwise(bounds)]:
        part.result()


@cache
def _pool(threads: int, process: int) -> ThreadPoolExecutor:
    """Return the threads of a process."""
    return ThreadPoolExecutor(threads, thread_name_prefix=f"toykit-{process}")
