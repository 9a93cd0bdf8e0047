"""Windows of an image as the kernels take them: one type of array for every way to hold pixels.

Kernels are compiled for each type that they are given. A flat, read-only array and the distance of
its rows stand for a whole image, a view into one and a memory map alike.
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
    if not _has_plain_rows(pixels):
        pixels = np.ascontiguousarray(pixels)
    flat, pitch = _flat(pixels)
    flat.flags.writeable = False
    return flat, pitch


def _has_plain_rows(pixels: Array) -> bool:
    """Whether each row is contiguous, and rows are whole elements apart, from top to bottom."""
    rows, columns, channels = pixels.shape
    item = pixels.itemsize
    down, across, between = pixels.strides
    return (
        pixels.flags.aligned
        and (channels == 1 or between == item)
        and (columns == 1 or across == channels * item)
        and (rows == 1 or (down >= 0 and down % item == 0))
    )


def _flat(pixels: Array) -> tuple[Array, int]:
    rows, columns, channels = pixels.shape
    row = columns * channels
    pitch = pixels.strides[0] // pixels.itemsize if rows > 1 else row
    return as_strided(pixels, ((rows - 1) * pitch + row,), (pixels.itemsize,)), pitch
