"""Share a compiled loop, or parts of a task, among as many threads as torch uses."""

import itertools
import os
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

_pools: dict[int, tuple[int, ThreadPoolExecutor]] = {}  # by process: the number of threads, and these
_changing = threading.RLock()  # the pools, or torch's number of threads
_thread = threading.local()


def share(loop: Callable[..., None], count: int, *arguments: Any, work: int | None = None) -> None:
    """Call loop(first, last, *arguments) for parts of range(count), one for each of torch's threads, and wait for all.

    The first part runs in the thread that calls, as do all that no other thread has begun by then.

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
    own, *others = itertools.pairwise(bounds)
    parts = [_submit(torch.get_num_threads(), loop, *bound, *arguments) for bound in others]
    try:
        loop(*own, *arguments)
        for bound, part in zip(others, parts, strict=True):
            if part is None or part.cancel():  # the others may all be busy, and wait for this thread
                loop(*bound, *arguments)
    finally:
        begun = [part for part in parts if part is not None and not part.cancel()]
        wait(begun)  # also if one fails: the others still write to the arguments
    for part in begun:
        part.result()


def in_threads(function: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """Call a function with each part, as many at a time as torch has threads; return the results in the order of the parts.

    The thread that calls waits. Each other one takes the next part when it has done one. With fewer parts than threads, each
    call gets its share of torch's threads. With one thread each, torch's own idle threads, which wait actively for their next
    loop, take no core from the others. Within a part, the function calls of another `in_threads` come one after another.

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
    if count <= 1 or getattr(_thread, "in_part", False):
        return [function(part) for part in parts]
    results, left, one_at_a_time = {}, iter(range(len(parts))), threading.Lock()

    def next_part() -> int | None:
        with one_at_a_time:
            return next(left, None)

    def stop() -> None:
        with one_at_a_time:
            deque(left, maxlen=0)

    def work() -> None:
        _thread.in_part = True
        try:
            _set_torchs_threads(threads // count)
            with torch.set_grad_enabled(gradients):  # each thread has a mode of its own
                while (number := next_part()) is not None:
                    results[number] = function(parts[number])
        except BaseException:
            stop()
            raise
        finally:
            _thread.in_part = False

    tasks = []
    try:
        while len(tasks) < count and (task := _submit(threads, work)) is not None:
            tasks.append(task)
        wait(tasks)
    except BaseException:  # Ctrl-C
        stop()
        wait(tasks)
        raise
    for task in tasks:
        task.result()
    for number in left:  # no thread could be had, as while Python ends
        results[number] = function(parts[number])
    return [results[number] for number in range(len(parts))]


def _submit(threads: int, task: Callable[..., None], *arguments: Any) -> Future | None:
    """Hand a task to this process's pool, of at least so many threads; None where it takes no more, as while Python ends.

    The threads of a parent process do not exist in its forks.
    """
    process = os.getpid()
    with _changing:
        size, pool = _pools.get(process, (0, None))
        if pool is None or size < threads:
            if pool is not None:
                pool.shutdown(wait=False)
            pool = ThreadPoolExecutor(threads, thread_name_prefix="toykit")
            _pools[process] = threads, pool
        try:
            return pool.submit(task, *arguments)
        except RuntimeError:
            return None


def _set_torchs_threads(number: int) -> None:
    """Set the number of torch's threads in this thread only: torch would set it for all threads that begin later, too."""
    if torch.get_num_threads() == number:  # the first call in a thread sets it
        return
    with _changing, ThreadPoolExecutor(1) as new:
        default = new.submit(torch.get_num_threads).result()
        torch.set_num_threads(number)
        new.submit(torch.set_num_threads, default).result()
