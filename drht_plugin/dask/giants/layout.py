"""How a picture is cut into regions, shards and chunks, and the levels of its pyramid."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from drht_plugin.arguments import whole_number
from drht_plugin.dask.giants.sides import CHUNK, Side, choose_side, chunk_side
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region

SIDE = 2048
"""Usual side of a shard, in pixels."""

_REGION_BYTES = 96 << 20
"""Size to which a region is cut that is wider than a shard, as chunks are (bytes of its pixels)."""

_NESTED = 2
"""Levels that are made with a region, from its own pixels."""

_LEAST = 128
"""Least side of a shard of these levels, in pixels."""


@dataclass(frozen=True)
class Level:
    """One level of a pyramid.

    Attributes:
        height, width: in pixels.
        shard: height and width of what is one object.
        chunk: height and width of what viewers load; parts of a shard.
    """

    height: int
    width: int
    shard: tuple[int, int]
    chunk: tuple[int, int]

    def shards(self) -> Iterator[Region]:
        """Yield the regions of the shards, by rows; the last ones are cut at the borders."""
        yield from _cut(Region(0, 0, self.height, self.width), self.shard)


@dataclass(frozen=True)
class Layout:
    """How a picture is cut.

    Attributes:
        levels: of the pyramid, the whole picture first.
        region: height and width of what a task corrects.
        nested: levels beside the first that are made with a region.
    """

    levels: tuple[Level, ...]
    region: tuple[int, int]
    nested: int

    def without_pyramid(self) -> Layout:
        """Return the layout of the first level alone."""
        return replace(self, levels=self.levels[:1], nested=0)

    def regions(self) -> list[Region]:
        """Return what the tasks correct, by rows."""
        whole = self.levels[0]
        return list(_cut(Region(0, 0, whole.height, whole.width), self.region))

    def windows(self, region: Region) -> Iterator[Region]:
        """Yield the shards of a region."""
        return _cut(region, self.levels[0].shard)


def plan_layout(
    height: int, width: int, chunks: tuple[int, int], pixel_bytes: int, side: int = SIDE
) -> Layout:
    """Plan how a picture is cut.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        chunks: rows and columns of the source's chunks.
        pixel_bytes: of the source.
        side: greatest side of a shard in pixels, a power of two from 128.

    Raises:
        InputError: an impossible side.
    """
    whole = whole_number(side)
    if whole is None or whole < _LEAST or whole & (whole - 1):
        raise InputError(f"block is {side!r}; expected a power of two from {_LEAST}")
    side = whole
    across = choose_side(chunks[1], width, side)
    rows = side
    if across.region > side:
        fitting = _REGION_BYTES // (across.region * pixel_bytes)
        rows = min(side, max(_LEAST, 1 << max(fitting, 1).bit_length() - 1))
    down = choose_side(chunks[0], height, rows)
    if chunks[0] >= height:  # one row of regions would be the whole picture
        down = Side(down.shard, down.shard)
    shard = (down.shard, across.shard)
    levels = [_level(height, width, shard)]
    nested = 0
    while max(levels[-1].height, levels[-1].width) > CHUNK:
        last = levels[-1]
        half = (-(-last.height // 2), -(-last.width // 2))
        if nested == len(levels) - 1 < _NESTED and not any(s % 2 for s in shard):
            shard = (shard[0] // 2, shard[1] // 2)
            if min(shard) >= _LEAST:
                nested += 1
                levels.append(_level(*half, shard))
                continue
        sides = tuple(min(SIDE, 1 << (n - 1).bit_length()) for n in half)
        levels.append(_level(*half, (sides[0], sides[1])))
    return Layout(tuple(levels), (down.region, across.region), nested)


def _level(height: int, width: int, shard: tuple[int, int]) -> Level:
    return Level(height, width, shard, (chunk_side(shard[0]), chunk_side(shard[1])))


def _cut(whole: Region, size: tuple[int, int]) -> Iterator[Region]:
    for top in range(whole.top, whole.bottom, size[0]):
        for left in range(whole.left, whole.right, size[1]):
            bottom, right = min(top + size[0], whole.bottom), min(left + size[1], whole.right)
            yield Region(top, left, bottom - top, right - left)
