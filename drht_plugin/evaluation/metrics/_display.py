"""PSNR and SSIM of display-encoded images."""

from __future__ import annotations

import math

from drht_plugin.evaluation.optional import import_optional

from . import _inputs
from ._inputs import AnyArray, Array

CHANNELS = ("rgb", "luma")
_SSIM_WINDOW = 11


def psnr(test: AnyArray, reference: AnyArray, *, channel: str = "rgb") -> float:
    """Return the peak signal-to-noise ratio of a display-encoded image, in dB.

    It is 10·log10(1 / mean squared error) of values in 0..1, pooled over all pixels and channels.

    Args:
        test: H×W×3 or H×W, display-encoded: uint8, uint16, or floating point in 0..1.
        reference: of the same shape.
        channel: "rgb" pools the three channels; "luma" compares the BT.601 luma
            (.299, .587, .114), unrounded. An H×W image is its own luma.

    Returns:
        0 or more; higher is better; infinite for equal images. Symmetric in its arguments.

    Raises:
        InputError: the shapes differ or are not accepted, or values are NaN or outside 0..1.
    """
    _inputs.one_of(channel, CHANNELS, "channel")
    first, second = _pair(test, reference)
    if channel == "luma":
        first = _inputs.weighted(first, _inputs.BT601_LUMA)
        second = _inputs.weighted(second, _inputs.BT601_LUMA)
    error = float(((first - second) ** 2).mean())
    return math.inf if error == 0 else 10 * math.log10(1 / error)


def ssim(test: AnyArray, reference: AnyArray, *, channel: str = "luma") -> float:
    """Return the mean structural similarity of a display-encoded image.

    Uses a Gaussian window of 11×11 with σ = 1.5, K1 = .01, K2 = .03 and the population covariance,
    at full resolution. The mean is over the positions where the window lies inside the image.

    Args:
        test: H×W×3 or H×W, 11 pixels or more on each side, display-encoded: uint8, uint16, or
            floating point in 0..1.
        reference: of the same shape.
        channel: "luma" compares the BT.601 luma, unrounded; "rgb" averages over the channels.

    Returns:
        -1 to 1; 1 for equal images. Symmetric in its arguments.

    Raises:
        InputError: the shapes differ, are not accepted or too small, or values are NaN or outside
            0..1.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE TIP 13(4), 2004, equation 13.
    """
    _inputs.one_of(channel, CHANNELS, "channel")
    first, second = _pair(test, reference)
    _inputs.at_least(first, _SSIM_WINDOW, "SSIM")
    if channel == "luma":
        first = _inputs.weighted(first, _inputs.BT601_LUMA)
        second = _inputs.weighted(second, _inputs.BT601_LUMA)
    return float(
        import_optional("skimage.metrics").structural_similarity(
            first,
            second,
            data_range=1.0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            channel_axis=2 if first.ndim == 3 else None,
        )
    )


def _pair(test: AnyArray, reference: AnyArray) -> tuple[Array, Array]:
    first = _inputs.display_encoded(test, "test")
    second = _inputs.display_encoded(reference, "reference")
    _inputs.same_shape(first, second)
    return first, second
