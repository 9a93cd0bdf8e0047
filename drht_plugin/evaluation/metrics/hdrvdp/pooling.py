"""Visible differences, quality and detection from the bands of two images."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

from . import pyramid, retina
from .pyramid import Bands
from .resize import resize_plane

Array = NDArray[np.float64]

# Contrast masking, with the calibration of version 2.2.
_EXCITATION = 10**0.544068  # p
_INHIBITION = 10**0.49576  # q
_MASK_SELF, _MASK_ORIENTATIONS, _MASK_NEIGHBOURS = 10**0.189065, 10**0.449199, 10**1.52512
_PSYCHOMETRIC_SLOPE = 3.5

# Quality, Narwaria et al. 2015: weight of the logarithmic difference by frequency of the band.
_WEIGHT_FREQUENCY = (0.1172, 0.2344, 0.4688, 0.9375, 1.875, 3.75, 7.5, 15.0, 30.0, 60.0)
_WEIGHT = (0.0, 0.0, 0.0003, 0.0003, 0.0398, 0.2690, 0.2142, 0.2832, 0.2832, 0.0)
_NO_DIFFERENCE = 1e-12

_CSF_LOG_LUMINANCE = np.linspace(-5, 5, 256)


@dataclass(frozen=True)
class BandDetails:
    """Contribution of one band of one orientation.

    Attributes:
        band: 1 for the finest scale, the high-pass residual; the last is the base.
        orientation: 1 to 4; 1 where the band has no orientation.
        shape: (height, width) of the band in pixels.
        frequency: its peak frequency in cycles per degree.
        weight: its weight in the quality.
        difference: norm of the normalised difference, divided by the number of pixels.
        masked_difference: the same over pixels that differ in the images; the quality uses it.
        contrast: mean absolute difference of the bands, in units of threshold.
        sensitivity: mean neural contrast sensitivity.
    """

    band: int
    orientation: int
    shape: tuple[int, int]
    frequency: float
    weight: float
    difference: float
    masked_difference: float
    contrast: float
    sensitivity: float


def band_frequencies(count: int, pixels_per_degree: float) -> list[float]:
    """Return the peak frequency of each band.

    Args:
        count: number of bands.
        pixels_per_degree: angular resolution.

    Returns:
        Frequencies in cycles per degree, finest band first.
    """
    return [pixels_per_degree / 2 ** (band + 1) for band in range(count)]


def compare(
    test: Bands,
    reference: Bands,
    adaptation: Array,
    differs: Array,
    pixels_per_degree: float,
) -> Iterator[tuple[BandDetails, Array]]:
    """Yield the differences of two pyramids, normalised by sensitivity and masking.

    Args:
        test: bands of the test image.
        reference: bands of the reference, of the same shapes.
        adaptation: H×W adapting luminance in cd/m².
        differs: H×W, 1 where the images differ and 0 elsewhere.
        pixels_per_degree: angular resolution of the images.

    Yields:
        The details of a band of one orientation, and its normalised difference D.
    """
    frequencies = band_frequencies(len(test), pixels_per_degree)
    log_adaptation = np.log10(np.clip(adaptation, 1e-5, 1e5))
    masks = _mutual_masks(test, reference)
    last = len(test) - 1
    for scale, frequency in enumerate(frequencies):
        # The amplitude of bands doubles with every scale (1/n_f in the paper).
        norm = 2.0**scale
        height, width = test[scale][0].shape
        shape = (height, width)
        sensitivity = _sensitivity(resize_plane(log_adaptation, shape), frequency)
        # The CSF has already been applied to the base band.
        threshold = 1 / sensitivity if scale < last else np.ones(shape)
        threshold_power = threshold ** (2 * _EXCITATION)
        # The cubic overshoots 0..1, as it did in the calibration.
        where = resize_plane(differs, shape)
        across = np.sum(masks[scale], axis=0)
        for orientation, own in enumerate(masks[scale]):
            difference = test[scale][orientation] - reference[scale][orientation]
            excitation = _signed_power(difference / norm, _EXCITATION) * norm
            others = np.maximum(across - own, 0)
            neighbours = _neighbours(masks, scale, orientation, shape, norm)
            masking = norm * (
                _MASK_SELF * (own / threshold / norm) ** _INHIBITION
                + _MASK_ORIENTATIONS * (others / threshold / norm) ** _INHIBITION
                + _MASK_NEIGHBOURS * (neighbours / threshold) ** _INHIBITION
            )
            normalised = excitation / np.sqrt(threshold_power + masking**2)
            details = BandDetails(
                band=scale + 1,
                orientation=orientation + 1,
                shape=shape,
                frequency=frequency,
                weight=float(np.interp(frequency, _WEIGHT_FREQUENCY, _WEIGHT)),
                difference=_mean_root_square(normalised),
                masked_difference=_mean_root_square(normalised * where),
                contrast=float(np.abs(difference).mean()),
                sensitivity=float(sensitivity.mean()),
            )
            yield details, normalised


def quality(bands: list[BandDetails]) -> float:
    """Return Q of version 2.2: 100 minus the weighted sum of logarithmic differences.

    Args:
        bands: details of all bands.
    """
    return 100 - sum(
        band.weight * math.log(band.masked_difference / _NO_DIFFERENCE + 1) for band in bands
    )


def contrast_map(differences: Bands) -> Array:
    """Return the contrast map, pooled over the image.

    Args:
        differences: normalised differences of all bands.

    Returns:
        H×W contrast in units of the detection threshold.
    """
    slope = _PSYCHOMETRIC_SLOPE / _EXCITATION
    probable = [
        [_signed_power(each / 2.0**scale, slope) * 2.0**scale for each in bands]
        for scale, bands in enumerate(differences)
    ]
    total = np.abs(pyramid.reconstruct(probable))
    pooled: Array = total.sum() / (total.max() + 1e-12) * total
    return pooled


def detection_map(contrast: Array) -> Array:
    """Return the probability that a difference is seen, ½ for a contrast of 1.

    Args:
        contrast: contrast in units of the detection threshold, of any shape.
    """
    return 1 - 0.5**contrast


def _sensitivity(log_adaptation: Array, frequency: float) -> Array:
    """Return the neural contrast sensitivity of each pixel, from a table over luminance."""
    table = retina.neural_csf(np.asarray(frequency), 10**_CSF_LOG_LUMINANCE)
    return np.interp(log_adaptation, _CSF_LOG_LUMINANCE, table)


def _mutual_masks(test: Bands, reference: Bands) -> Bands:
    """Return the masking signals: the weaker of the two images', averaged over 3×3 pixels."""
    uniform_filter = import_optional("scipy.ndimage").uniform_filter
    return [
        [
            uniform_filter(np.minimum(np.abs(one), np.abs(two)), 3, mode="constant")
            for one, two in zip(ones, twos, strict=True)
        ]
        for ones, twos in zip(test, reference, strict=True)
    ]


def _neighbours(
    masks: Bands, scale: int, orientation: int, shape: tuple[int, int], norm: float
) -> Array:
    """Return the masking signal of the next finer and coarser scale; the base does not mask."""
    total = np.zeros(shape)
    if scale > 0:
        finer = masks[scale - 1][min(orientation, len(masks[scale - 1]) - 1)]
        total += np.maximum(resize_plane(finer, shape), 0) / (norm / 2)
    if scale < len(masks) - 2:
        coarser = masks[scale + 1][min(orientation, len(masks[scale + 1]) - 1)]
        total += np.maximum(resize_plane(coarser, shape), 0) / (norm * 2)
    return total


def _signed_power(values: Array, exponent: float) -> Array:
    return np.copysign(np.abs(values) ** exponent, values)


def _mean_root_square(values: Array) -> float:
    return float(np.linalg.norm(values)) / values.size
