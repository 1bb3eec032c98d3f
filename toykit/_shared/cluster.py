"""Run a function on many items with Dask: in processes on this machine, or on a running cluster of many machines."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

Item = TypeVar("Item")
#: Seconds to wait for a scheduler's answer.
PATIENCE = 20


def run_on_cluster(
    function: Callable[[Item], Any],
    items: Sequence[Item],
    *,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Iterator[tuple[Item, Any]]:
    """Call a function on each item in other processes.

    An item whose worker process died is given to another worker, four times at most: the function must bear that.

    Parameters
    ----------
    function : callable
        Defined in a module that the workers can import.
    items : sequence
    workers : int, optional
        Number of processes on this machine, with one thread each and an equal share of its memory.
    scheduler : str, optional
        Address of a running Dask scheduler, "tcp://HOST:PORT", instead of `workers`.

    Yields
    ------
    item, outcome
        In the order in which they are finished. The outcome is the function's value, or the exception that it raised or that
        lost the item.

    Raises
    ------
    ImportError
        Dask's distributed is not installed.
    OSError
        There is no scheduler at the address.
    ValueError
        Its workers have several threads: what is run in them need not bear that.
    """
    try:
        from distributed import Client, LocalCluster, as_completed
        from distributed.system import MEMORY_LIMIT
    except ImportError as error:
        raise ImportError(f"{error}; it comes with the cluster extra: pip install 'toykit[cluster]'") from error
    with ExitStack() as stack:
        address: Any = scheduler
        if scheduler is None:
            assert workers is not None
            cluster = LocalCluster(
                n_workers=min(workers, len(items)),
                threads_per_worker=1,
                memory_limit=MEMORY_LIMIT // workers,
                dashboard_address="127.0.0.1:0",  # any free port: several commands may run at once
                silence_logs=logging.ERROR,
                env={"MPLBACKEND": "agg"},
            )
            address = stack.enter_context(cluster)
        client = stack.enter_context(_connect(Client, address))
        if scheduler is not None and any(threads > 1 for threads in client.nthreads().values()):
            raise ValueError(
                f"{scheduler}: its workers run several tasks at once; start them with: dask worker --nthreads 1"
            )
        futures = client.map(function, items, pure=False)
        stack.callback(client.cancel, futures)
        by_key = {future.key: item for future, item in zip(futures, items, strict=True)}
        for future in as_completed(futures):
            yield by_key[future.key], _outcome(future)


def _connect(client: Any, address: Any) -> Any:
    """Connect to a scheduler. Raises: OSError if there is none."""
    try:
        return client(address, timeout=PATIENCE)
    except (OSError, ValueError) as error:
        raise OSError(f"{address}: no Dask scheduler answers there ({error}); start one: dask scheduler") from error


def _outcome(future: Any) -> Any:
    """Return a finished future's value, or its exception."""
    try:
        return future.result()
    except Exception as error:
        from distributed import KilledWorker

        if isinstance(error, KilledWorker):
            return RuntimeError(
                "its worker process died each time; it may need more memory than a worker has: use fewer workers"
            )
        return error
