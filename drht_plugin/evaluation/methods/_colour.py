"""Brightness of a colour picture, and changing it without changing the colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.methods._entry import Picture, Plane

WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""BT.709: luminance of linear R, G, B; luma of encoded ones."""


def luma(picture: Picture) -> Plane:
    """H×W×3 to H×W: luminance of linear values, luma of encoded ones."""
    # The weights sum to 1 only up to rounding; a gray must not come out brighter than itself.
    result: Plane = np.clip(picture @ WEIGHTS, picture.min(-1), picture.max(-1))
    return result


def with_brightness(
    picture: Picture, old: Plane, new: NDArray[np.floating], floor: float = 1e-6
) -> Picture:
    """The picture with each pixel scaled by new / old, so that channel ratios stay.

    floor: smallest `old` that is divided by; below it the gain stops growing, so black stays black.
    """
    gain = new / np.maximum(old, floor)
    return (picture * gain[..., None]).astype(np.float32)
