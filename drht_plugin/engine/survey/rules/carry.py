"""Restore the input's detail in strongly lifted shadows.

The networks redraw what they lift and blur it, and a tone grid that is fitted to the result blurs
too. So the gain from the input's luma to T's is smoothed by a guided filter (He, Sun, Tang, "Guided
Image Filtering", 2013), which keeps the input's edges, and applied to the input. The noise that is
left in the overview is measured and not carried over.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.noise_curve import BLACK
from drht_plugin.engine.pixels import LUMA
from drht_plugin.engine.smoothing import box_mean, guided_filter
from drht_plugin.engine.survey.noise import QUIET, QUIET_DEVIATIONS

FloatArray = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]

_FROM, _TO = 0.6, 1.4
"""Gain at which blending towards the input's detail starts, and where it is complete (natural
log)."""

_RADIUS = 5
"""Radius of the windows in which the gain is smoothed, in overview pixels."""

_EDGE = 0.03
"""Variance of log luma above which the gain keeps an edge."""

_FINE = 2
"""Radius of the windows in which detail is told from noise, in overview pixels."""

_ABOVE_NOISE = 5.0
"""Multiple of the noise variance at which half of the variation counts as detail."""

_ENOUGH = 50
"""Fewer differences than this give no noise level."""


def carry_detail(ldr: FloatArray, corrected: FloatArray, *, wrap: bool) -> FloatArray:
    """Give T the input's local contrast where it lifts luma by a factor of 1.8 or more.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.
        wrap: whether columns are periodic.

    Returns:
        T, h×w×3 float32 in 0..1; the given array where nothing is lifted that far.
    """
    before = (ldr @ LUMA).astype(np.float64)
    after = (corrected @ LUMA).astype(np.float64)
    dark, lifted = np.log(before + BLACK), np.log(after + BLACK)
    share = ((lifted - dark - _FROM) / (_TO - _FROM)).clip(0, 1)
    if not share.any():
        return corrected
    variance = (_noise_level(before, share > 0, wrap) / (before + BLACK)) ** 2
    clean = _denoise(dark, variance, wrap)
    gain = lifted - clean
    smooth = guided_filter(clean, gain, _RADIUS, _EDGE, wrap)
    wanted = (after + BLACK) * np.exp(share * (smooth - gain)) - BLACK
    factor = np.maximum(wanted, 0) / np.maximum(after, 1e-4)
    return (corrected * factor[..., None]).clip(0, 1).astype(np.float32)


def _noise_level(luma: Plane, where: npt.NDArray[np.bool_], wrap: bool) -> float:
    """Return the standard deviation of the noise, from mixed differences of 2×2 neighbours.

    Edges and slopes are seldom diagonal at this scale. A low quantile leaves out those that are,
    and texture (after Immerkær, "Fast Noise Variance Estimation", 1996). Too few differences give
    0.
    """
    if wrap:
        luma, where = (np.concatenate([p, p[:, :1]], 1) for p in (luma, where))
    mixed = np.diff(np.diff(luma, axis=0), axis=1)
    differences = np.abs(mixed)[where[:-1, :-1]] / 2
    if differences.size < _ENOUGH:
        return 0.0
    return float(np.quantile(differences, QUIET)) / QUIET_DEVIATIONS


def _denoise(plane: Plane, noise: Plane, wrap: bool) -> Plane:
    """Smooth a plane where its variance is no larger than that of its noise."""
    return guided_filter(
        plane, plane, _FINE, _ABOVE_NOISE * box_mean(noise, _FINE, wrap) + 1e-9, wrap
    )
