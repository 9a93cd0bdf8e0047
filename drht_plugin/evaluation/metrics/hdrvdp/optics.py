"""Light from the display to the retina: the display, and the blur and glare of the eye."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

Array = NDArray[np.float64]

DISPLAY_RANGE, DISPLAY_BLACK = 99.0, 1.0
"""Range and black level of the "sRGB-display", in cd/m²."""

SURROUND = 1e-5
"""Light outside the image in each channel, nearly dark, in cd/m²."""

_LIGHT_LIMITS = (1e-5, 1e10)

# Light scatter in the eye: its transfer function is a sum of four exponentials of frequency.
_SHARES = (0.061466549455263, 0.99727370023777070)
_MTF_WEIGHTS = (
    _SHARES[1] * 0.426,
    _SHARES[1] * 0.574,
    (1 - _SHARES[1]) * _SHARES[0],
    (1 - _SHARES[1]) * (1 - _SHARES[0]),
)
_MTF_DECAYS = (0.028, 0.37, 37.0, 360.0)


def srgb_display(image: Array) -> Array:
    """Return the light of a display of 1 to 100 cd/m² that shows sRGB codes.

    Args:
        image: H×W×3 codes in 0..1.

    Returns:
        H×W×3 light per channel in cd/m².
    """
    linear = np.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    return DISPLAY_RANGE * linear + DISPLAY_BLACK


def mtf(frequency: Array) -> Array:
    """Return the modulation transfer of the eye's optics.

    Args:
        frequency: cycles per degree, of any shape.

    Returns:
        Transfer of the same shape; 1 at frequency 0.
    """
    transfer = np.zeros_like(frequency)
    for weight, decay in zip(_MTF_WEIGHTS, _MTF_DECAYS, strict=True):
        transfer += weight * np.exp(-decay * frequency)
    return transfer


def doubled_frequencies(shape: tuple[int, int], pixels_per_degree: float) -> Array:
    """Return the frequencies of the real spectrum of an image of twice the size.

    Filters act on an image of twice the size, so that opposite edges do not influence each other.

    Args:
        shape: height and width of the image.
        pixels_per_degree: angular resolution.

    Returns:
        Radial frequencies in cycles per degree, 2H×(W+1).
    """
    down = np.fft.fftfreq(2 * shape[0]) * pixels_per_degree
    across = np.fft.rfftfreq(2 * shape[1]) * pixels_per_degree
    return np.asarray(np.hypot(down[:, None], across), dtype=np.float64)


def apply_transfer(plane: Array, transfer: Array, outside: float) -> Array:
    """Filter an image that is surrounded by a constant.

    Args:
        plane: H×W.
        transfer: transfer function at `doubled_frequencies`.
        outside: value of the surround.

    Returns:
        H×W.
    """
    fft = import_optional("scipy.fft")
    height, width = plane.shape
    doubled = (2 * height, 2 * width)
    # The filter is linear, so the surround can be subtracted first, which leaves padding by zeros.
    spectrum = fft.rfft2(plane - outside, s=doubled)
    spectrum *= transfer
    result = fft.irfft2(spectrum, s=doubled, overwrite_x=True)[:height, :width]
    return np.asarray(result + outside * transfer[0, 0], dtype=np.float64)


def retinal_image(light: Array, pixels_per_degree: float) -> Array:
    """Apply the optics of the eye to each channel.

    Args:
        light: H×W×C in cd/m².
        pixels_per_degree: angular resolution.

    Returns:
        H×W×C in cd/m².
    """
    height, width = light.shape[:2]
    transfer = mtf(doubled_frequencies((height, width), pixels_per_degree))
    result = np.empty_like(light)
    for channel in range(light.shape[2]):
        blurred = apply_transfer(light[:, :, channel], transfer, SURROUND)
        np.clip(blurred, *_LIGHT_LIMITS, out=result[:, :, channel])
    return result
