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
from drht_plugin.engine.noise_curve import BINS, DISTANCES, bin_centres
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.source import odd_step

FloatArray = npt.NDArray[np.float32]

OVERLAP = 2 * DISTANCES
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


class NoiseMeter:
    """Counts differences in the windows it is shown, in any order; see `curve`.

    spec: of the whole image, upright; the windows may be those of a smaller copy.
    """

    def __init__(self, spec: ImageSpec) -> None:
        self._spec = spec
        count = 256 if spec.dtype == np.uint8 else 65536
        codes = np.linspace(0, 1, count)
        self._display = (transfer.srgb_encode(codes) if spec.linear else codes).astype(np.float32)
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
        from drht_plugin.bridge.statistics import count_differences

        self._shrunk = self._spec.width / width
        step = odd_step(rows * width // _SAMPLES)
        channels = self._spec.colours + (self._spec.alpha >= 0)
        count_differences(
            codes,
            pitch,
            (columns, channels, self._spec.alpha),
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
        centres = bin_centres()
        return np.interp(centres, centres[known], np.array(quantiles) / scale)
