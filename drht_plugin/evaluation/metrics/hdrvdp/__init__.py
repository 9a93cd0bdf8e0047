"""HDR-VDP-2, version 2.2: visible differences and quality of HDR images.

Sources: Mantiuk, Kim, Rempel, Heidrich, "HDR-VDP-2: a calibrated visual metric for visibility and
quality predictions in all luminance conditions", ACM TOG 30(4) (SIGGRAPH), 2011, whose steps
the comments name; Narwaria, Mantiuk, Perreira Da Silva, Le Callet, "HDR-VDP-2.2: a
calibrated method for objective quality prediction of high-dynamic range and standard images",
Journal of Electronic Imaging 24(1), 2015, for the pooling of the quality.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .. import _inputs
from .._inputs import AnyArray, Array
from . import optics, pooling, pyramid, retina
from .pooling import BandDetails
from .pyramid import Bands

__all__ = ["ENCODINGS", "BandDetails", "HdrVdp2Details", "hdr_vdp2", "hdr_vdp2_details"]

ENCODINGS = ("rgb-bt.709", "luminance", "sRGB-display")

_LEAST_RELATIVE_DIFFERENCE = 0.001


@dataclass(frozen=True)
class HdrVdp2Details:
    """Predictions of HDR-VDP-2, and the contribution of each band.

    Attributes:
        quality: Q, the value of `hdr_vdp2`.
        detection: largest probability that a difference is seen, 0 to 1 (P_det).
        contrast: largest contrast, in units of the detection threshold (C_max).
        detection_map: H×W probability of detection, 0 to 1 (P_map).
        contrast_map: H×W contrast in units of the detection threshold (C_map).
        bands: the bands by scale, finest first, and within a scale by orientation.
    """

    quality: float
    detection: float
    contrast: float
    detection_map: Array
    contrast_map: Array
    bands: tuple[BandDetails, ...]


def hdr_vdp2(
    test: AnyArray,
    reference: AnyArray,
    *,
    encoding: str = "rgb-bt.709",
    pixels_per_degree: float = 30,
) -> float:
    """Return the quality Q of HDR-VDP-2 (2.2).

    Args:
        test: the image to judge, 17 pixels or more on each side. By encoding:
            "rgb-bt.709": H×W×3 linear BT.709 RGB, floating point in absolute cd/m² (that is,
            such that .2126 R + .7152 G + .0722 B is the luminance), seen on an LCD with
            fluorescent backlight;
            "luminance": H×W luminance in absolute cd/m², of the spectrum of D65;
            "sRGB-display": H×W×3 sRGB codes (uint8, uint16, or floating point in 0..1), shown on
            a display of 1 to 100 cd/m².
        reference: of the same shape and encoding.
        encoding: see test.
        pixels_per_degree: angular resolution. Q depends strongly on it; always report it.

    Returns:
        Q: 100 for equal images, lower for worse, without a lower bound. Nearly, but not exactly,
        symmetric. Differences of chrominance alone do not count.

    Raises:
        InputError: the shapes differ, are not accepted or too small; values are NaN, negative, or
            outside 0..1 if display-encoded; or the encoding is unknown.

    Source: Mantiuk et al. 2011 and Narwaria et al. 2015 (see the module). The surround of the image
    is assumed to be dark.
    """
    bands = _compare(test, reference, encoding, pixels_per_degree)
    return pooling.quality([details for details, _ in bands])


def hdr_vdp2_details(
    test: AnyArray,
    reference: AnyArray,
    *,
    encoding: str = "rgb-bt.709",
    pixels_per_degree: float = 30,
) -> HdrVdp2Details:
    """Return HDR-VDP-2 with its maps and the values of each band; errors as for `hdr_vdp2`.

    Args:
        test: as for `hdr_vdp2`.
        reference: as for `hdr_vdp2`.
        encoding: as for `hdr_vdp2`.
        pixels_per_degree: as for `hdr_vdp2`.

    Returns:
        The predictions.
    """
    details: list[BandDetails] = []
    differences: Bands = []
    for band, difference in _compare(test, reference, encoding, pixels_per_degree):
        details.append(band)
        if band.orientation == 1:
            differences.append([])
        differences[-1].append(difference)
    contrast = pooling.contrast_map(differences)
    detection = pooling.detection_map(contrast)
    return HdrVdp2Details(
        quality=pooling.quality(details),
        detection=float(detection.max()),
        contrast=float(contrast.max()),
        detection_map=detection,
        contrast_map=contrast,
        bands=tuple(details),
    )


def _compare(
    test: AnyArray, reference: AnyArray, encoding: str, pixels_per_degree: float
) -> Iterator[tuple[BandDetails, Array]]:
    """Yield the details and the normalised difference of each band."""
    light_test, light_reference, response = _light(test, reference, encoding)
    resolution = _inputs.positive(pixels_per_degree, "pixels_per_degree")
    bands_reference, adapted_reference, outside = _bands(light_reference, response, resolution)
    bands_test, adapted_test, _ = _bands(light_test, response, resolution, outside)
    step = np.abs(light_test - light_reference)
    differs = np.any(step > _LEAST_RELATIVE_DIFFERENCE * light_reference, axis=2)
    return pooling.compare(
        bands_test,
        bands_reference,
        (adapted_test + adapted_reference) / 2,
        np.asarray(differs, dtype=np.float64),
        resolution,
    )


def _light(test: AnyArray, reference: AnyArray, encoding: str) -> tuple[Array, Array, Array]:
    """Return both images as H×W×C light in cd/m², and the receptors' response to its channels."""
    _inputs.one_of(encoding, ENCODINGS, "encoding")
    if encoding == "sRGB-display":
        first = _inputs.display_encoded(test, "test", "H×W×3")
        second = _inputs.display_encoded(reference, "reference", "H×W×3")
    else:
        shapes = "H×W" if encoding == "luminance" else "H×W×3"
        first = _inputs.radiance(test, "test", shapes)
        second = _inputs.radiance(reference, "reference", shapes)
    _inputs.same_shape(first, second)
    _inputs.at_least(first, pyramid.SMALLEST, "HDR-VDP-2")
    if encoding == "luminance":
        return first[:, :, None], second[:, :, None], retina.GREY_RESPONSE
    if encoding == "sRGB-display":
        first, second = optics.srgb_display(first), optics.srgb_display(second)
    return first, second, retina.RGB_RESPONSE


def _bands(
    light: Array, response: Array, pixels_per_degree: float, outside: float | None = None
) -> tuple[Bands, Array, float]:
    """Return the bands of an image, the adapting luminance, and the surround of the base band.

    For both images, the surround is the mean of the reference's base band.
    """
    retinal = optics.retinal_image(light, pixels_per_degree)
    achromatic, adaptation = retina.achromatic_response(retinal, response)
    bands = pyramid.decompose(achromatic)
    base = bands[-1][0]
    if outside is None:
        outside = float(base.mean())
    lowest = pooling.band_frequencies(len(bands), pixels_per_degree)[-1]
    # The calibration was made with a factor of √2 rather than 2.
    frequencies = optics.doubled_frequencies(
        (base.shape[0], base.shape[1]), lowest * 2 * math.sqrt(2)
    )
    sensitivity = retina.neural_csf(frequencies, np.asarray(adaptation.mean()))
    bands[-1][0] = optics.apply_transfer(base, sensitivity, outside)
    return bands, adaptation, outside
