"""Bands of an image's rows: what is to be done to them, and how many rows a band has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.grid import ToneGrid
from drht_plugin.engine.pixels import Kind, as_channels
from drht_plugin.engine.render import Strength, Window, render, render_radiance
from drht_plugin.engine.scene import Scene
from drht_plugin.errors import InputError

Image = npt.NDArray[Any]

DEFAULT_MEMORY = 96 << 20
"""Bytes of pixels that are on their way at once, unless told otherwise."""

DEPTH = 2
"""Bands that wait between reading and computing, and between computing and writing."""

_IN_FLIGHT = DEPTH + 2  # and one at either end
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


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
    def demand(self) -> Demand:
        """What it asks for."""
        ...

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
    """How an image's rows are parted: `rows` to a band, from row `start` on."""

    height: int
    rows: int
    halo: int = 0
    start: int = 0

    def __iter__(self) -> Iterator[Band]:
        for first in range(self.start, self.height, self.rows):
            last = min(first + self.rows, self.height)
            yield Band(first, last, max(first - self.halo, 0), min(last + self.halo, self.height))


def plan_bands(
    kind: Kind,
    demand: Demand,
    *,
    memory: int | str | None = None,
    tile: int | None = None,
    start: int = 0,
) -> BandPlan:
    """Choose the rows of a band.

    Args:
        kind: of the image.
        demand: of what is to be done to it.
        memory: bytes, or a text such as "512M" or "2G", for the pixels that are on their way.
        tile: rows of a band; None takes as many as fit the memory.
        start: the first row to render, a multiple of the demand's stride.

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
    needed = each * min(rows, kind.height) + fixed
    if needed > budget and (tile is None or memory is not None):
        raise InputError(
            f"{min(rows, kind.height)} rows of {kind.width} pixels need {in_words(needed)} of "
            f"memory while they are worked on; {in_words(budget)} are allowed (memory={memory!r})"
        )
    return BandPlan(kind.height, rows, demand.halo, start)


def _require_tile(tile: Any, stride: int) -> int:
    if not isinstance(tile, int) or isinstance(tile, bool) or tile < 1:
        raise InputError(f"tile is {tile!r}; expected a whole number of rows from 1")
    if tile < stride or tile % stride:
        raise InputError(f"tile is {tile}; expected a multiple of {stride}")
    return tile


def parse_memory(memory: Any) -> int:
    """Bytes that "2G", "512M", a plain number or None (`DEFAULT_MEMORY`) stand for.

    Raises:
        InputError: no such number.
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


def in_words(size: float) -> str:
    """A number of bytes as text: 1.5 GB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1024:
            return f"{size:.3g} {unit}"
        size /= 1024
    return f"{size:.4g} TB"


def guided_demand(kind: Kind) -> Demand:
    """What `Guided` asks for, known before the survey."""
    channels = kind.width * (kind.colours + (kind.alpha >= 0))
    row = channels * kind.dtype.itemsize
    # Half floats and linear light are worked on as float32 copies; where a panorama's columns
    # begin again, its parts are worked on as copies.
    wide = kind.dtype == np.float16 or kind.linear
    return Demand(0, 1, row, row, (20 * channels if wide else 2 * row))


@dataclass(frozen=True)
class Guided:
    """Bands of the corrected image, in guided detail."""

    scene: Scene
    strength: Strength
    row_shape: tuple[int, ...]

    @property
    def demand(self) -> Demand:
        """See `BandRenderer`."""
        return guided_demand(self.scene.kind)

    @property
    def dtype(self) -> np.dtype[Any]:
        """See `BandRenderer`."""
        return self.scene.kind.dtype

    def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
        """See `BandRenderer`."""
        render(self.scene, pixels, Window(band.start), self.strength, out)


@dataclass(frozen=True)
class Radiance:
    """Bands of the HDR estimate: float32 rows W×3, gray in all three channels."""

    scene: Scene
    grid: ToneGrid

    @property
    def demand(self) -> Demand:
        """See `BandRenderer`."""
        wide = 4 * 3 * self.scene.kind.width
        return Demand(0, 1, guided_demand(self.scene.kind).row_in, wide, 4 * wide)

    @property
    def row_shape(self) -> tuple[int, ...]:
        """See `BandRenderer`."""
        return (self.scene.kind.width, 3)

    @property
    def dtype(self) -> np.dtype[Any]:
        """See `BandRenderer`."""
        return np.dtype(np.float32)

    def __call__(self, pixels: Image, top: int, band: slice, out: Image) -> None:
        """See `BandRenderer`."""
        out[...] = as_channels(render_radiance(self.scene, self.grid, pixels, Window(band.start)))
