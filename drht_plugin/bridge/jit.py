"""One decorator for every kernel, so that caching and parallelism are decided in one place."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_turn = threading.RLock()


def kernel(function: Kernel) -> Kernel:
    """Compile with threads, without the GIL, cached on disk where some folder can be written.

    No fast-math: the operations of a pixel then round alike in vector bodies and scalar tails,
    so that a pixel does not depend on where a window begins.
    """
    compiled = _compile(function, cache=True)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        nonlocal compiled
        with _turn if _one_at_a_time() else nullcontext():
            try:
                return compiled(*arguments)
            except OSError:
                # The cache's disk is full or gone; kernels raise no OSError of their own.
                compiled = _compile(function, cache=False)
                return compiled(*arguments)

    return cast(Kernel, call)


def inline(function: Kernel) -> Kernel:
    """Compile a scalar helper, which becomes a part of the kernels that call it."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Kernel, compiled)


def _compile(function: Kernel, *, cache: bool) -> Kernel:
    try:
        compiled: Any = numba.njit(parallel=True, nogil=True, error_model="numpy", cache=cache)(
            function
        )
    except RuntimeError:
        # Neither the installation nor the user's cache folder can be written.
        return _compile(function, cache=False)
    return cast(Kernel, compiled)


def _one_at_a_time() -> bool:
    """Whether numba's threads cannot serve two callers: without OpenMP, or not started yet."""
    try:
        layer: str = numba.threading_layer()  # type: ignore[attr-defined]
        return layer == "workqueue"
    except ValueError:
        return True
