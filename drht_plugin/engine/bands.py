"""Bands: the rows of an image that are rendered at once, as many as the memory allows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.arguments import whole_number
from drht_plugin.engine.memory import format_bytes, parse_memory
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.scene import Scene
from drht_plugin.engine.strength import Strength
from drht_plugin.errors import InputError
from drht_plugin.geometry import Region

Image = npt.NDArray[Any]
Finish = Callable[[Image], None]
"""Function that waits for rendered rows and writes them to an array."""

Watch = Callable[[float], object]
"""Function that is told the share of a band that is done, 0..1."""

DEPTH = 2
"""Bands that may queue between reading and computing, and between computing and writing."""

_IN_FLIGHT = DEPTH + 2
"""Bands that exist at once on either side: the queue's, and one at each of its ends."""


@dataclass(frozen=True)
class Demand:
    """What a renderer of bands needs.

    Attributes:
        halo: input rows that it needs above and below a band, clipped to the image.
        stride: bands start at multiples of this many rows.
        row_in: bytes of one row of the input.
        row_out: bytes of one row of the result.
        row_work: further bytes that it needs for each row of a band.
    """

    halo: int
    stride: int
    row_in: int
    row_out: int
    row_work: int


class BandRenderer(Protocol):
    """Renderer of bands of the result, in rows of one shape and dtype."""

    @property
    def row_shape(self) -> tuple[int, ...]:
        """Shape of one row of the result, W or W×C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Dtype of the result."""
        ...

    @property
    def ahead(self) -> int:
        """Bands to start before the first is waited for: 0 where the caller's thread computes."""
        ...

    def begin(self, pixels: Image, top: int, band: slice, watch: Watch | None = None) -> Finish:
        """Start to render some rows of the result.

        Args:
            pixels: input rows of the band and its halo; they do not change until it is finished.
            top: row of the image that `pixels` start at.
            band: rows of the image to render.
            watch: told how much is done by renderers that take long for a band and have `ahead` 0.

        Returns:
            What waits for the rows and writes them to an array of `row_shape` in each row.
        """
        ...


class WindowRenderer(Protocol):
    """Renderer of any window of an image; safe to call from several threads."""

    def render(
        self,
        scene: Scene,
        pixels: Image,
        window: Region,
        *,
        given: Region,
        strength: Strength,
    ) -> Image:
        """Render one window.

        Args:
            scene: the image's scene.
            pixels: input pixels of `given`, R×C×K.
            window: what to render.
            given: region that holds the window and its halo, as far as the image goes; columns of a
                panorama may lie outside the image.
            strength: how much of the correction is applied.

        Returns:
            The window's corrected pixels, stored as the image is.
        """
        ...


@dataclass(frozen=True)
class Band:
    """Rows of the result, with the input rows that they need.

    Attributes:
        first: first row of the band.
        last: row after its last.
        above: first input row that it needs.
        below: row after the last that it needs.
    """

    first: int
    last: int
    above: int
    below: int


@dataclass(frozen=True)
class BandPlan:
    """How an image's rows are split into bands. Iterating yields each `Band` in order.

    Attributes:
        height: rows of the image.
        rows: rows of a band; the last one may have fewer.
        halo: input rows that are needed above and below a band.
        start: row that the first band starts at.
        stride: bands start at multiples of this many rows.
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
        """Return the plan of the remaining bands when the rows above `start` are done.

        Args:
            start: first row that is not done; rounded down to a multiple of the stride.
        """
        return replace(self, start=start - start % self.stride)


def plan_bands(
    spec: ImageSpec,
    demand: Demand,
    *,
    memory: int | str | None = None,
    tile: int | None = None,
) -> BandPlan:
    """Choose how many rows a band has.

    Args:
        spec: the stored image's spec.
        demand: what the renderer needs.
        memory: for the pixels in flight: bytes, or a text such as "512M" or "2G".
        tile: rows of a band; None takes as many as fit the memory.

    Returns:
        The plan of the whole image.

    Raises:
        InputError: a memory or tile that is no such number, a tile that is not a multiple of the
            stride, or rows that need more than the memory; the message says how much.
    """
    budget = parse_memory(memory)
    # With a halo a window is joined from the rows that were kept and those just read.
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
            f"memory at once; {format_bytes(budget)} are allowed "
            f"(memory={memory!r})"
        )
    return BandPlan(spec.height, rows, demand.halo, stride=stride)


def _require_tile(tile: Any, stride: int) -> int:
    """Refuse a tile that is not a whole number of strides."""
    rows = whole_number(tile)
    if rows is None or rows < 1:
        raise InputError(f"tile is {tile!r}; expected a whole number of rows from 1")
    if rows < stride or rows % stride:
        raise InputError(f"tile is {rows}; expected a multiple of {stride}")
    return rows
