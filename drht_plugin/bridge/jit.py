"""One decorator for every kernel, so that caching and parallelism are decided in one place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile with threads, without the GIL, cached on disk where some folder can be written.

    No fast-math: the operations of a pixel then round alike in vector bodies and scalar tails,
    so that a pixel does not depend on where a window begins.
    """
    options = {"parallel": True, "nogil": True, "error_model": "numpy"}
    return _cached(function, options)


def inline(function: Kernel) -> Kernel:
    """Compile a scalar helper to be inlined into kernels."""
    return _cached(function, {"nogil": True, "error_model": "numpy"})


def _cached(function: Kernel, options: dict[str, Any]) -> Kernel:
    try:
        compiled: Kernel = numba.njit(cache=True, **options)(function)
    except RuntimeError:
        # Neither the installation nor the user's cache folder can be written.
        compiled = numba.njit(**options)(function)
    return compiled
