"""Overlapping tiles: how an axis is cut, as pure geometry.

On an axis of `length` pixels a tile starts at every multiple of `step`. The span from there to
where the next tile starts is its *core*. The span in which it is visible is its *support*: the core
and `ramp` more pixels, over which it fades out while the next tile fades in. Around its support a
tile sees a *halo* of pixels whose results are discarded. So of the overlap of two tiles the outer
part is halo and the inner part ramp.

Tiles lie at fixed places of the image, so that every window gets the same tiles. On a periodic axis
(the columns of a 360° panorama) the last tile fades into the first, and positions are counted
modulo `length`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from drht_plugin.errors import InputError
from drht_plugin.geometry import Region


@dataclass(frozen=True)
class Piece:
    """Part of a tile that is visible in a span.

    Attributes:
        tile: number of the tile.
        start: first position of the part, on the tile's own axis.
        stop: position after the last.
        shift: offset from these positions to the span's, a multiple of the axis' length.
    """

    tile: int
    start: int
    stop: int
    shift: int


@dataclass(frozen=True)
class Axis:
    """Cut of one axis into tiles.

    Attributes:
        length: pixels of the axis.
        step: distance from tile to tile, in pixels.
        ramp: pixels over which a tile fades out; even, and less than `step`.
        wrap: whether the axis is periodic.

    Raises:
        InputError: a length, step or ramp outside of these.
    """

    length: int
    step: int
    ramp: int
    wrap: bool

    def __post_init__(self) -> None:
        if self.length < 1:
            raise InputError(f"an axis of {self.length} pixels; expected at least 1")
        if self.ramp < 0 or self.ramp % 2 or self.step <= self.ramp:
            raise InputError(
                f"tiles {self.step} apart fade over {self.ramp} pixels; expected an even number "
                "of pixels below their distance"
            )

    @property
    def count(self) -> int:
        """Number of tiles; each starts more than a ramp before the axis ends."""
        return max(1, math.ceil((self.length - self.ramp) / self.step))

    @property
    def _fades(self) -> bool:
        """Whether the last tile fades into the first; not so in a turn shorter than the ramp."""
        return self.wrap and self.length >= self.ramp

    def core(self, tile: int) -> tuple[int, int]:
        """Return where a tile starts, and where the next tile starts or the axis ends.

        The cores partition the axis. In one, only its own tile and the one before it are visible.

        Args:
            tile: number of the tile.
        """
        last = self.length if tile == self.count - 1 else (tile + 1) * self.step
        return tile * self.step, last

    def support(self, tile: int) -> tuple[int, int]:
        """Return the first position where a tile is visible, and the one after the last.

        Args:
            tile: number of the tile.
        """
        first, last = self.core(tile)
        return first, last + self.ramp if tile < self.count - 1 or self._fades else last

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """Yield the visible parts of tiles in positions start..stop−1, in the order of the tiles.

        Args:
            start: first position.
            stop: position after the last.
        """
        for tile in range(self.count):
            first, last = self.support(tile)
            shifts = [0]
            if self.wrap:
                # Every turn of the axis on which the support meets the span.
                least = math.floor((start - last) / self.length) + 1
                most = math.ceil((stop - first) / self.length) - 1
                shifts = [turn * self.length for turn in range(least, most + 1)]
            for shift in shifts:
                low, high = max(start - shift, first), min(stop - shift, last)
                if low < high:
                    yield Piece(tile, low, high, shift)

    def weights(self, piece: Piece) -> npt.NDArray[np.float32]:
        """Return the weight of a tile at each position of a piece; those of all tiles sum to 1.

        Args:
            piece: visible part of the tile.

        Returns:
            One float32 in 0..1 for each position.
        """
        at = np.arange(piece.start, piece.stop) + 0.5
        first, next_first = self.core(piece.tile)
        weights = np.ones(len(at))
        if self.ramp and (piece.tile > 0 or self._fades):
            weights *= _fade((at - first) / self.ramp)
        if self.ramp and next_first < self.support(piece.tile)[1]:
            weights *= 1 - _fade((at - next_first) / self.ramp)
        return weights.astype(np.float32)

    def to_pixels(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Map any positions to pixels of the axis: modulo its length, or mirrored at its ends.

        Args:
            positions: int64, of any value.

        Returns:
            int64 in 0..length−1.
        """
        if self.wrap:
            return positions % self.length
        period = max(1, 2 * (self.length - 1))
        folded = positions % period
        return np.minimum(folded, period - folded) if self.length > 1 else folded * 0


def _fade(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Rise from 0 to 1 without a corner, as sin²."""
    return np.sin(share.clip(0, 1) * (math.pi / 2)) ** 2


@dataclass(frozen=True)
class Tiling:
    """How an image is cut into the tiles that a network sees.

    Attributes:
        rows: cut of the rows.
        columns: cut of the columns.
        halo: pixels around its support that a tile sees too.
        stride: tiles start at multiples of this many pixels.
    """

    rows: Axis
    columns: Axis
    halo: int
    stride: int

    def windows(self) -> Iterator[Region]:
        """Yield one window for each tile, row by row; together they partition the image.

        A window is the core of its tile: earlier tiles are visible in it too, later ones are not.
        """
        for down in range(self.rows.count):
            top, bottom = self.rows.core(down)
            for across in range(self.columns.count):
                left, right = self.columns.core(across)
                yield Region(top, left, bottom - top, right - left)


def tiling(
    height: int, width: int, tile: int, *, halo: int, ramp: int, stride: int, wrap: bool
) -> Tiling:
    """Cut an image so that no tile is larger than `tile`, halo included.

    Args:
        height: height of the image in pixels.
        width: width of the image in pixels.
        tile: largest side of a tile in pixels, halo included.
        halo: pixels around its support that a tile sees too; a multiple of `stride`.
        ramp: pixels over which tiles fade; a multiple of twice the `stride`.
        stride: tiles start at multiples of this many pixels.
        wrap: whether columns are periodic.

    Returns:
        The tiling.

    Raises:
        InputError: an empty image, a halo or ramp outside of these, or a tile that is too small for
            halo, two ramps and a stride.
    """
    if height < 1 or width < 1:
        raise InputError(f"an image of {height}×{width} pixels; expected at least 1×1")
    if halo < 0 or halo % stride or ramp < 0 or ramp % (2 * stride):
        raise InputError(
            f"a halo of {halo} and an overlap of {ramp} pixels; expected multiples of {stride} "
            f"and {2 * stride} from 0"
        )
    step = (tile - 2 * halo - 2 * ramp) // stride * stride
    least = 2 * halo + 2 * ramp + max(stride, ramp + stride)
    if tile < least:
        raise InputError(f"tile is {tile}; expected at least {least} pixels")
    return Tiling(Axis(height, step, ramp, False), Axis(width, step, ramp, wrap), halo, stride)
