"""Share the rows of an image among threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import pairwise

_WORTH_A_THREAD = 1 << 15
"""Pixels for which a thread pays: correcting them takes longer than starting the thread."""

_limit: ContextVar[int | None] = ContextVar("most threads of a kernel", default=None)


def share_rows(rows: int, columns: float, work: Callable[[int, int], None]) -> None:
    """Call `work(first, last)` for parts of the rows, on as many threads as are allowed.

    Threads live for one call. So none is lost when the process forks, and any number of callers
    are served at a time.

    Args:
        rows: number of rows.
        columns: pixels of a row; less than one where a row is less work than a pixel.
        work: processes rows first..last−1; its exceptions are raised here.
    """
    threads = min(most_threads(), int(rows * columns) // _WORTH_A_THREAD, rows)
    if threads < 2:
        work(0, rows)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads - 1) as others:
        parts = [others.submit(work, *edge) for edge in pairwise(edges[1:])]
        work(*edges[:2])
        for part in parts:
            part.result()


def allowed_threads() -> int:
    """Return how many cores this process may use, or less inside `limit_threads`."""
    limit = _limit.get()
    return usable_cores() if limit is None else min(limit, usable_cores())


def usable_cores() -> int:
    """Return how many CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def most_threads() -> int:
    """Return how many threads a kernel may use: numba's setting, or less inside `limit_threads`."""
    import numba

    cores: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
    limit = _limit.get()
    return cores if limit is None else min(limit, cores)


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """Run the kernels that this thread calls on at most `count` threads; None changes nothing.

    Args:
        count: From 1; more than there are cores is as many as there are.
    """
    if count is None:
        yield
        return
    before = _limit.set(count)
    try:
        yield
    finally:
        _limit.reset(before)
