"""Bands of an image's rows: what is to be done to them, and how many rows a band has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.memory import format_bytes, parse_memory
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.errors import InputError

Image = npt.NDArray[Any]

DEPTH = 2
"""Bands that wait between reading and computing, and between computing and writing."""

_IN_FLIGHT = DEPTH + 2  # and one at either end


@dataclass(frozen=True)
class Demand:
    """What a renderer asks for.

    Attributes:
        halo: input rows that it needs above and below a band, fewer at the image's borders.
        stride: bands begin on multiples of it.
        row_in, row_out: bytes of one row of the input and of the result.
        row_work: bytes that it needs for each row of a band, beside these two.
    """

    halo: int
    stride: int
    row_in: int
    row_out: int
    row_work: int


class BandRenderer(Protocol):
    """What makes bands of a result, whose rows have the shape `row_shape` and one dtype."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Of one row of the result."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the result."""
        ...

    def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
        """Write the result's rows `band` to `out`.

        pixels: input rows from row `top` of the image on: the band's and its halo's.
        """
        ...


@dataclass(frozen=True)
class Band:
    """Rows `first:last` of a result, and the input rows `above:below` that they need."""

    first: int
    last: int
    above: int
    below: int


@dataclass(frozen=True)
class BandPlan:
    """How an image's rows are parted: `rows` to a band, from row `start` on.

    Bands begin on multiples of `stride`.
    """

    height: int
    rows: int
    halo: int = 0
    start: int = 0
    stride: int = 1

    def __iter__(self) -> Iterator[Band]:
        for first in range(self.start, self.height, self.rows):
            last = min(first + self.rows, self.height)
            yield Band(first, last, max(first - self.halo, 0), min(last + self.halo, self.height))

    def from_row(self, start: int) -> BandPlan:
        """Return the plan of what is left when the rows above `start` are done."""
        return replace(self, start=start - start % self.stride)


def plan_bands(
    spec: ImageSpec,
    demand: Demand,
    *,
    memory: int | str | None = None,
    tile: int | None = None,
) -> BandPlan:
    """Choose the rows of a band.

    Args:
        spec: of the image.
        demand: of what is to be done to it.
        memory: bytes, or a text such as "512M" or "2G", for the pixels that are on their way.
        tile: rows of a band; None takes as many as fit the memory.

    Raises:
        InputError: a memory or tile that is no such number, a tile that is not a multiple of the
            stride, or rows that need more than the memory; says how much.
    """
    budget = parse_memory(memory)
    # What has a halo puts its windows together from the rows kept and the rows read.
    row_in = demand.row_in * (_IN_FLIGHT + bool(demand.halo))
    each = row_in + _IN_FLIGHT * demand.row_out + demand.row_work
    fixed = 2 * demand.halo * (2 * demand.row_in + demand.row_work)
    stride = demand.stride
    rows = max((budget - fixed) // each // stride, 1) * stride
    if tile is not None:
        rows = _require_tile(tile, stride)
    needed = each * min(rows, spec.height) + fixed
    if needed > budget and (tile is None or memory is not None):
        raise InputError(
            f"{min(rows, spec.height)} rows of {spec.width} pixels need {format_bytes(needed)} of "
            f"memory while they are worked on; {format_bytes(budget)} are allowed "
            f"(memory={memory!r})"
        )
    return BandPlan(spec.height, rows, demand.halo, stride=stride)


def _require_tile(tile: Any, stride: int) -> int:
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < 1:
        raise InputError(f"tile is {tile!r}; expected a whole number of rows from 1")
    if tile < stride or tile % stride:
        raise InputError(f"tile is {tile}; expected a multiple of {stride}")
    return tile
