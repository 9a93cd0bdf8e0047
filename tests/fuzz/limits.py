"""Memory and time that an input may take."""

from __future__ import annotations

MEMORY = 2 << 30
"""Bytes that a child may take beyond what it has when it is warm, and what the picture needs."""

SECONDS = 20.0
"""Time that an input may take, beyond what the picture needs."""

BYTES_PER_SAMPLE, SECONDS_PER_MEGASAMPLE = 24, 1.0
"""What a decoded sample of the declared picture may take: of the memory, and of the time."""


def needed(samples: int) -> tuple[int, float]:
    """Return the memory and seconds that a picture of so many samples needs itself."""
    return BYTES_PER_SAMPLE * samples, SECONDS_PER_MEGASAMPLE * samples / 1e6
