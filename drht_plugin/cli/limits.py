"""Limits of the process's address space, under which libraries fail in ways of their own."""

from __future__ import annotations

from drht_plugin.errors import DrhtError

_LEAST = 1 << 30
"""Address space that PyTorch and LLVM need; with less, loading them may abort (bytes)."""


def limit_note() -> str:
    """Return a note on the limit of the address space; empty if there is none."""
    limit = _address_space()
    return "" if limit is None else f" (ulimit -v is {limit >> 10})"


def require_address_space() -> None:
    """Check that there is room to load the libraries.

    Raises:
        DrhtError: the limit of the address space is too low.
    """
    limit = _address_space()
    if limit is not None and limit < _LEAST:
        raise DrhtError(
            f"there is not enough memory{limit_note()}; expected at least {_LEAST >> 10}"
        )


def _address_space() -> int | None:
    """Return the limit of the address space in bytes; None if there is none."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit
