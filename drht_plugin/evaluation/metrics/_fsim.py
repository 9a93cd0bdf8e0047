"""Feature similarity by phase congruency and gradients (FSIM), and with chrominance (FSIMc)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

from . import _inputs
from ._inputs import AnyArray, Array

# Zhang et al. 2011, section III: constants of the similarity terms, for codes of 0..255.
_T_CONGRUENCY = 0.85
_T_GRADIENT = 160.0
_T_CHROMA = 200.0
_CHROMA_EXPONENT = 0.03
_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
_WORKING_SIDE = 256  # the shorter side is averaged down to about this

# Kovesi's phase congruency with the choices of Zhang et al.
_SCALES = 4
_ORIENTATIONS = 4
_SHORTEST_WAVELENGTH = 6.0
_SCALE_STEP = 2.0
_SIGMA_ON_FREQUENCY = 0.55
_ANGULAR_SIGMA = math.pi / _ORIENTATIONS / 1.2
_NOISE_DEVIATIONS = 2.0
_NOISE_OVERESTIMATE = 1.7
_LOWPASS_CUTOFF = 0.45
_LOWPASS_ORDER = 15

_SMALLEST = 16


class _Features(NamedTuple):
    congruency: Array
    gradient: Array
    chroma: list[Array]


def fsim(test: AnyArray, reference: AnyArray) -> float:
    """Return the feature similarity of the luma of two display-encoded images.

    Compares phase congruency and Scharr gradients of Y (of YIQ, codes 0..255) at every pixel,
    weighted by the larger phase congruency. Images whose shorter side exceeds 384 pixels are first
    reduced by a factor of round(side / 256).

    Args:
        test: H×W×3 or H×W, 16 pixels or more on each side, display-encoded: uint8, uint16, or
            floating point in 0..1.
        reference: of the same shape.

    Returns:
        0 to 1; 1 for equal images (and for two flat ones). Symmetric in its arguments.

    Raises:
        InputError: the shapes differ, are not accepted or too small, or values are NaN or outside
            0..1.

    Source: Zhang, Zhang, Mou, Zhang, "FSIM: a feature similarity index for image quality
    assessment", IEEE TIP 20(8), 2011, section III (FSIM); phase congruency after Kovesi,
    "Image features from phase congruency", Videre 1(3), 1999.
    """
    return _similarity(test, reference, colour=False)


def fsimc(test: AnyArray, reference: AnyArray) -> float:
    """Return the feature similarity of display-encoded images with chrominance (I and Q of YIQ).

    It is `fsim` with an additional factor (S_I·S_Q)^.03, and equals `fsim` for H×W images.

    Args:
        test: H×W×3 or H×W, 16 pixels or more on each side, display-encoded: uint8, uint16, or
            floating point in 0..1.
        reference: of the same shape.

    Returns:
        0 to 1; 1 for equal images. Symmetric in its arguments.

    Raises:
        InputError: the shapes differ, are not accepted or too small, or values are NaN or outside
            0..1.

    Source: Zhang et al. 2011 (see `fsim`), section III (extension to colour).
    """
    return _similarity(test, reference, colour=True)


def _similarity(test: AnyArray, reference: AnyArray, *, colour: bool) -> float:
    first = _inputs.display_encoded(test, "test")
    second = _inputs.display_encoded(reference, "reference")
    _inputs.same_shape(first, second)
    _inputs.at_least(first, _SMALLEST, "FSIM")
    one, two = _features(255 * first), _features(255 * second)
    weight = np.maximum(one.congruency, two.congruency)
    total = float(weight.sum())
    if total == 0:  # two images without any feature
        return 1.0
    similar = _agreement(one.congruency, two.congruency, _T_CONGRUENCY)
    similar *= _agreement(one.gradient, two.gradient, _T_GRADIENT)
    if colour and one.chroma:
        product = np.ones_like(similar)
        for mine, yours in zip(one.chroma, two.chroma, strict=True):
            product *= _agreement(mine, yours, _T_CHROMA)
        # Opposite hues make the product negative; FSIMc takes the real part of the complex power.
        power = np.abs(product) ** _CHROMA_EXPONENT
        similar *= np.where(product < 0, math.cos(math.pi * _CHROMA_EXPONENT), 1.0) * power
    return float((similar * weight).sum()) / total


def _agreement(one: Array, two: Array, constant: float) -> Array:
    result: Array = (2 * one * two + constant) / (one**2 + two**2 + constant)
    return result


def _features(image: Array) -> _Features:
    factor = max(1, math.floor(min(image.shape[:2]) / _WORKING_SIDE + 0.5))
    if image.ndim == 2:
        planes = [_reduce(image, factor)]
    else:
        planes = [_reduce(image @ row, factor) for row in _YIQ]
    return _Features(phase_congruency(planes[0]), _gradient(planes[0]), planes[1:])


def _reduce(plane: Array, factor: int) -> Array:
    """Average factor×factor pixels around every factor-th pixel, with zeros outside the image."""
    if factor == 1:
        return plane
    before = factor - 1 - factor // 2
    counts = [-(-side // factor) for side in plane.shape]
    padding = [
        (before, max(0, count * factor - before - side))
        for count, side in zip(counts, plane.shape, strict=True)
    ]
    padded = np.pad(plane, padding)[: counts[0] * factor, : counts[1] * factor]
    means: Array = padded.reshape(counts[0], factor, counts[1], factor).mean(axis=(1, 3))
    return means


def _gradient(plane: Array) -> Array:
    """Return the magnitude of the Scharr gradient, with zeros outside the image."""
    padded = np.pad(plane, 1)
    across = padded[:, 2:] - padded[:, :-2]
    down = padded[2:] - padded[:-2]
    horizontal = 3 * across[:-2] + 10 * across[1:-1] + 3 * across[2:]
    vertical = 3 * down[:, :-2] + 10 * down[:, 1:-1] + 3 * down[:, 2:]
    return np.hypot(horizontal, vertical) / 16


def phase_congruency(plane: Array) -> Array:
    """Return the phase congruency of a plane: Kovesi's second measure, compensated for noise.

    Uses log-Gabor filters of four scales and four orientations on the image continued periodically.

    Args:
        plane: H×W luma, codes 0..255.

    Returns:
        H×W in 0..1.
    """
    fft = import_optional("scipy.fft")
    radial, angular = _log_gabor(plane.shape[0], plane.shape[1])
    spectrum = fft.fft2(plane)
    energy = np.zeros_like(plane)
    amplitude = np.zeros_like(plane)
    for direction in angular:
        filters = [band * direction for band in radial]
        responses = [fft.ifft2(spectrum * each) for each in filters]
        total = np.sum(responses, axis=0)
        # The unit vector of the mean phase; the constant avoids a division by zero.
        mean = total / (np.abs(total) + 1e-4)
        of_direction = np.zeros_like(plane)
        for response in responses:
            turned = response * mean.conj()
            of_direction += turned.real - np.abs(turned.imag)
            amplitude += np.abs(response)
        energy += np.maximum(of_direction - _noise_energy(filters, responses[0]), 0)
    return np.divide(energy, amplitude, out=np.zeros_like(energy), where=amplitude > 0)


def _noise_energy(filters: list[Array], finest: NDArray[np.complex128]) -> float:
    """Estimate the energy of noise from the median response of the finest scale."""
    power = float(np.median(np.abs(finest) ** 2)) / math.log(2) / float((filters[0] ** 2).sum())
    # The spatial energy of the sum of the even filters, by Parseval's theorem.
    even = [(each + np.roll(each[::-1, ::-1], 1, axis=(0, 1))) / 2 for each in filters]
    rayleigh = math.sqrt(power * float((np.sum(even, axis=0) ** 2).sum()))
    expected = rayleigh * math.sqrt(math.pi / 2)
    deviation = rayleigh * math.sqrt(2 - math.pi / 2)
    return (expected + _NOISE_DEVIATIONS * deviation) / _NOISE_OVERESTIMATE


def _log_gabor(height: int, width: int) -> tuple[list[Array], list[Array]]:
    """Return the radial bands and the angular spreads, with zero frequency first."""
    down, across = np.meshgrid(_frequencies(height), _frequencies(width), indexing="ij")
    radius = np.hypot(across, down)
    lowpass = 1 / (1 + (radius / _LOWPASS_CUTOFF) ** (2 * _LOWPASS_ORDER))
    angle = np.arctan2(-down, across)
    radius[0, 0] = 1.0  # its logarithm is not used
    radial = []
    for scale in range(_SCALES):
        centre = 1 / (_SHORTEST_WAVELENGTH * _SCALE_STEP**scale)
        log_ratio = np.log(radius / centre) / math.log(_SIGMA_ON_FREQUENCY)
        band = np.exp(-(log_ratio**2) / 2) * lowpass
        band[0, 0] = 0.0
        radial.append(band)
    angular = []
    for orientation in range(_ORIENTATIONS):
        turned = angle - orientation * math.pi / _ORIENTATIONS
        distance = np.arctan2(np.sin(turned), np.cos(turned))
        angular.append(np.exp(-((distance / _ANGULAR_SIGMA) ** 2) / 2))
    return radial, angular


def _frequencies(size: int) -> Array:
    """Return frequencies in cycles per pixel; for odd sizes, the authors' grid reaches ±.5."""
    reach = size / (size - 1) if size % 2 else 1.0
    return np.asarray(np.fft.fftfreq(size) * reach, dtype=np.float64)
