"""Windows of an image as the kernels take them: one type of array for every way to hold pixels.

Kernels are compiled for each type of array that they are given, and a view into an image is another
type than a whole one, a read-only one yet another. A flat array and the distance of its rows
stand for all of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Array = npt.NDArray[Any]


def flat_rows(pixels: Array) -> tuple[Array, int]:
    """R×W×C pixels as a flat read-only array, and the elements from one row to the next.

    Without a copy where the pixels of a row lie side by side.
    """
    if not has_plain_rows(pixels):
        pixels = np.ascontiguousarray(pixels)
    flat, pitch = flat_target(pixels)
    return read_only(flat), pitch


def read_only(array: Array) -> Array:
    """A contiguous read-only view, or copy, of an array."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def has_plain_rows(pixels: Array) -> bool:
    """Whether each row is contiguous, and rows are whole elements apart, from top to bottom."""
    rows, columns, channels = pixels.shape
    item = pixels.itemsize
    down, across, between = pixels.strides
    return (
        pixels.flags.aligned
        and (channels == 1 or between == item)
        and (columns == 1 or across == channels * item)
        and (rows == 1 or (down > 0 and down % item == 0))
    )


def flat_target(pixels: Array) -> tuple[Array, int]:
    """R×W×C pixels with plain rows as `flat_rows` has them, to write to."""
    rows, columns, channels = pixels.shape
    row = columns * channels
    pitch = pixels.strides[0] // pixels.itemsize if rows > 1 else row
    return as_strided(pixels, ((rows - 1) * pitch + row,), (pixels.itemsize,)), pitch
