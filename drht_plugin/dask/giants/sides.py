"""Sides of shards and of regions, so that no stored chunk is read for two regions."""

from __future__ import annotations

from typing import NamedTuple

CHUNK = 512
"""Greatest side of a chunk that viewers load, in pixels."""

_HALVINGS = 2
"""Times that a shard's side should be even, for the levels that are made with it."""


class Side(NamedTuple):
    """Height or width of what is computed and written, in pixels.

    Attributes:
        region: of what a task reads at once, a whole number of the source's chunks.
        shard: of what is written as one object; a region has a whole number of them.
    """

    region: int
    shard: int


def choose_side(chunk: int, image: int, target: int) -> Side:
    """Choose the side of a region and of its shards.

    Args:
        chunk: side of the source's chunks.
        image: side of the image.
        target: greatest side of a shard, a power of two.

    Returns:
        The largest side up to `target` that is a whole number of chunks, or, of chunks that are
        larger, a whole part of one.
    """
    if chunk >= image:
        shard = min(target, 1 << (image - 1).bit_length())
        return Side(-(-image // shard) * shard, shard)
    if chunk <= target:
        side = max((n * chunk for n in range(1, target // chunk + 1)), key=_rank)
        return Side(side, side)
    parts = [n for n in range(-(-chunk // target), chunk + 1) if chunk % n == 0]
    wide = [chunk // n for n in parts if chunk // n >= target // 4]
    return Side(chunk, max(wide, key=_rank, default=chunk))


def chunk_side(shard: int, most: int = CHUNK) -> int:
    """Return the largest whole part of a shard's side that is no greater than `most`.

    A side whose parts are all much smaller is not divided.
    """
    fitting = [shard // n for n in range(1, shard + 1) if shard % n == 0 and shard // n <= most]
    return fitting[0] if fitting and fitting[0] * 4 >= min(most, shard) else shard


def _rank(side: int) -> tuple[int, int]:
    """Return what makes a side better: that it can be halved, and its size."""
    even = (side & -side).bit_length() - 1
    return min(even, _HALVINGS), side
