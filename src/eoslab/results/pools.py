"""Where the cells of a sweep are computed: threads of this process, or the workers of a Dask cluster.

A pool takes tasks and gives futures. Nobody but the process that called ``sweep`` writes anything, so workers need
no shared file system, and what they compute does not depend on how many they are.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import numpy as np

from eoslab.core.errors import whole
from eoslab.results.table import Cells, Columns, Stop, Stopped

__all__ = ["cores", "each", "pool_of"]

#: Seconds between two questions whether to stop.
LOOK = 0.2
#: Seconds that tasks under way have to end once asked to stop; what takes longer is given up and computed again.
GRACE = 3.0


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def pool_of(client: Any, workers: int | None, stop: Stop | None) -> Iterator[Any]:
    """The workers of a Dask ``client``, or that many threads of this process (default: one a core)."""
    if client is not None:
        pool: Any = _Dask(client)
    else:
        pool = _Threads(whole("workers", workers, 1) if workers is not None else cores(), stop)
    try:
        yield pool
    finally:
        pool.close()


def each(
    pool: Any, cells: Cells, tasks: Iterator[tuple[Any, Columns] | None], stop: Stop | None
) -> Iterator[tuple[Any, Columns]]:
    """Results as they come, with two tasks a worker under way; on any way out nothing is left running.

    ``tasks`` may yield None: it has no task before the results of those under way have been taken.
    """
    flying: dict[Any, Any] = {}
    more, deadline = True, np.inf
    try:
        while more or flying:
            if deadline == np.inf and stop is not None and stop():
                more, deadline = False, time.monotonic() + GRACE
            while more and len(flying) < 2 * pool.width:
                try:
                    task = next(tasks)
                except StopIteration:
                    more = False
                    break
                if task is None:
                    break
                flying[pool.submit(cells, task[1])] = task[0]
            if time.monotonic() > deadline:
                return
            future = pool.first(list(flying), None if stop is None else LOOK) if flying else None
            if future is None:
                continue
            key = flying.pop(future)
            try:
                columns = future.result()
            except Stopped:
                more = False
                continue
            yield key, columns
    finally:
        pool.cancel(list(flying))


def _compute(cells: Cells, columns: Columns, stop: Stop | None = None) -> Columns:
    """One task; a plain function so that any process can run it."""
    return cells.compute(columns, stop)


class _Threads:
    """Threads of this process: enough for kernels that give up Python's lock."""

    def __init__(self, workers: int, stop: Stop | None) -> None:
        self.width = workers
        self._pool, self._over = ThreadPoolExecutor(workers), threading.Event()
        self._stop: Stop = lambda: self._over.is_set() or (stop is not None and stop())

    def submit(self, cells: Cells, columns: Columns) -> Any:
        return self._pool.submit(_compute, cells, columns, self._stop)

    def first(self, futures: Sequence[Any], timeout: float | None) -> Any:
        return next(iter(wait(futures, timeout, return_when=FIRST_COMPLETED).done), None)

    def cancel(self, futures: Sequence[Any]) -> None:
        if not futures:
            return
        # nobody will take what is under way: it need not come to its end
        self._over.set()
        for future in futures:
            future.cancel()
        wait(futures)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)


class _Dask:
    """Workers of a Dask cluster, as many as there are now: jobs of a cluster start and end while a sweep runs."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self._width, self._asked = 1, -np.inf

    @property
    def width(self) -> int:
        """Threads of the workers that are there."""
        if time.monotonic() - self._asked > 1.0:
            self._width, self._asked = max(1, sum(self.client.nthreads().values())), time.monotonic()
        return self._width

    def submit(self, cells: Cells, columns: Columns) -> Any:
        return self.client.submit(_compute, cells, columns, pure=False, retries=2)

    def first(self, futures: Sequence[Any], timeout: float | None) -> Any:
        from distributed import wait as wait_for

        try:
            done = wait_for(list(futures), timeout=timeout, return_when="FIRST_COMPLETED").done
        except TimeoutError:
            return None
        return next(iter(done), None)

    def cancel(self, futures: Sequence[Any]) -> None:
        self.client.cancel(list(futures))

    def close(self) -> None:
        pass
