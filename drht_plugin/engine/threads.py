"""Threads of numba's kernels."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def limit_threads(count: int | None) -> Iterator[None]:
    """Run the kernels of this thread on at most `count` threads; None changes nothing.

    Args:
        count: From 1; more than numba has is as many as it has.
    """
    if count is None:
        yield
        return
    import numba

    before = numba.get_num_threads()
    numba.set_num_threads(min(count, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


@contextmanager
def single_threaded() -> Iterator[None]:
    """Run the kernels of this thread on it alone, where numba is in use at all."""
    with limit_threads(1 if "numba" in sys.modules else None):
        yield
