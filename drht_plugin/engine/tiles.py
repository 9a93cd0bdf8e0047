"""How an axis is cut into overlapping tiles: geometry only, no pixels.

An axis of `length` pixels has a tile at every multiple of `step`. What a tile shows, its
*support*, reaches from there to `ramp` pixels beyond where the next one begins; over these pixels
it fades out as the next fades in. Around its support a tile sees `halo` pixels more, which are
discarded. The outer part of what two tiles share is thus halo, the inner part ramp.

The tiles lie at fixed places of the image, so that a window gets the same tiles whichever window
is asked for first. On a periodic axis (the columns of a 360° panorama) the last tile fades into
the first; positions there are counted modulo `length`.
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
    """The part of tile `tile` that shows in a span, in the tile's own positions.

    start..stop−1, which lie `shift` pixels (a multiple of the length) before the span's.
    """

    tile: int
    start: int
    stop: int
    shift: int


@dataclass(frozen=True)
class Axis:
    """The cut of one axis; see the module."""

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
        """Number of tiles; each begins more than a ramp before the axis ends."""
        return max(1, math.ceil((self.length - self.ramp) / self.step))

    @property
    def _fades(self) -> bool:
        """Whether the last tile fades into the first: a turn shorter than the ramp does not."""
        return self.wrap and self.length >= self.ramp

    def core(self, tile: int) -> tuple[int, int]:
        """Where the tile begins, and where the next one does or the axis ends.

        These spans part the axis; what shows in one are its own tile and the one before it.
        """
        last = self.length if tile == self.count - 1 else (tile + 1) * self.step
        return tile * self.step, last

    def support(self, tile: int) -> tuple[int, int]:
        """First position that shows, and the one after the last."""
        first, last = self.core(tile)
        return first, last + self.ramp if tile < self.count - 1 or self._fades else last

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """The tiles that show in positions start..stop−1, by their number."""
        for tile in range(self.count):
            first, last = self.support(tile)
            shifts = [0]
            if self.wrap:
                # All the turns by which the support meets the span.
                least = math.floor((start - last) / self.length) + 1
                most = math.ceil((stop - first) / self.length) - 1
                shifts = [turn * self.length for turn in range(least, most + 1)]
            for shift in shifts:
                low, high = max(start - shift, first), min(stop - shift, last)
                if low < high:
                    yield Piece(tile, low, high, shift)

    def weights(self, piece: Piece) -> npt.NDArray[np.float32]:
        """How much the tile counts at each position of a piece; over all tiles the sum is 1."""
        at = np.arange(piece.start, piece.stop) + 0.5
        first, next_first = self.core(piece.tile)
        weights = np.ones(len(at))
        if self.ramp and (piece.tile > 0 or self._fades):
            weights *= _fade((at - first) / self.ramp)
        if self.ramp and next_first < self.support(piece.tile)[1]:
            weights *= 1 - _fade((at - next_first) / self.ramp)
        return weights.astype(np.float32)

    def to_pixels(self, positions: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Positions of any value → of pixels: modulo the length, or mirrored at the borders."""
        if self.wrap:
            return positions % self.length
        period = max(1, 2 * (self.length - 1))
        folded = positions % period
        return np.minimum(folded, period - folded) if self.length > 1 else folded * 0


def _fade(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """0 to 1 over a ramp, without a corner: sin²."""
    return np.sin(share.clip(0, 1) * (math.pi / 2)) ** 2


@dataclass(frozen=True)
class Tiling:
    """How an image is cut into tiles that a network sees.

    rows, columns: the cuts. halo: pixels around what a tile shows that it sees as well. stride:
    tiles begin at its multiples.
    """

    rows: Axis
    columns: Axis
    halo: int
    stride: int

    def windows(self) -> Iterator[Region]:
        """Windows that part the image, one for each tile, by rows.

        A window ends where the next tile begins: it shows its own tile, and ones before it.
        """
        for down in range(self.rows.count):
            top, bottom = self.rows.core(down)
            for across in range(self.columns.count):
                left, right = self.columns.core(across)
                yield Region(top, left, bottom - top, right - left)


def tiling(
    height: int, width: int, tile: int, *, halo: int, ramp: int, stride: int, wrap: bool
) -> Tiling:
    """Cut an image so that no tile, halo included, is larger than `tile`.

    Raises:
        InputError: a size below 1, or a tile that does not hold its halo, two ramps and a stride.
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
