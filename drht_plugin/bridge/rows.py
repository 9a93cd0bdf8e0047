"""Flat views of image windows, so that kernels see one type of array.

Numba compiles a kernel for each type of array. A view into an image is another type than a whole
image, and a read-only view yet another. A flat array with the distance between its rows serves all.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

Array = npt.NDArray[Any]


def flat_rows(pixels: Array) -> tuple[Array, int]:
    """Return pixels as a flat read-only array, and the elements from one row to the next.

    Copies only if the pixels of a row are not adjacent in memory.

    Args:
        pixels: R×W×C.
    """
    if not has_plain_rows(pixels):
        pixels = np.ascontiguousarray(pixels)
    flat, pitch = flat_target(pixels)
    return read_only(flat), pitch


def read_only(array: Array) -> Array:
    """Return a contiguous read-only view or copy of an array.

    Args:
        array: array of any shape.
    """
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def has_plain_rows(pixels: Array) -> bool:
    """Return whether each row is contiguous, and rows go down by whole elements.

    Args:
        pixels: R×W×C.
    """
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
    """Return pixels with plain rows as a flat array to write to, and the elements from row to row.

    Args:
        pixels: R×W×C, see `has_plain_rows`.
    """
    rows, columns, channels = pixels.shape
    row = columns * channels
    pitch = pixels.strides[0] // pixels.itemsize if rows > 1 else row
    return as_strided(pixels, ((rows - 1) * pitch + row,), (pixels.itemsize,)), pitch
