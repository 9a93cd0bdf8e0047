"""What a noise curve says: noise by luma, over an overview and in the corrected picture."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import LUMA

FloatArray = npt.NDArray[np.float32]

BINS = 16
"""Levels of display-encoded luma, from 0 to 1, that noise is measured at."""

DISTANCES = 2
"""Noise is measured between neighbours, and between pixels up to so many apart."""

BLACK = 2 / 255
"""What is added to luma before a gain is taken: next to black there is noise only."""


def noise_map(ldr: FloatArray, curve: FloatArray) -> FloatArray:
    """The noise that a curve says of each pixel of an overview h×w×3: h×w×distances."""
    luma = ldr @ LUMA
    return np.stack([np.interp(luma, bin_centres(), level) for level in curve], -1).astype(
        np.float32
    )


def lifted_noise(
    ldr: FloatArray, corrected: FloatArray, weight: FloatArray, curve: FloatArray
) -> float:
    """How noisy a picture comes out in guided detail: mean standard deviation in T, in 0..1.

    ldr, corrected: h×w×3 overviews, x and T; weight: h×w, how far each place counts. Noise is
    lifted by as much as the luma around it.
    """
    gain = (corrected @ LUMA + BLACK) / (ldr @ LUMA + BLACK)
    noise = noise_map(ldr, curve)[..., 0] * gain
    return float((noise * weight).sum() / max(float(weight.sum()), 1e-6))


def bin_centres() -> npt.NDArray[np.float64]:
    """Return the luma at the centre of each of the `BINS` levels."""
    return (np.arange(BINS) + 0.5) / BINS
