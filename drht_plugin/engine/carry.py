"""Where T lifts a shadow by much, its detail is the input's, carried by a smooth gain.

The networks draw what they lift anew, and blur it; fitted to that, the tone grid blurs too. So the
gain from the input's luma to T's is smoothed by a guided filter (He, Sun, Tang, "Guided Image
Filtering", 2013), which keeps its edges where the input has them, and applied to the input.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]

_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)

_RADIUS = 8
"""Of the filter's window, in overview pixels."""

_EDGE = 0.03
"""Variance of log luma from which on something is an edge."""

_BLACK = 2 / 255
"""What is added to luma before its logarithm is taken: next to black there is noise only."""

_FROM, _TO = 0.7, 1.6
"""Natural logarithms of the gain of codes from which on, and at which, detail is the input's."""


def carried(ldr: FloatArray, corrected: FloatArray, *, wrap: bool) -> FloatArray:
    """T with the input's local contrast where it lifts luma by a factor of 2 and more.

    ldr, corrected: h×w×3, display-encoded in 0..1. wrap: columns are periodic.
    """
    luma = (corrected @ _LUMA).astype(np.float64)
    before, after = np.log(ldr @ _LUMA + _BLACK), np.log(luma + _BLACK)
    gain = after - before
    share = ((gain - _FROM) / (_TO - _FROM)).clip(0, 1)
    if not share.any():
        return corrected
    smooth = _guided(before.astype(np.float64), gain, wrap)
    wanted = (luma + _BLACK) * np.exp(share * (smooth - gain)) - _BLACK
    factor = np.maximum(wanted, 0) / np.maximum(luma, 1e-4)
    return (corrected * factor[..., None]).clip(0, 1).astype(np.float32)


def _guided(guide: Plane, plane: Plane, wrap: bool) -> Plane:
    """The plane, smoothed but for edges that the guide has too."""
    mean, wanted = _mean(guide, wrap), _mean(plane, wrap)
    variance = _mean(guide * guide, wrap) - mean**2
    slope = (_mean(guide * plane, wrap) - mean * wanted) / (variance + _EDGE)
    offset = wanted - slope * mean
    return _mean(slope, wrap) * guide + _mean(offset, wrap)


def _mean(plane: Plane, wrap: bool) -> Plane:
    """Mean over windows of 2·radius + 1 pixels each way; mirrored at edges, or periodic."""
    across: Literal["wrap", "symmetric"] = "wrap" if wrap else "symmetric"
    for axis in (0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = (_RADIUS + 1, _RADIUS)
        sums = np.pad(plane, pads, mode=across if axis else "symmetric").cumsum(axis)
        count, width = plane.shape[axis], 2 * _RADIUS + 1
        last, first = np.arange(width, width + count), np.arange(count)
        plane = (sums.take(last, axis) - sums.take(first, axis)) / width
    return plane
