"""Bicubic resizing with the conventions of HDR-VDP-2's calibration."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

Array = NDArray[np.float64]


def resize_plane(plane: Array, shape: tuple[int, int]) -> Array:
    """Resize a plane by Keys' cubic (a = −½), as MATLAB's imresize does.

    Outer edges are aligned, edge pixels repeated, and the kernel is widened for reductions.

    Args:
        plane: H×W.
        shape: new height and width.

    Returns:
        The resized plane.
    """
    if plane.shape == shape:
        return plane
    down = _weights(plane.shape[0], shape[0])
    across = _weights(plane.shape[1], shape[1])
    return np.asarray((across @ (down @ plane).T).T, dtype=np.float64)


def _weights(source: int, target: int) -> Any:
    """Return the sparse target×source matrix that resamples along one axis."""
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
    return import_optional("scipy.sparse").csr_array(entries, shape=(target, source))


def _cubic(distance: Array) -> Array:
    x = np.abs(distance)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))
