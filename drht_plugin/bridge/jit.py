"""Decorators for all kernels, so that caching and threads are decided in one place."""

from __future__ import annotations

import functools
import hashlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar, cast

import numba

from drht_plugin.bridge.sharing import share_rows

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """Compile a function for one thread and without the GIL, and cache it on disk where possible.

    There is no fast-math. So the operations of a pixel round alike in vector bodies and scalar
    tails, and a pixel does not depend on where its window starts.

    Args:
        function: function of arrays and numbers that numba can compile.
    """
    return cast(Kernel, functools.wraps(function)(_with_cache(function)))


def shared_kernel(
    size: Callable[..., tuple[int, float]],
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Compile a function like `kernel`, and share its rows among threads; see `sharing`.

    Numba's own threads take twice as long to compile, and do not outlive a fork.

    Args:
        size: tells rows, and pixels of a row, from the arguments but the last two.

    Returns:
        A decorator. The last two arguments of the function are its first row, and the row after its
        last; callers leave them out.
    """

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        call = _with_cache(function)

        @functools.wraps(function)
        def in_parts(*arguments: Any) -> None:
            share_rows(*size(*arguments), lambda first, last: call(*arguments, first, last))

        return in_parts

    return decorate


def _with_cache(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that compiles with the cache, and without it once the cache fails."""
    compiled: Any = _compile(function, cache=True)

    def call(*arguments: Any) -> Any:
        nonlocal compiled
        types = tuple(numba.typeof(argument) for argument in arguments)
        try:
            with nullcontext() if types in compiled.overloads else _compile_lock(function.__name__):
                return compiled(*arguments)
        except OSError:
            # The cache's disk is full or gone. Kernels raise no OSError themselves.
            compiled = _compile(function, cache=False)
            return compiled(*arguments)

    return call


def variant(*values: int) -> Callable[[Kernel], Kernel]:
    """Give a helper that a factory makes for some values a name of its own.

    What kernels from numba's cache are made of is told apart by name, signature and a number that
    counts up in each process. Of two helpers with the same, compiled by different processes, one
    would be run for the other.

    Args:
        values: what the factory made the function for.
    """

    def rename(function: Kernel) -> Kernel:
        name = "_".join([function.__name__, *map(str, values)])
        function.__name__ = function.__qualname__ = name
        return function

    return rename


def inline(function: Kernel) -> Kernel:
    """Compile a scalar helper that becomes part of the kernels that call it.

    Args:
        function: function of arrays and numbers that numba can compile.
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy")(function)
    return cast(Kernel, compiled)


def inline_ir(function: Kernel) -> Kernel:
    """Insert a long helper into its one or two kernels before these are compiled.

    With `inline` it would needlessly be compiled by itself as well.

    Args:
        function: function of arrays and numbers that numba can compile.
    """
    compiled: Any = numba.njit(nogil=True, error_model="numpy", inline="always")(function)
    return cast(Kernel, compiled)


def _compile(function: Kernel, *, cache: bool) -> Kernel:
    """Return the function as numba compiles it, without a cache if the folder cannot be written."""
    make = functools.partial(numba.njit, nogil=True, error_model="numpy")
    try:
        with _cache_folder():
            compiled: Any = make(cache=cache)(function)
    except (OSError, RuntimeError):
        # The cache's folder cannot be written.
        compiled = make()(function)
    return cast(Kernel, compiled)


@contextmanager
def _compile_lock(name: str) -> Iterator[None]:
    """Hold a lock so that one process at a time compiles this kernel, if the system has file locks.

    When two processes compile a kernel for different types at the same moment, numba's cache gives
    both the same number and then returns one for the other. A process that waited finds what was
    compiled meanwhile.
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
    """Return a digest of all the bridge's sources, since numba only checks a kernel's own file."""
    files = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


def _folder() -> Path:
    """Return the folder for compiled kernels of these sources."""
    given: str = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    return (Path(given) if given else user_cache() / "kernels") / _sources()


def is_cold() -> bool:
    """Return whether no kernel of these sources has been compiled and kept yet."""
    return not any(_folder().rglob("*.nbi"))


@contextmanager
def _cache_folder() -> Iterator[None]:
    """Make numba choose the user's cache folder, or the one in NUMBA_CACHE_DIR.

    By itself numba would choose a folder beside the source. That leaves files in site-packages
    which outlive an uninstall and then hide the package of an editable install.
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
    """Return the project's folder among the user's caches on this platform; it may not exist."""
    if sys.platform == "win32":
        parent = os.environ.get("LOCALAPPDATA", "~/AppData/Local")
    elif sys.platform == "darwin":
        parent = "~/Library/Caches"
    else:
        parent = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.path.expanduser(parent)) / "drht_plugin"
