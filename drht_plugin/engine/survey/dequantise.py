"""Smooth the steps of coarse codes where the picture is a smooth slope.

An 8-bit code stands for all the light within one quantisation step. In smooth dark parts of a
picture the steps are wide plateaus, which show as bands once they are lifted by some EV. Each value
is averaged with neighbours that differ by little more than a step, and then clipped to the range
that its code stands for (projection onto convex sets). That turns plateaus back into slopes.
Nothing changes by more than half a code, and textured parts do not change at all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_DISTANCES = (32, 16, 8, 4, 2, 1)
"""Distances of the neighbours that are averaged, in overview pixels, coarse to fine."""

_NEAR = 1.3
"""Largest difference between neighbours on one slope, in codes."""

_SMOOTH, _TEXTURE = 0.12, 0.2
"""Mean difference between neighbours in a slope and in texture, in codes.

Below the first value all is a slope: plateaus are eight pixels wide or more."""

_REACH = 2
"""Radius of the window in which that mean is taken, in overview pixels."""


def slope_mask(picture: FloatArray, codes: float, *, wrap: bool) -> FloatArray:
    """Return how far each value belongs to a smooth slope.

    Args:
        picture: h×w×n float32 in 0..1, display-encoded.
        codes: quantisation steps from 0 to 1.
        wrap: whether columns are periodic.

    Returns:
        h×w×1 float32 in 0..1; 1 on a slope, 0 in texture.
    """
    steps = np.zeros(picture.shape[:2], np.float32)
    for axis in (0, 1):
        steps += np.abs(_shift(picture, 1, axis, wrap) - picture).max(-1)
    for axis in (0, 1):
        steps = np.sum([_shift(steps, k, axis, wrap) for k in range(-_REACH, _REACH + 1)], 0)
    mean = steps * np.float32(codes / (2 * (2 * _REACH + 1) ** 2))
    return ((_TEXTURE - mean) / (_TEXTURE - _SMOOTH)).clip(0, 1).astype(np.float32)[..., None]


def dequantise(picture: FloatArray, codes: float, *, wrap: bool) -> FloatArray:
    """Smooth the slopes of a picture that was quantised.

    Args:
        picture: h×w×n float32 in 0..1, display-encoded.
        codes: quantisation steps from 0 to 1.
        wrap: whether columns are periodic.

    Returns:
        A picture like the given one. Each value is in 0..1 and within half a step of the input.
    """
    share = slope_mask(picture, codes, wrap=wrap)
    if not share.any():
        return picture
    half = np.float32(0.5 / codes)
    least, most = np.maximum(picture - half, 0), np.minimum(picture + half, 1)
    smooth = picture
    for distance in _DISTANCES:
        for axis in (1, 0):
            total, count = smooth.copy(), np.ones(picture.shape, np.float32)
            for shift in (distance, -distance):
                neighbour = _shift(picture, shift, axis, wrap)
                near = np.abs(neighbour - picture) <= np.float32(_NEAR / codes)
                total += near * _shift(smooth, shift, axis, wrap)
                count += near
            smooth = (total / count).clip(least, most)
    return picture + share * (smooth - picture)


def _shift(picture: FloatArray, shift: int, axis: int, wrap: bool) -> FloatArray:
    """Return the values `shift` pixels further along an axis; the edges are repeated."""
    count = picture.shape[axis]
    index = np.arange(count) + shift
    index = index % count if wrap and axis == 1 else index.clip(0, count - 1)
    return picture.take(index, axis)
