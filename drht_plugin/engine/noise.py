"""How noisy an image is at its own resolution, by luma: what the overview has averaged away.

Within the rows that the survey reads anyway, a second difference x₋ − 2x + x₊ has √6 times the
noise of a pixel, and next to nothing of slopes. Edges and texture are kept out by a low quantile
(after Immerkær, "Fast Noise Variance Estimation", 1996). Taken between neighbours and between
pixels two apart, it tells noise of single pixels from noise that a camera or a coder has spread.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.engine.pixels import LUMA, Kind
from drht_plugin.engine.source import odd_step

FloatArray = npt.NDArray[np.float32]

BINS = 16
"""Levels of display-encoded luma, from 0 to 1, that noise is measured at."""

DISTANCES = 2
"""Noise is measured between neighbours, and between pixels up to so many apart."""

LAP = 2 * DISTANCES
"""Columns that windows beside one another share, so that no difference is left out."""

_STEPS = 1024
_LARGEST = 0.25
"""Differences are counted in so many steps up to this, in display codes of 0..1."""

_SAMPLES = 1 << 18
"""Pixels looked at, about, however large the image is."""

_ENOUGH = 100
"""Differences without which a level says nothing, and is given its neighbours' noise."""

QUIET = 0.3
"""Quantile of differences that noise is measured by: textures fill the higher ones."""

QUIET_DEVIATIONS = NormalDist().inv_cdf((1 + QUIET) / 2)
"""That quantile of the magnitude of noise, in standard deviations."""

BLACK = 2 / 255
"""What is added to luma before a gain is taken: next to black there is noise only."""


class NoiseMeter:
    """Counts differences in the windows it is shown, in any order; see `curve`.

    kind: of the whole image, upright; the windows may be those of a smaller copy.
    """

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        count = 256 if kind.dtype == np.uint8 else 65536
        codes = np.linspace(0, 1, count)
        self._display = (transfer.srgb_encode(codes) if kind.linear else codes).astype(np.float32)
        self._counts = np.zeros((DISTANCES, BINS, _STEPS), np.int64)
        self._shrunk = 1.0

    def add(
        self,
        codes: npt.NDArray[Any],
        pitch: int,
        columns: int,
        *,
        left: int,
        width: int,
        rows: int,
    ) -> None:
        """Count in a window.

        codes, pitch: see `bridge.rows.flat_rows`; rows of the image's channels, as codes of 8 or
        16 bits. columns: of the window. left: its first column in the image or copy that it is of.
        width, rows: columns of that, and how many rows of it are shown in all.
        """
        from drht_plugin.bridge.kernels import count_differences

        self._shrunk = self._kind.width / width
        step = odd_step(rows * width // _SAMPLES)
        channels = self._kind.colours + (self._kind.alpha >= 0)
        count_differences(
            codes,
            pitch,
            (columns, channels, self._kind.alpha),
            (DISTANCES + -left % step, step),
            self._display,
            _STEPS / _LARGEST,
            self._counts,
        )

    def curve(self) -> FloatArray:
        """Standard deviation of the noise of display-encoded luma: distances × `BINS` float32.

        From a smaller copy it is estimated: as if the noise were that of single pixels, and copies
        their means.
        """
        curves = [self._levels(counts) for counts in self._counts]
        return (np.array(curves) * self._shrunk).astype(np.float32)

    def _levels(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        known = counts.sum(1) >= _ENOUGH
        if not known.any():
            return np.zeros(BINS)
        edges = np.arange(_STEPS + 1) * (_LARGEST / _STEPS)
        quantiles = []
        for level in counts[known]:
            below = np.concatenate([[0], level.cumsum()]) / level.sum()
            quantiles.append(np.interp(QUIET, below, edges))
        scale = 6**0.5 * QUIET_DEVIATIONS
        centres = _centres()
        return np.interp(centres, centres[known], np.array(quantiles) / scale)


def noise_map(ldr: FloatArray, curve: FloatArray) -> FloatArray:
    """The noise that a curve says of each pixel of an overview h×w×3: h×w×distances."""
    luma = ldr @ LUMA
    return np.stack([np.interp(luma, _centres(), level) for level in curve], -1).astype(np.float32)


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


def _centres() -> npt.NDArray[np.float64]:
    return (np.arange(BINS) + 0.5) / BINS
