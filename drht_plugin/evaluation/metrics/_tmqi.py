"""TMQI, which rates how well a display image keeps a scene's structure and how natural it looks."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from drht_plugin.evaluation.optional import import_optional

from ...errors import InputError
from . import _inputs
from ._inputs import AnyArray, Array

# Yeganeh and Wang 2013: Q = a·S^α + (1 − a)·N^β, and the weights of the scales in S.
_SHARE, _ALPHA, _BETA = 0.8012, 0.3046, 0.7088
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_C1, _C2 = 0.01, 10.0
_WINDOW, _SIGMA = 11, 1.5
_FINEST_FREQUENCY = 16.0  # cycles per degree of the first scale; halved for each further scale

# Statistics of natural images: mean brightness, and a Beta distribution of local contrast.
_MEAN, _MEAN_DEVIATION = 115.94, 27.99
_CONTRAST_RANGE, _BETA_A, _BETA_B = 64.29, 4.4, 10.1


class TmqiDetails(NamedTuple):
    """TMQI and its parts, each from 0 to 1; higher is better.

    Attributes:
        quality: Q, the value of `tmqi`.
        fidelity: S, multi-scale structural fidelity.
        naturalness: N, statistical naturalness.
        fidelity_by_scale: mean structural fidelity of the five scales, finest first.
    """

    quality: float
    fidelity: float
    naturalness: float
    fidelity_by_scale: tuple[float, ...]


def tmqi(test: AnyArray, reference: AnyArray) -> float:
    """Return the tone-mapped image quality index of a display image against its HDR scene.

    Args:
        test: H×W×3 or H×W, 11 pixels or more on each side, display-encoded: uint8, uint16, or
            floating point in 0..1.
        reference: of the same shape: linear BT.709 RGB or luminance, floating point, 0 or more, in
            any unit, because its range is stretched before the comparison.

    Returns:
        Q, 0 to 1; higher is better. Not symmetric. Since structure and naturalness conflict, images
        hardly reach 1.

    Raises:
        InputError: the shapes differ, are not accepted or too small; values are NaN, negative, or
            outside 0..1 if display-encoded; or the reference has the same luminance everywhere.

    Source: Yeganeh and Wang, "Objective quality assessment of tone-mapped images", IEEE TIP
    22(2), 2013, section II (structural fidelity, statistical naturalness, quality), with luminance
    weights .2126, .7152, .0722 on both images.
    """
    return tmqi_details(test, reference).quality


def tmqi_details(test: AnyArray, reference: AnyArray) -> TmqiDetails:
    """Return TMQI with its parts; errors and source as for `tmqi`.

    Args:
        test: as for `tmqi`.
        reference: as for `tmqi`.

    Returns:
        TMQI and its parts.
    """
    display = _inputs.display_encoded(test, "test")
    scene = _inputs.radiance(reference, "reference", "H×W or H×W×3")
    _inputs.same_shape(display, scene)
    _inputs.at_least(display, _WINDOW, "TMQI")
    codes = 255 * _inputs.weighted(display, _inputs.BT709_LUMINANCE)
    luminance = _inputs.weighted(scene, _inputs.BT709_LUMINANCE)
    darkest, brightest = float(luminance.min()), float(luminance.max())
    if darkest == brightest:
        raise InputError(
            f"reference has luminance {darkest:g} throughout; a scene with contrast is accepted"
        )
    # The authors stretch by an integer factor, which would be 0 for ranges beyond 2³² units.
    factor = max(math.floor((2**32 - 1) / (brightest - darkest) + 0.5), 1)
    by_scale = _structural_fidelity((luminance - darkest) * factor, codes)
    fidelity = math.prod(
        max(local, 0.0) ** weight for local, weight in zip(by_scale, _SCALE_WEIGHTS, strict=True)
    )
    naturalness = _naturalness(codes)
    quality = _SHARE * fidelity**_ALPHA + (1 - _SHARE) * naturalness**_BETA
    return TmqiDetails(quality, fidelity, naturalness, by_scale)


def _structural_fidelity(scene: Array, codes: Array) -> tuple[float, ...]:
    """Return the mean local fidelity of five scales, each half the size of the previous one."""
    scores = []
    frequency = _FINEST_FREQUENCY
    for _ in _SCALE_WEIGHTS:
        scores.append(_local_fidelity(scene, codes, frequency))
        scene, codes = _halve(scene), _halve(codes)
        frequency /= 2
    return tuple(scores)


def _local_fidelity(scene: Array, codes: Array, frequency: float) -> float:
    """Return the mean agreement of visible contrast, times the structure term of SSIM."""
    ndtr = import_optional("scipy.special").ndtr
    mean_scene, mean_codes = _window_mean(scene), _window_mean(codes)
    deviation_scene = _deviation(scene, mean_scene)
    deviation_codes = _deviation(codes, mean_codes)
    covariance = _window_mean(scene * codes) - mean_scene * mean_codes
    threshold = _contrast_threshold(frequency)
    seen_scene = ndtr((deviation_scene - threshold) / (threshold / 3))
    seen_codes = ndtr((deviation_codes - threshold) / (threshold / 3))
    visibility = (2 * seen_scene * seen_codes + _C1) / (seen_scene**2 + seen_codes**2 + _C1)
    structure = (covariance + _C2) / (deviation_scene * deviation_codes + _C2)
    return float((visibility * structure).mean())


def _contrast_threshold(frequency: float) -> float:
    """Return the deviation seen half the time at a mean code of 128 (Mannos and Sakrison's CSF)."""
    sensitivity = 2.6 * (0.0192 + 0.114 * frequency) * math.exp(-((0.114 * frequency) ** 1.1))
    return 128 / (1.4 * 100 * sensitivity)


def _deviation(plane: Array, mean: Array) -> Array:
    return np.sqrt(np.maximum(_window_mean(plane**2) - mean**2, 0))


def _window_mean(plane: Array) -> Array:
    correlate1d = import_optional("scipy.ndimage").correlate1d
    distance = np.arange(_WINDOW) - _WINDOW // 2
    kernel = np.exp(-(distance**2) / (2 * _SIGMA**2))
    kernel /= kernel.sum()
    rows = correlate1d(plane, kernel, axis=0, mode="constant")
    result: Array = correlate1d(rows, kernel, axis=1, mode="constant")
    return result


def _halve(plane: Array) -> Array:
    """Average 2×2 pixels; an odd last row or column counts twice."""
    padded = np.pad(plane, [(0, side % 2) for side in plane.shape], mode="edge")
    height, width = padded.shape
    means: Array = padded.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return means


def _naturalness(codes: Array) -> float:
    """Return the likelihood of mean brightness and local contrast, each relative to its maximum.

    The contrast is the deviation of 11×11 blocks. Blocks that cross the image's border are filled
    with zeros and weighted by their area inside the image.
    """
    height, width = codes.shape
    padded = np.pad(codes, [(0, -side % _WINDOW) for side in codes.shape])
    rows, columns = padded.shape[0] // _WINDOW, padded.shape[1] // _WINDOW
    blocks = padded.reshape(rows, _WINDOW, columns, _WINDOW)
    deviations = blocks.std(axis=(1, 3), ddof=1)
    tall = np.minimum(_WINDOW, height - _WINDOW * np.arange(rows))
    wide = np.minimum(_WINDOW, width - _WINDOW * np.arange(columns))
    contrast = float(tall @ deviations @ wide) / codes.size / _CONTRAST_RANGE
    if not 0 < contrast < 1:
        return 0.0
    mode = (_BETA_A - 1) / (_BETA_A + _BETA_B - 2)
    of_contrast: float = (contrast / mode) ** (_BETA_A - 1)
    of_contrast *= ((1 - contrast) / (1 - mode)) ** (_BETA_B - 1)
    of_brightness = math.exp(-(((float(codes.mean()) - _MEAN) / _MEAN_DEVIATION) ** 2) / 2)
    return of_contrast * of_brightness
