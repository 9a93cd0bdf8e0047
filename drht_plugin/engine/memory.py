"""Amounts of memory as users write and read them."""

from __future__ import annotations

from typing import Any

from drht_plugin.errors import InputError

DEFAULT_MEMORY = 96 << 20
"""Default memory for the pixels that are in flight in guided detail, in bytes."""

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
"""Bytes in each unit."""


def parse_memory(memory: Any) -> int:
    """Parse an amount of memory.

    Args:
        memory: bytes, or a text such as "512M" or "2G"; None takes `DEFAULT_MEMORY`.

    Returns:
        Bytes.

    Raises:
        InputError: not such an amount.
    """
    if memory is None:
        return DEFAULT_MEMORY
    text = str(memory).strip().upper().removesuffix("IB").removesuffix("B")
    number, unit = (text[:-1], text[-1:]) if text[-1:] in _UNITS and text else (text, "")
    try:
        size = float(number) * _UNITS[unit]
    except ValueError:
        size = 0.0
    if isinstance(memory, bool) or not 1 <= size < 1 << 60:
        raise InputError(f"memory is {memory!r}; expected bytes, or a text such as '512M' or '2G'")
    return int(size)


def format_bytes(size: float) -> str:
    """Format a number of bytes, for example as "1.5 GB".

    Args:
        size: number of bytes.
    """
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.4g} TB"
