"""Bicubic resizing with the conventions that HDR-VDP-2's calibration was made with."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._packages import load

Array = NDArray[np.float64]


def resized(plane: Array, shape: tuple[int, int]) -> Array:
    """Resize an H×W plane by Keys' cubic (a = -½), widened where it shrinks, mirrored at edges.

    These are the conventions of MATLAB's imresize: outer edges aligned, edge pixels repeated.
    """
    if plane.shape == shape:
        return plane
    down = _weights(plane.shape[0], shape[0])
    across = _weights(plane.shape[1], shape[1])
    return np.asarray((across @ (down @ plane).T).T, dtype=np.float64)


def _weights(source: int, target: int) -> Any:
    """Sparse target×source matrix of the resampling along one axis."""
    scale = target / source
    shrink = min(scale, 1.0)
    width = 4 / shrink
    centre = (np.arange(target) + 0.5) / scale - 0.5
    first = np.floor(centre - width / 2).astype(np.int64)
    taps = first[:, None] + np.arange(int(np.ceil(width)) + 2)
    weights = _cubic(shrink * (centre[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    inside = taps % (2 * source)
    columns = np.minimum(inside, 2 * source - 1 - inside)
    rows = np.broadcast_to(np.arange(target)[:, None], taps.shape)
    entries = (weights.ravel(), (rows.ravel(), columns.ravel()))
    return load("scipy.sparse").csr_array(entries, shape=(target, source))


def _cubic(distance: Array) -> Array:
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
