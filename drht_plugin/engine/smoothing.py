"""Smooth planes of numbers: box means, and the guided filter made of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float64]


def guided_filter(
    guide: Plane, plane: Plane, radius: int, edge: float | Plane, wrap: bool
) -> Plane:
    """Smooth a plane except at edges of a guide (He, Sun, Tang, "Guided Image Filtering", 2010).

    Args:
        guide: h×w.
        plane: h×w.
        radius: of the windows, in pixels; not larger than the plane.
        edge: variance of the guide above which there is an edge.
        wrap: whether columns are periodic.

    Returns:
        h×w.
    """
    mean, wanted = box_mean(guide, radius, wrap), box_mean(plane, radius, wrap)
    variance = np.maximum(box_mean(guide * guide, radius, wrap) - mean**2, 0)
    slope = (box_mean(guide * plane, radius, wrap) - mean * wanted) / (variance + edge)
    offset = wanted - slope * mean
    return box_mean(slope, radius, wrap) * guide + box_mean(offset, radius, wrap)


def box_mean(plane: Plane, radius: int, wrap: bool) -> Plane:
    """Return means over windows of 2·radius + 1 pixels each way, mirrored at edges or periodic.

    Args:
        plane: h×w.
        radius: in pixels; not larger than the plane.
        wrap: whether columns are periodic.
    """
    across: Literal["wrap", "symmetric"] = "wrap" if wrap else "symmetric"
    width = 2 * radius + 1
    for axis in (0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = (radius + 1, radius)
        sums = np.pad(plane, pads, mode=across if axis else "symmetric").cumsum(axis)
        count = plane.shape[axis]
        last, first = np.arange(width, width + count), np.arange(count)
        plane = (sums.take(last, axis) - sums.take(first, axis)) / width
    return plane
