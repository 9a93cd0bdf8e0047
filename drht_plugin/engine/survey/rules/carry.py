"""Where T lifts a shadow by much, its detail is the input's, carried by a smooth gain.

The networks draw what they lift anew, and blur it; fitted to that, the tone grid blurs too. So the
gain from the input's luma to T's is smoothed by a guided filter (He, Sun, Tang, "Guided Image
Filtering", 2013), which keeps its edges where the input has them, and applied to the input. What
the overview still has of the input's noise is measured and left behind.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.noise_curve import BLACK
from drht_plugin.engine.pixels import LUMA
from drht_plugin.engine.survey.noise import QUIET, QUIET_DEVIATIONS

FloatArray = npt.NDArray[np.float32]
Plane = npt.NDArray[np.float64]

_FROM, _TO = 0.6, 1.4
"""Natural logarithms of the gain of codes from which on, and at which, detail is the input's."""

_RADIUS = 5
"""Of the windows in which the gain is smoothed, in overview pixels."""

_EDGE = 0.03
"""Variance of log luma from which on something is an edge of the gain's."""

_FINE = 2
"""Radius of the windows in which detail is told from noise."""

_ABOVE_NOISE = 5.0
"""How many times the noise's variance detail has where half of it is taken for detail."""

_ENOUGH = 50
"""Differences without which there is no measure."""


def carry_detail(ldr: FloatArray, corrected: FloatArray, *, wrap: bool) -> FloatArray:
    """T with the input's local contrast where it lifts luma by a factor of 1.8 and more.

    ldr, corrected: h×w×3, display-encoded in 0..1. wrap: columns are periodic.
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
    smooth = _guided_filter(clean, gain, _RADIUS, _EDGE, wrap)
    wanted = (after + BLACK) * np.exp(share * (smooth - gain)) - BLACK
    factor = np.maximum(wanted, 0) / np.maximum(after, 1e-4)
    return (corrected * factor[..., None]).clip(0, 1).astype(np.float32)


def _noise_level(luma: Plane, where: npt.NDArray[np.bool_], wrap: bool) -> float:
    """Standard deviation of the noise, from what differs both ways between neighbours.

    0 where there are too few. Edges and slopes are seldom diagonal at that scale; what is, and
    texture, is kept out by a low quantile (after Immerkær, "Fast Noise Variance Estimation", 1996).
    """
    if wrap:
        luma, where = (np.concatenate([p, p[:, :1]], 1) for p in (luma, where))
    mixed = np.diff(np.diff(luma, axis=0), axis=1)
    differences = np.abs(mixed)[where[:-1, :-1]] / 2
    if differences.size < _ENOUGH:
        return 0.0
    return float(np.quantile(differences, QUIET)) / QUIET_DEVIATIONS


def _denoise(plane: Plane, noise: Plane, wrap: bool) -> Plane:
    """The plane, smoothed where it varies by no more than its noise, given as variance."""
    return _guided_filter(
        plane, plane, _FINE, _ABOVE_NOISE * _box_mean(noise, _FINE, wrap) + 1e-9, wrap
    )


def _guided_filter(
    guide: Plane, plane: Plane, radius: int, edge: float | Plane, wrap: bool
) -> Plane:
    """The plane, smoothed but for edges that the guide has too, from a variance of `edge` on."""
    mean, wanted = _box_mean(guide, radius, wrap), _box_mean(plane, radius, wrap)
    variance = np.maximum(_box_mean(guide * guide, radius, wrap) - mean**2, 0)
    slope = (_box_mean(guide * plane, radius, wrap) - mean * wanted) / (variance + edge)
    offset = wanted - slope * mean
    return _box_mean(slope, radius, wrap) * guide + _box_mean(offset, radius, wrap)


def _box_mean(plane: Plane, radius: int, wrap: bool) -> Plane:
    """Mean over windows of 2·radius + 1 pixels each way; mirrored at edges, or periodic."""
    across: Literal["wrap", "symmetric"] = "wrap" if wrap else "symmetric"
    width = 2 * radius + 1
    for axis in (0, 1):
        pads = [(0, 0), (0, 0)]
        pads[axis] = (radius + 1, radius)
        sums = np.pad(plane, pads, mode=across if axis else "symmetric").cumsum(axis)
        count = plane.shape[axis]
        last, first = np.arange(width, width + count), np.arange(count)
        plane = (sums.take(last, axis) - sums.take(first, axis)) / width
    return plane
