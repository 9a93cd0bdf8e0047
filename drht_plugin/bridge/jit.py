"""One decorator for every kernel, so that caching and parallelism are decided in one place."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_lock = threading.RLock()

_WORTH_A_THREAD = 1 << 15
"""Pixels that take longer to correct than a thread takes to start."""


def kernel(function: Kernel) -> Kernel:
    """Compile with threads, without the GIL, cached on disk where some folder can be written.

    No fast-math: the operations of a pixel then round alike in vector bodies and scalar tails,
    so that a pixel does not depend on where a window begins.
    """
    call = _with_cache(function, parallel=True)

    @functools.wraps(function)
    def one_caller(*arguments: Any) -> Any:
        with _lock if _one_at_a_time() else nullcontext():
            return call(*arguments)

    return cast(Kernel, one_caller)


def rows_kernel(function: Kernel) -> Kernel:
    """As `kernel`, for one thread, to be called by several: see `share_rows`.

    Takes half as long to compile, which counts where a kernel is long.
    """
    return cast(Kernel, functools.wraps(function)(_with_cache(function, parallel=False)))


def share_rows(rows: int, columns: int, work: Callable[[int, int], None]) -> None:
    """Call `work(first, last)` for parts of `rows`, on as many threads as numba may use."""
    threads = min(numba.get_num_threads(), rows * columns // _WORTH_A_THREAD, rows)
    if threads < 2:
        work(0, rows)
        return
    edges = [rows * part // threads for part in range(threads + 1)]
    with ThreadPoolExecutor(threads - 1) as others:
        parts = [others.submit(work, *edge) for edge in pairwise(edges[1:])]
        work(*edges[:2])
        for part in parts:
            part.result()


def _with_cache(function: Kernel, *, parallel: bool) -> Callable[..., Any]:
    """The compiled function, without a cache once the cache fails."""
    compiled: Any = _compile(function, cache=True, parallel=parallel)

    def call(*arguments: Any) -> Any:
        nonlocal compiled
        types = tuple(numba.typeof(argument) for argument in arguments)
        try:
            with nullcontext() if types in compiled.overloads else _compile_lock(function.__name__):
                return compiled(*arguments)
        except OSError:
            # The cache's disk is full or gone; kernels raise no OSError of their own.
            compiled = _compile(function, cache=False, parallel=parallel)
            return compiled(*arguments)

    return call


def inline(function: Kernel) -> Kernel:
    """Compile a scalar helper, which becomes a part of the kernels that call it."""
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Kernel, compiled)


def inline_ir(function: Kernel) -> Kernel:
    """Make a long helper a part of its one or two kernels before these are compiled.

    As `inline` it would be compiled by itself as well, to no purpose.
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy", inline="always")(function)
    return cast(Kernel, compiled)


def _compile(function: Kernel, *, cache: bool, parallel: bool) -> Kernel:
    make = functools.partial(numba.njit, parallel=parallel, nogil=True, error_model="numpy")
    try:
        with _cache_folder():
            compiled: Any = make(cache=cache)(function)
    except (OSError, RuntimeError):
        # The folder for the cache cannot be written.
        compiled = make()(function)
    return cast(Kernel, compiled)


@contextmanager
def _compile_lock(name: str) -> Iterator[None]:
    """Compile a kernel by one process at a time, where the system has such locks.

    Two processes that compile a kernel for other types at the same moment give both the same
    number in numba's cache, which then hands out the one for the other. Who waits finds what
    was compiled meanwhile.
    """
    try:
        import fcntl

        lock = os.open(_folder() / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except (ImportError, OSError):
        yield
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


@functools.cache
def _sources() -> str:
    """What all kernels are made from: numba sees the file of a kernel, not those of its helpers."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _folder() -> Path:
    """Where compiled kernels are kept, for these sources alone."""
    given: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    return (Path(given) if given else user_cache() / "kernels") / _sources()


@contextmanager
def _cache_folder() -> Iterator[None]:
    """Have numba choose the user's cache folder, or the one in NUMBA_CACHE_DIR.

    Its own first choice, beside the source, leaves files in site-packages that outlive an
    uninstall, and then hide the package of an editable install.
    """
    before: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


def user_cache() -> Path:
    """The project's folder among the user's caches, by the platform's custom; may not exist."""
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        parent = "~/Library/Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(parent)) / "drht_plugin"


def _one_at_a_time() -> bool:
    """Whether numba's threads cannot serve two callers: without OpenMP, or not started yet."""
    try:
        layer: str = numba.threading_layer()  # type: ignore[attr-defined]
        return layer == "workqueue"
    except ValueError:
        return True
