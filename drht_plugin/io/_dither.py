"""Round floats to whole numbers with a fixed pattern, so that smooth slopes do not band.

The pattern is Martin Roberts' R2 sequence over the rows and columns of the picture. Its values lie
far from their neighbours', so that the errors are of high frequency, as in blue noise. It depends
on nothing but the place of a pixel: the same picture gives the same bits, by whatever bands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_DOWN, _ACROSS = 2447445414, 3242174889
"""Steps of the R2 sequence, 1/p² and 1/p for p³ = p + 1, in units of 2⁻³²."""

_LEVELS = 256


def thresholds(top: int, rows: int, columns: int) -> npt.NDArray[np.float32]:
    """Return what is added to each pixel before it is rounded down.

    Args:
        top: row of the picture that the thresholds start at.
        rows: how many.
        columns: how many.

    Returns:
        rows×columns×1 float32 inside 0..1. All channels share a pixel's threshold, so that gray
        stays gray. None is near 0 or 1, so that whole numbers stay as they are.
    """
    down = np.arange(top, top + rows, dtype=np.uint64) * _DOWN
    across = np.arange(columns, dtype=np.uint64) * _ACROSS
    levels = ((down[:, None] + across) & 0xFFFFFFFF) >> 24
    return ((levels + np.float32(0.5)) / np.float32(_LEVELS)).astype(np.float32)[..., None]


def dithered(values: npt.NDArray[np.floating], most: int, top: int) -> npt.NDArray[np.uint16]:
    """Scale values in 0..1 to whole numbers from 0 to `most`, with the pattern.

    Args:
        values: R×C×K, in 0..1.
        most: the number of 1.0, up to 65535.
        top: row of the picture that the values start at.

    Returns:
        R×C×K uint16.
    """
    scaled = values.astype(np.float64) * most
    scaled += thresholds(top, *values.shape[:2])
    return np.minimum(scaled, most).astype(np.uint16)
