"""Measure how noisy an image is at its own resolution, by luma.

The overview cannot tell, since averaging removes the noise. But the survey reads rows of the
image anyway. A second difference x₋ − 2x + x₊ along a row has √6 times the standard deviation of a
pixel's noise, and is close to 0 on slopes. A low quantile of the differences leaves out edges
and texture (after Immerkær, "Fast Noise Variance Estimation", 1996). Differences are taken between
direct neighbours and between pixels two apart: the two together tell noise of single pixels from
noise that a camera or an encoder has spread.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.bridge import transfer
from drht_plugin.engine.kernels import SurveyKernels, numba_kernels
from drht_plugin.engine.noise_curve import BINS, DISTANCES, bin_centres
from drht_plugin.engine.pixels import ImageSpec
from drht_plugin.engine.source import odd_step

FloatArray = npt.NDArray[np.float32]

OVERLAP = 2 * DISTANCES
"""Columns that neighbouring windows share, so that no difference is missed."""

_STEPS = 1024
"""Bins of the histogram of differences."""

_LARGEST = 0.25
"""Upper end of that histogram, in display codes of 0..1."""

_SAMPLES = 1 << 18
"""Approximate number of pixels that are sampled, whatever the image's size."""

_ENOUGH = 100
"""A luma level with fewer differences takes the noise of its neighbours."""

QUIET = 0.3
"""Quantile of the differences that noise is measured by; higher ones contain texture."""

QUIET_DEVIATIONS = NormalDist().inv_cdf((1 + QUIET) / 2)
"""That quantile of |noise| for a normal distribution, in standard deviations."""


class NoiseMeter:
    """Counter of the differences in windows of an image, which may come in any order.

    Args:
        spec: the whole upright image. The windows may be those of a smaller copy.
        kernels: what counts; numba's by default.

    Attributes:
        counts: distances×levels×bins int64; see `bridge.statistics.count_differences`.
    """

    def __init__(self, spec: ImageSpec, kernels: SurveyKernels | None = None) -> None:
        self._kernels = kernels
        self._spec = spec
        count = 256 if spec.dtype == np.uint8 else 65536
        codes = np.linspace(0, 1, count)
        self._display = (transfer.srgb_encode(codes) if spec.linear else codes).astype(np.float32)
        self.counts = np.zeros((DISTANCES, BINS, _STEPS), np.int64)
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
        """Count the differences in a window.

        Args:
            codes: flat rows of uint8 or uint16 codes; see
                `bridge.rows.flat_rows`.
            pitch: elements from one row to the next.
            columns: width of the window.
            left: first column of the window in the image or its copy.
            width: width of the image or its copy.
            rows: rows of it that are shown in all.
        """
        self._shrunk = self._spec.width / width
        step = odd_step(rows * width // _SAMPLES)
        channels = self._spec.colours + (self._spec.alpha >= 0)
        kernels = self._kernels or numba_kernels()
        kernels.count_differences(
            codes,
            pitch,
            (columns, channels, self._spec.alpha),
            (DISTANCES + -left % step, step),
            self._display,
            _STEPS / _LARGEST,
            self.counts,
        )

    def curve(self) -> FloatArray:
        """Return the standard deviation of the noise by luma.

        For a smaller copy the image's noise is estimated, as if it were independent between pixels
        and the copy's pixels were their means.

        Returns:
            `DISTANCES`×`BINS` float32, of display-encoded luma in 0..1.
        """
        curves = [self._levels(counts) for counts in self.counts]
        return (np.array(curves) * self._shrunk).astype(np.float32)

    def _levels(self, counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return each luma level's noise, interpolated where there are too few differences."""
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
