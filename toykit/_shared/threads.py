"""Share a compiled loop, or parts of a task, among as many threads as torch uses."""

import itertools
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

_pools: dict[int, tuple[int, ThreadPoolExecutor]] = {}  # by process: the number of threads, and these


def share(loop: Callable[..., None], count: int, *arguments: Any, work: int | None = None) -> None:
    """Call loop(first, last, *arguments) for parts of range(count), one for each of torch's threads, and wait for all.

    The first part runs in the thread that calls.

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
    pool = _pool(torch.get_num_threads() - 1)
    own, *others = itertools.pairwise(bounds)
    parts = [pool.submit(loop, *bound, *arguments) for bound in others]
    try:
        loop(*own, *arguments)
    finally:
        wait(parts)  # also if one fails: the others still write to the arguments
    for part in parts:
        part.result()


def in_threads(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Call a function with each part, as many at a time as torch has threads; return the results in the order of the parts.

    The thread that calls takes part, and each thread takes the next part when it has done one. With fewer parts than threads,
    each call gets its share of torch's threads. With one thread each, none waits for another, and torch's own idle threads,
    which wait actively for their next loop, take no core from them.

    Parameters
    ----------
    function : callable
        It spends its time without the interpreter's lock: in torch, numpy, or compiled loops.
    parts : sequence

    Returns
    -------
    list

    Raises
    ------
    Exception
        What the function raises for a part, when all threads have ended; no further part is begun then.
    """
    threads, gradients = torch.get_num_threads(), torch.is_grad_enabled()
    count = min(threads, len(parts))
    if count <= 1:
        return [function(part) for part in parts]
    results, left, one_at_a_time = {}, iter(range(len(parts))), threading.Lock()

    def work() -> None:
        torch.get_num_threads()  # the first call in a thread sets their number, which would undo the next line
        torch.set_num_threads(threads // count)
        with torch.set_grad_enabled(gradients):  # each thread has a mode of its own
            while True:
                with one_at_a_time:
                    number = next(left, None)
                if number is None:
                    return
                try:
                    results[number] = function(parts[number])
                except BaseException:
                    with one_at_a_time:
                        list(left)
                    raise

    pool = _pool(threads - 1)
    others = [pool.submit(work) for _ in range(count - 1)]
    try:
        work()
    finally:
        wait(others)
        torch.set_num_threads(threads)
    for other in others:
        other.result()
    return [results[number] for number in range(len(parts))]


def _pool(threads: int) -> ThreadPoolExecutor:
    """Return this process's pool, of at least so many threads. Those of a parent process do not exist in its forks."""
    process = os.getpid()
    size, pool = _pools.get(process, (0, None))
    if pool is None or size < threads:
        if pool is not None:
            pool.shutdown(wait=False)
        pool = ThreadPoolExecutor(threads, thread_name_prefix="toykit")
        _pools[process] = threads, pool
    return pool
