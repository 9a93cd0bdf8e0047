"""Coarse codes to what they may have stood for.

A code of 8 bits stands for all light within a step. In smooth dark parts of a picture these steps
are wide plateaus, which show as bands once they are lifted by some EV. Averaged over neighbours
that are within little more than a step, and held within the step that each code stands for
(projections onto convex sets), plateaus become the slopes that they came from. Nothing changes by
more than half a code, and nothing at all where there is texture.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

_DISTANCES = (32, 16, 8, 4, 2, 1)
_NEAR = 1.3
"""Largest difference, in codes, of neighbours on one slope."""

_SMOOTH, _TEXTURE = 0.12, 0.2
"""Mean difference of neighbours, in codes, of a slope and of texture. What averages eight pixels of
each plateau or more is a slope."""

_REACH = 2


def slope_mask(picture: FloatArray, codes: float, *, wrap: bool) -> FloatArray:
    """How far each value of `picture`, h×w×n in 0..1, belongs to a smooth slope: h×w×1, 0..1.

    codes: steps from 0 to 1; wrap: columns are periodic.
    """
    steps = np.zeros(picture.shape[:2], np.float32)
    for axis in (0, 1):
        steps += np.abs(_shift(picture, 1, axis, wrap) - picture).max(-1)
    for axis in (0, 1):
        steps = np.sum([_shift(steps, k, axis, wrap) for k in range(-_REACH, _REACH + 1)], 0)
    mean = steps * np.float32(codes / (2 * (2 * _REACH + 1) ** 2))
    return ((_TEXTURE - mean) / (_TEXTURE - _SMOOTH)).clip(0, 1).astype(np.float32)[..., None]


def dequantise(picture: FloatArray, codes: float, *, wrap: bool) -> FloatArray:
    """Smooth slopes of what was cut into steps.

    Args:
        picture: h×w×n display-encoded float32 in 0..1.
        codes: steps from 0 to 1.
        wrap: columns are periodic.

    Returns:
        As `picture`, each value within half a step of what it was, and in 0..1.
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
    """What lies `shift` further along an axis, held at the ends."""
    count = picture.shape[axis]
    index = np.arange(count) + shift
    index = index % count if wrap and axis == 1 else index.clip(0, count - 1)
    return picture.take(index, axis)
