"""ColorVideoVDP, computed by its own, optional package."""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.optional import import_optional

from . import _inputs
from ._inputs import AnyArray

ENCODED_DISPLAYS = ("standard_4k", "standard_fhd", "standard_phone")
"""Displays that take display-encoded images."""
LINEAR_DISPLAYS = ("standard_hdr_linear", "standard_hdr_linear_dark", "standard_hdr_linear_zoom")
"""Displays that take linear light in cd/m²."""

_SMALLEST = 16


def cvvdp(test: AnyArray, reference: AnyArray, *, display: str = "standard_4k") -> float:
    """Return the quality by ColorVideoVDP in just-objectionable differences, with colour.

    Args:
        test: H×W×3, 16 pixels or more on each side. For "standard_4k", "standard_fhd" and
            "standard_phone" display-encoded sRGB: uint8, uint16, or floating point in 0..1. For
            "standard_hdr_linear", "standard_hdr_linear_dark" and "standard_hdr_linear_zoom" linear
            BT.709 RGB, floating point in absolute cd/m².
        reference: of the same shape and encoding.
        display: the display and viewing distance, by ColorVideoVDP's name.

    Returns:
        JOD, 10 for equal images, lower for worse. At a difference of 1, three quarters of viewers
        prefer the better image. Always report the display with the value.

    Raises:
        DependencyError: the package is not installed; install the extra `evaluate-cvvdp`.
        InputError: the shapes differ, are not accepted or too small; values are NaN, negative, or
            outside 0..1 if display-encoded; or the display is unknown.

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
    metric = import_optional("pycvvdp", "evaluate-cvvdp").cvvdp(display_name=display, quiet=True)
    score, _ = metric.predict(first.astype(np.float32), second.astype(np.float32), dim_order="HWC")
    return float(score)
