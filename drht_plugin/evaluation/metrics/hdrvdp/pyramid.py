"""Steerable pyramid, computed in space with images mirrored about their edge pixels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drht_plugin.evaluation.optional import import_optional

from . import filters

Array = NDArray[np.float64]
Bands = list[list[Array]]
"""Bands by scale, finest first: the high-pass residual, four orientations per level, the base."""

SMALLEST = filters.LOWPASS.shape[0]
"""Shorter side that one level needs, in pixels."""


def levels(shape: tuple[int, int]) -> int:
    """Return the number of oriented levels.

    Args:
        shape: height and width of the image.
    """
    count, side = 0, min(shape)
    while side >= SMALLEST:
        count, side = count + 1, side // 2
    return count


def decompose(plane: Array) -> Bands:
    """Decompose a plane into bands.

    Args:
        plane: H×W, `SMALLEST` pixels or more on each side.

    Returns:
        The bands.
    """
    residual, low = _correlated(plane, [filters.HIGHPASS, filters.LOWPASS_FIRST])
    bands = [[residual]]
    for _ in range(levels((plane.shape[0], plane.shape[1]))):
        *oriented, lower = _correlated(low, [*filters.ORIENTED, filters.LOWPASS])
        bands.append(oriented)
        low = lower[::2, ::2].copy()
    bands.append([low])
    return bands


def reconstruct(bands: Bands) -> Array:
    """Reconstruct a plane from its bands, up to a small error of the kernels.

    Args:
        bands: as `decompose` returns them.

    Returns:
        H×W.
    """
    plane = bands[-1][0]
    for oriented in bands[-2:0:-1]:
        spread = np.zeros_like(oriented[0])
        spread[::2, ::2] = plane
        plane = _convolved(spread, filters.LOWPASS)
        for band, kernel in zip(oriented, filters.ORIENTED, strict=True):
            plane += _convolved(band, kernel)
    return _convolved(plane, filters.LOWPASS_FIRST) + _convolved(bands[0][0], filters.HIGHPASS)


def _convolved(plane: Array, kernel: Array) -> Array:
    return _correlated(plane, [kernel[::-1, ::-1]])[0]


def _correlated(plane: Array, kernels: Sequence[Array]) -> list[Array]:
    """Correlate the mirrored plane with each kernel, by its spectrum."""
    fft = import_optional("scipy.fft")
    height, width = plane.shape
    margin = max(len(kernel) for kernel in kernels) // 2
    mirrored = np.pad(plane, margin, mode="reflect")
    shape = tuple(fft.next_fast_len(side, real=True) for side in mirrored.shape)
    spectrum = fft.rfft2(mirrored, s=shape)
    results = []
    for kernel in kernels:
        product = spectrum * fft.rfft2(kernel, s=shape).conj()
        whole = fft.irfft2(product, s=shape, overwrite_x=True)
        start = margin - len(kernel) // 2
        results.append(whole[start : start + height, start : start + width].copy())
    return results
