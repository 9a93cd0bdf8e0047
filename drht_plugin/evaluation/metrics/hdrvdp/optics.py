"""Light on its way to the retina: the display, and the blur and glare of the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .._packages import load

Array = NDArray[np.float64]

DISPLAY_RANGE, DISPLAY_BLACK = 99.0, 1.0
"""cd/m² of the "sRGB-display": what full drive adds, and what is always there."""

SURROUND = 1e-5
"""cd/m² in each channel outside the image: nearly darkness."""

_LIGHT_LIMITS = (1e-5, 1e10)

# Intra-ocular light scatter: the eye's transfer is a sum of four exponentials of frequency.
_SHARES = (0.061466549455263, 0.99727370023777070)
_MTF_WEIGHTS = (
    _SHARES[1] * 0.426,
    _SHARES[1] * 0.574,
    (1 - _SHARES[1]) * _SHARES[0],
    (1 - _SHARES[1]) * (1 - _SHARES[0]),
)
_MTF_DECAYS = (0.028, 0.37, 37.0, 360.0)


def srgb_display(image: Array) -> Array:
    """Light of a display of 1 to 100 cd/m² shown sRGB codes of 0..1; per channel, in cd/m²."""
    linear = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    return DISPLAY_RANGE * linear + DISPLAY_BLACK


def mtf(frequency: Array) -> Array:
    """Modulation transfer of the eye's optics, 1 at 0 cycles per degree."""
    transfer = np.zeros_like(frequency)
    for weight, decay in zip(_MTF_WEIGHTS, _MTF_DECAYS, strict=True):
        transfer += weight * np.exp(-decay * frequency)
    return transfer


def doubled_frequencies(shape: tuple[int, int], pixels_per_degree: float) -> Array:
    """Radial frequency, in cycles per degree, of the real spectrum of an image of twice the size.

    Filters act on the doubled image, so that what leaves one edge does not enter at the other.
    """
    down = np.fft.fftfreq(2 * shape[0]) * pixels_per_degree
    across = np.fft.rfftfreq(2 * shape[1]) * pixels_per_degree
    return np.asarray(np.hypot(down[:, None], across), dtype=np.float64)


def filtered(plane: Array, transfer: Array, outside: float) -> Array:
    """Filter an image that is surrounded by a constant, by a transfer of doubled size."""
    fft = load("scipy.fft")
    height, width = plane.shape
    doubled = (2 * height, 2 * width)
    # The filter is linear: the constant can be taken off and put back, zeros are padded for free.
    spectrum = fft.rfft2(plane - outside, s=doubled)
    spectrum *= transfer
    result = fft.irfft2(spectrum, s=doubled, overwrite_x=True)[:height, :width]
    return np.asarray(result + outside * transfer[0, 0], dtype=np.float64)


def retinal_image(light: Array, pixels_per_degree: float) -> Array:
    """H×W×C light in cd/m² after the optics of the eye, channel by channel."""
    height, width = light.shape[:2]
    transfer = mtf(doubled_frequencies((height, width), pixels_per_degree))
    result = np.empty_like(light)
    for channel in range(light.shape[2]):
        blurred = filtered(light[:, :, channel], transfer, SURROUND)
        np.clip(blurred, *_LIGHT_LIMITS, out=result[:, :, channel])
    return result
