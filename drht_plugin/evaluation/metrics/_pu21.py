"""PSNR of HDR images in the perceptually uniform PU21 encoding."""

from __future__ import annotations

import math

import numpy as np

from . import _inputs
from ._inputs import AnyArray, Array

CHANNELS = ("rgb", "luminance")
LOWEST, HIGHEST = 0.005, 10_000.0
"""Range of the encoding in cd/m²; luminance outside it is clipped."""
PEAK = 256.0
"""Encoded value of 100 cd/m², the peak for the signal-to-noise ratio."""

# The authors' weights for BT.709; the additional digits change the ratio by up to 3e-3 dB.
_LUMINANCE = (0.212656, 0.715158, 0.072186)

# Mantiuk and Azimi 2021: the fit "banding + glare".
_P1, _P2, _P3, _P4 = 0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627
_P5, _P6, _P7 = 0.09150303166, 0.9099517204, 596.3148142


def pu21_encode(luminance: Array) -> Array:
    """Encode luminance as perceptually uniform values.

    V = p7·(((p1 + p2·Y^p4) / (1 + p3·Y^p4))^p5 − p6)

    Args:
        luminance: cd/m², of any shape; clipped to .005..10⁴.

    Returns:
        Values from 0 to about 595, of the same shape.
    """
    raised = np.clip(luminance, LOWEST, HIGHEST) ** _P4
    encoded: Array = _P7 * (((_P1 + _P2 * raised) / (1 + _P3 * raised)) ** _P5 - _P6)
    return encoded


def pu21_psnr(test: AnyArray, reference: AnyArray, *, channel: str = "rgb") -> float:
    """Return the peak signal-to-noise ratio of an HDR image in the PU21 encoding, in dB.

    Args:
        test: H×W×3 linear BT.709 RGB, or H×W luminance, in absolute cd/m²; clipped to .005..10⁴.
        reference: of the same shape.
        channel: "rgb" encodes and pools the three channels; "luminance" compares the encoded
            BT.709 luminance (weights .212656, .715158, .072186). An H×W image is its own luminance.

    Returns:
        The ratio for a peak of 256; higher is better; infinite for equal images. Symmetric in
        its arguments.

    Raises:
        InputError: the shapes differ or are not accepted, or values are NaN or negative.

    Source: Mantiuk and Azimi, "PU21: A novel perceptually uniform encoding for adapting existing
    quality metrics for HDR", Picture Coding Symposium 2021, the fit "banding + glare".
    """
    _inputs.one_of(channel, CHANNELS, "channel")
    first = _inputs.radiance(test, "test", "H×W or H×W×3")
    second = _inputs.radiance(reference, "reference", "H×W or H×W×3")
    _inputs.same_shape(first, second)
    if channel == "luminance":
        first = _inputs.weighted(first, _LUMINANCE)
        second = _inputs.weighted(second, _LUMINANCE)
    error = float(((pu21_encode(first) - pu21_encode(second)) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(PEAK**2 / error)
