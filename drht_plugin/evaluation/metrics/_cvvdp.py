"""ColorVideoVDP by its own package, which is optional."""

from __future__ import annotations

import numpy as np

from . import _inputs
from ._inputs import AnyArray
from ._packages import load

ENCODED_DISPLAYS = ("standard_4k", "standard_fhd", "standard_phone")
"""Displays that are sent display-encoded images."""
LINEAR_DISPLAYS = ("standard_hdr_linear", "standard_hdr_linear_dark", "standard_hdr_linear_zoom")
"""Displays that are sent light in cd/m²."""

_SMALLEST = 16


def cvvdp(test: AnyArray, reference: AnyArray, *, display: str = "standard_4k") -> float:
    """ColorVideoVDP: quality in just-objectionable differences, with colour.

    Args:
        test: H×W×3, 16 pixels or more on each side. For "standard_4k", "standard_fhd" and
            "standard_phone" display-encoded sRGB: uint8, uint16, or floating point in 0..1. For
            "standard_hdr_linear", "standard_hdr_linear_dark" and "standard_hdr_linear_zoom" linear
            BT.709 RGB, floating point in absolute cd/m².
        reference: of the same shape and encoding.
        display: the display and viewing distance, by ColorVideoVDP's name.

    Returns:
        JOD, 10 for equal images, lower for worse; of two images that are 1 apart, three quarters
        of viewers prefer the better. Always say which display was used.

    Raises:
        DependencyError: the package is not installed; the extra `evaluate-cvvdp` brings it.
        InputError: shapes that differ, are not accepted or too small, NaN, negative light,
            display values outside 0..1, an unknown display.

    Source: Mantiuk, Hanji, Ashraf, Asano, Chapiro, "ColorVideoVDP: a visual difference predictor
    for image, video and display distortions", ACM TOG 43(4), 2024; PyPI package `cvvdp`.
    """
    _inputs.one_of(display, ENCODED_DISPLAYS + LINEAR_DISPLAYS, "display")
    if display in ENCODED_DISPLAYS:
        first = _inputs.display_encoded(test, "test", "H×W×3")
        second = _inputs.display_encoded(reference, "reference", "H×W×3")
    else:
        first = _inputs.radiance(test, "test", "H×W×3")
        second = _inputs.radiance(reference, "reference", "H×W×3")
    _inputs.same_shape(first, second)
    _inputs.at_least(first, _SMALLEST, "ColorVideoVDP")
    metric = load("pycvvdp", "evaluate-cvvdp").cvvdp(display_name=display, quiet=True)
    score, _ = metric.predict(first.astype(np.float32), second.astype(np.float32), dim_order="HWC")
    return float(score)
