"""Constants and formulas of the bridge and of display encoding, in numpy.

H = 1 is the scene-linear radiance at which the input picture clips. y is H moved into the LDR
domain (Yang et al. 2018, section 3.2): y = ALPHA where the input clips.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

GAMMA = 1 / 2.2
"""Exponent of y = α·H^γ; the released training graph of Yang et al. uses 1/2.2."""

ALPHA = 1.0
"""Factor of y = α·H^γ.

The authors use 1/30 for radiance of up to 1776 times a unit of their own. Here H = 1 is the clip
point, and α = 1 puts it at y = 1, the code at which the input clips."""

DELTA = 1 / 255
"""Offset of the second network's input log(H + δ), as in the authors' training graph."""

H_MAX = 64.0
"""Largest radiance that is estimated, 6 EV above the clip point."""

Y_MAX = ALPHA * H_MAX**GAMMA
"""y of the largest radiance."""

LUMA_WEIGHTS = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B in luma, and in the luminance of linear light (ITU-R BT.709)."""

SRGB_LINEAR_END = 0.0031308
SRGB_CODED_END = 0.04045

FloatArray = npt.NDArray[np.floating]


def srgb_decode(coded: FloatArray) -> FloatArray:
    """Convert display-encoded values to linear light (IEC 61966-2-1), odd in the value.

    Args:
        coded: values of any shape; 1.0 is white.

    Returns:
        Linear light of the same shape; 1.0 is white.
    """
    magnitude = np.abs(coded)
    linear = np.where(
        magnitude <= SRGB_CODED_END,
        magnitude / 12.92,
        ((magnitude + 0.055) / 1.055) ** 2.4,
    )
    return np.copysign(linear, coded)


def srgb_encode(linear: FloatArray) -> FloatArray:
    """Convert linear light to display-encoded values (IEC 61966-2-1), odd in the value.

    Args:
        linear: values of any shape; 1.0 is white.

    Returns:
        Display-encoded values of the same shape; 1.0 is white.
    """
    magnitude = np.abs(linear)
    coded = np.where(
        magnitude <= SRGB_LINEAR_END,
        magnitude * 12.92,
        1.055 * magnitude ** (1 / 2.4) - 0.055,
    )
    return np.copysign(coded, linear)


def to_ldr_domain(radiance: FloatArray) -> FloatArray:
    """Convert H to y = α·H^γ.

    Args:
        radiance: H ≥ 0, of any shape; 1.0 is the clip point.
    """
    return ALPHA * radiance**GAMMA


def to_radiance(y: FloatArray) -> FloatArray:
    """Convert y to H = (max(y, 0)/α)^(1/γ), at most `H_MAX`.

    Args:
        y: values of any shape.
    """
    return np.minimum((np.maximum(y, 0) / ALPHA) ** (1 / GAMMA), H_MAX)


def to_log(radiance: FloatArray) -> FloatArray:
    """Convert H to log(H + δ), the second network's input.

    Args:
        radiance: H ≥ 0, of any shape; 1.0 is the clip point.
    """
    return np.log(radiance + DELTA)
