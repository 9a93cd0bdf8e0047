"""Use a noise curve: the noise by luma at an overview's pixels and in the corrected picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import LUMA

FloatArray = npt.NDArray[np.float32]

BINS = 16
"""Levels of display-encoded luma, from 0 to 1, at which noise is measured."""

DISTANCES = 2
"""Largest distance in pixels between the neighbours whose differences measure the noise, from 1."""

BLACK = 2 / 255
"""Luma that is added before a gain is taken; next to black there is only noise."""


def noise_map(ldr: FloatArray, curve: FloatArray) -> FloatArray:
    """Look up the noise of each pixel of an overview.

    Args:
        ldr: h×w×3 float32 in 0..1, display-encoded.
        curve: `DISTANCES`×`BINS` float32, see `survey.noise.NoiseMeter.curve`.

    Returns:
        h×w×`DISTANCES` float32, standard deviations in 0..1.
    """
    luma = ldr @ LUMA
    return np.stack([np.interp(luma, bin_centres(), level) for level in curve], -1).astype(
        np.float32
    )


def lifted_noise(
    ldr: FloatArray, corrected: FloatArray, weight: FloatArray, curve: FloatArray
) -> float:
    """Return the mean standard deviation of the noise in T, in guided detail.

    Noise is amplified by the gain of the luma around it.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.
        weight: h×w float32 in 0..1, how much each pixel counts.
        curve: `DISTANCES`×`BINS` float32, see `survey.noise.NoiseMeter.curve`.

    Returns:
        The standard deviation, in 0..1.
    """
    gain = (corrected @ LUMA + BLACK) / (ldr @ LUMA + BLACK)
    noise = noise_map(ldr, curve)[..., 0] * gain
    return float((noise * weight).sum() / max(float(weight.sum()), 1e-6))


def bin_centres() -> npt.NDArray[np.float64]:
    """Return the luma at the centre of each of the `BINS` levels."""
    return (np.arange(BINS) + 0.5) / BINS
