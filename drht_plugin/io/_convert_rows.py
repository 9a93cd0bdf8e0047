"""Convert rows of pixels to another dtype, transfer or number of channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.transfer import srgb_decode, srgb_encode
from drht_plugin.colour.primaries import apply_matrix
from drht_plugin.colour.spaces import ColourSpace
from drht_plugin.io._dither import dithered
from drht_plugin.io._pixels import Pixels, as_half, expand_bits
from drht_plugin.io._rows import Writer

Light = Callable[[Pixels], Pixels]
"""R×C×1 or R×C×3 floats to other floats of the same shape."""


def widened(pixels: Pixels, dtype: np.dtype[Any]) -> Pixels:
    """Convert pixels to a dtype that holds all their values exactly, or floats to float32 rounding.

    Args:
        pixels: of uint8, uint16, float16 or float32.
        dtype: uint16 for whole numbers, or float32.
    """
    if pixels.dtype == dtype:
        return pixels
    if dtype == np.uint16:
        return pixels.astype(np.uint16) * np.uint16(257)
    return unit_values(pixels)


def unit_values(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return pixels as float32, white at 1."""
    if pixels.dtype.kind == "u":
        return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    return pixels.astype(np.float32)


def to_linear_srgb(space: ColourSpace) -> Light:
    """Return a function from display codes of a space to linear sRGB.

    Codes beyond 0..1 go on by sRGB's curve, which is odd.
    """

    def convert(codes: Pixels) -> Pixels:
        inside = codes.clip(0, 1)
        light = space.decode(inside)
        beyond = codes != inside
        if beyond.any():
            light = np.where(beyond, srgb_decode(codes.astype(np.float64)), light)
        linear = space.to_srgb(light)[..., : codes.shape[2]]
        return linear.astype(np.float32)

    return convert


def to_display(matrix: npt.NDArray[Any] | None) -> Light:
    """Return a function from linear light to codes of sRGB's curve.

    Args:
        matrix: applied to linear RGB first, 3×3; None for nothing.
    """

    def convert(light: Pixels) -> Pixels:
        if matrix is not None and light.shape[2] == 3:
            light = apply_matrix(matrix, light)
        return srgb_encode(light.astype(np.float64)).astype(np.float32)

    return convert


@dataclass(frozen=True)
class Steps:
    """What is done to rows, in the order of the attributes.

    Attributes:
        ground: colour that pixels are laid over, by alpha, in the rows' own values with white at 1,
            one for each colour channel; None keeps or lacks alpha.
        light: changes the transfer or the colours of the colour channels; None for nothing.
        to_rgb: whether gray is repeated for red, green and blue.
        dtype: of the result.
        bits: of whole numbers. Those of fewer bits than the dtype's are stretched to its range.
        dither: whether rounding to whole numbers is dithered.
        least: value that linear results are at least; None for no limit.
    """

    ground: tuple[float, ...] | None
    light: Light | None
    to_rgb: bool
    dtype: np.dtype[Any]
    bits: int
    dither: bool
    least: float | None = None

    def apply(self, rows: Pixels, top: int, clipped: Clipped) -> Pixels:
        """Convert rows.

        Args:
            rows: R×C×K.
            top: row of the picture that they start at.
            clipped: counts the values that are clipped.
        """
        if rows.dtype == self.dtype and not (self.ground or self.light or self._recode(rows)):
            return self._channels(rows)
        values = unit_values(rows)
        if self.ground is not None:
            values = _over(values, np.array(self.ground, np.float32))
        if self.light is not None:
            colours = values.shape[2] - (values.shape[2] in (2, 4))
            light = self.light(values[..., :colours])
            values = np.concatenate([light, values[..., colours:]], -1)
        return self._channels(self._store(values, top, clipped))

    def _recode(self, rows: Pixels) -> bool:
        return self.dtype.kind == "u" and self.bits < 8 * rows.dtype.itemsize

    def _channels(self, rows: Pixels) -> Pixels:
        if not self.to_rgb:
            return rows
        return np.concatenate([rows[..., :1].repeat(3, -1), rows[..., 1:]], -1)

    def _store(self, values: Pixels, top: int, clipped: Clipped) -> Pixels:
        if self.dtype.kind == "f":
            if self.least is not None:
                clipped.count(values < self.least)
                values = np.maximum(values, np.float32(self.least))
            return as_half(values) if self.dtype == np.float16 else values
        clipped.count((values < 0) | (values > 1))
        values = values.clip(0, 1)
        most = (1 << self.bits) - 1
        if self.dither:
            numbers = dithered(values, most, top)
        else:
            numbers = np.rint(values.astype(np.float64) * most).astype(np.uint16)
        if self.bits < 8 * self.dtype.itemsize:
            return expand_bits(numbers << np.uint16(16 - self.bits), self.bits)
        return numbers.astype(self.dtype)


def _over(values: Pixels, ground: Pixels) -> Pixels:
    """Lay pixels over a ground by their last channel."""
    alpha = values[..., -1:].clip(0, 1)
    laid: Pixels = values[..., :-1] * alpha + ground * (1 - alpha)
    return laid


@dataclass
class Clipped:
    """How many of the values that were stored had to be clipped."""

    values: int = 0
    of: int = 0

    def count(self, outside: npt.NDArray[np.bool_]) -> None:
        """Add values; `outside` tells which were clipped."""
        self.values += int(np.count_nonzero(outside))
        self.of += outside.size


@dataclass
class StepsWriter:
    """Writer that converts rows before another writer stores them; see `_rows.Writer`."""

    target: Writer
    steps: Steps
    clipped: Clipped = field(default_factory=Clipped)
    row: int = 0

    def write(self, rows: Pixels) -> None:
        """Convert and write the next rows."""
        self.target.write(self.steps.apply(rows, self.row, self.clipped))
        self.row += len(rows)

    def finish(self) -> None:
        """Complete the file."""
        self.target.finish()

    def close(self) -> None:
        """Close an unfinished file."""
        self.target.close()
