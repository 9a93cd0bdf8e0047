"""Brightness of a colour picture, and changes of it that keep the colour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.methods._entry import Picture, Plane

WEIGHTS = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""BT.709 weights of R, G, B."""


def luma(picture: Picture) -> Plane:
    """Return the luma of encoded values, or the luminance of linear ones.

    Args:
        picture: H×W×3.

    Returns:
        H×W.
    """
    # The weights sum to 1 only up to rounding, but grey must keep its value.
    result: Plane = np.clip(picture @ WEIGHTS, picture.min(-1), picture.max(-1))
    return result


def with_brightness(
    picture: Picture, old: Plane, new: NDArray[np.floating], floor: float = 1e-6
) -> Picture:
    """Scale each pixel by new / old, which keeps the ratios of its channels.

    Args:
        picture: H×W×3.
        old: H×W brightness of the picture.
        new: H×W wanted brightness.
        floor: smallest divisor; it limits the gain, so that black stays black.

    Returns:
        H×W×3 float32.
    """
    gain = new / np.maximum(old, floor)
    return (picture * gain[..., None]).astype(np.float32)
