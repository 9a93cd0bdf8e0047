"""Average the light of rows, as they are rendered, to the size of a gain map."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge.transfer import LUMA_WEIGHTS
from drht_plugin.colour.spaces import ColourSpace
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.source import Sink

Image = npt.NDArray[Any]
FloatArray = npt.NDArray[np.float32]

MOST_PIXELS = 1 << 20
"""Pixels that a gain map may have. Of larger pictures it is a whole number of times smaller."""


def map_size(height: int, width: int) -> tuple[int, int]:
    """Return height and width of the gain map of a picture, in pixels."""
    factor = max(1, math.isqrt(height * width // MOST_PIXELS))
    while -(-height // factor) * -(-width // factor) > MOST_PIXELS:
        factor += 1
    return -(-height // factor), -(-width // factor)


class MeanLuminance:
    """Sink that averages luminance over the pixels of a gain map.

    Args:
        height: rows of the picture.
        width: columns of the picture.
        luminance: R×W×C rows to their luminance, R×W float32.

    Attributes:
        shape: H×W.
    """

    def __init__(self, height: int, width: int, luminance: Callable[[Image], FloatArray]) -> None:
        self.shape = height, width
        self._luminance = luminance
        rows, columns = map_size(height, width)
        self._starts = _starts(width, columns)
        self._cells = np.searchsorted(_starts(height, rows), np.arange(height), "right") - 1
        self._sums = np.zeros((rows, columns))

    def __setitem__(self, rows: slice, pixels: Image) -> None:
        """Take rows ``top:bottom``, in any order, each once."""
        cells = self._cells[rows]
        sums = np.add.reduceat(self._luminance(pixels), self._starts, axis=1, dtype=np.float64)
        firsts = np.flatnonzero(np.diff(cells, prepend=-1))
        self._sums[cells[firsts]] += np.add.reduceat(sums, firsts, axis=0)

    def mean(self) -> FloatArray:
        """Return the mean luminance, h×w float32, once all rows have been taken."""
        columns = np.diff(self._starts, append=self.shape[1])
        rows = np.bincount(self._cells)
        return (self._sums / (rows[:, None] * columns)).astype(np.float32)


def _starts(length: int, cells: int) -> npt.NDArray[np.int64]:
    """Return the first pixel of each cell, where a pixel belongs to the cell that its centre is in.

    The cells share the length evenly, as a viewer stretches the map over the picture.
    """
    return -((cells - 2 * length * np.arange(cells)) // (2 * cells))


class Tee:
    """Sink of an HDR estimate's rows, R×W×3 float32, that hands them to several sinks.

    Args:
        spec: the picture's spec.
        sinks: each takes the rows.
    """

    def __init__(self, spec: ImageSpec, *sinks: Sink) -> None:
        self.shape, self.dtype = (spec.height, spec.width, 3), np.dtype(np.float32)
        self._sinks = sinks

    def __setitem__(self, rows: slice, pixels: Image) -> None:
        """Hand on rows ``top:bottom``."""
        for sink in self._sinks:
            sink[rows] = pixels


def light_of(spec: ImageSpec, space: ColourSpace) -> Callable[[Image], FloatArray]:
    """Return the function from a picture's pixels to their linear light.

    Args:
        spec: the picture's spec.
        space: colour space of its codes.

    Returns:
        Function from R×W×C pixels to R×W×colours float32; white is 1.
    """
    colours = spec.colours
    if spec.dtype.kind == "f":

        def of_floats(pixels: Image) -> FloatArray:
            values = pixels[..., :colours].astype(np.float64)
            return (values if spec.linear else space.decode(values)).astype(np.float32)

        return of_floats
    codes = np.linspace(0, 1, int(spec.white) + 1)[:, None].repeat(colours, 1)
    tables = (codes if spec.linear else space.decode(codes)).astype(np.float32)

    def of_codes(pixels: Image) -> FloatArray:
        return np.stack([tables[:, c][pixels[..., c]] for c in range(colours)], -1)

    return of_codes


def luminance_of(spec: ImageSpec, space: ColourSpace) -> Callable[[Image], FloatArray]:
    """Return the function from pixels to their luminance, R×W float32; see `light_of`."""
    light = light_of(spec, space)
    weights = np.array(LUMA_WEIGHTS if spec.colours == 3 else (1.0,), np.float32)
    return lambda pixels: light(pixels) @ weights


def opacity_of(spec: ImageSpec) -> Callable[[Image], FloatArray]:
    """Return the function from a picture's pixels to their opacity, R×W float32 in 0..1."""
    white = np.float32(spec.white)
    return lambda pixels: pixels[..., spec.alpha].astype(np.float32) / white


def radiance_luminance(rows: Image) -> FloatArray:
    """Return the luminance of scene-linear rows R×W×3, R×W float32."""
    return rows @ np.array(LUMA_WEIGHTS, np.float32)
