"""Design the gain map that leads from a corrected picture to its HDR estimate.

On an HDR screen the picture is to be the same one, with light that shines. So shadows and middle
tones keep the corrected tone, and what is light goes up to the radiance of the estimate, at the
exposure at which the middle tones of both agree. Nothing gets darker.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.smoothing import guided_filter
from drht_plugin.io import GainMap, GainMapValues

FloatArray = npt.NDArray[np.float32]
Plane = npt.NDArray[np.floating[Any]]

MOST_HEADROOM = 3.0
"""Largest gain in stops. A larger one would leave less of it to screens that have less headroom."""

LEAST_HEADROOM = 0.25
"""Headroom of a map without gain, in stops, as some readers divide by it."""

_OFFSET = 1 / 64
_MIDDLE = (0.05, 0.5)
"""Luminance of middle tones in the corrected picture."""

_BELOW = 0.9
"""Factor of the exposure, so that middle tones that are a little lighter than most do not rise."""

_FEWEST = 1e-3
"""Share of middle tones below which all tones decide the exposure."""

_SHOULDER = 0.5
"""Gain in stops up to which, on both sides of none, it sets in smoothly."""

_LIGHT = (0.0, 0.35)
"""Square root of the corrected luminance from which on a gain sets in, and is complete."""

_SMALL, _LARGE = 0.25, 0.5
"""Share of a well-exposed picture that is white: up to the first it may shine, from the second on
it is taken for paper or a white ground, and nothing does."""

_WHITE = 0.7
"""Luminance from which a pixel of the corrected picture counts as white."""

_WINDOWS = 64
"""Square root of the map's area in radii of the windows in which the gain is smoothed."""

_EDGE = 1e-3
"""Variance of the square root of luminance above which the gain keeps an edge."""

_SHINING = 99.95
"""Percentile of the gain that the headroom covers; the few pixels above it reach it."""


def exposure(base: Plane, radiance: Plane) -> float:
    """Return the factor by which the radiance's middle tones are just below the corrected ones.

    Args:
        base: luminance of the corrected picture, h×w; white is 1.
        radiance: luminance of the HDR estimate, h×w.
    """
    middle = (base > _MIDDLE[0]) & (base < _MIDDLE[1])
    if middle.mean() < _FEWEST:
        middle = np.ones_like(middle)
    logs = np.log2((base[middle] + 1e-4) / (radiance[middle] + 1e-4))
    return float(_BELOW * 2 ** np.median(logs))


def gain(base: Plane, radiance: Plane, most: float = MOST_HEADROOM) -> FloatArray:
    """Return the gain that leads from the corrected picture to its HDR rendition.

    Args:
        base: luminance of the corrected picture, h×w; white is 1.
        radiance: luminance of the HDR estimate, h×w.
        most: largest gain in stops.

    Returns:
        h×w float32, in stops, 0 to `most`.
    """
    wanted = radiance * np.float32(exposure(base, radiance))
    full = np.log2((wanted + _OFFSET) / (base + _OFFSET))
    rising = (full + _SHOULDER).clip(0, 2 * _SHOULDER) ** 2 / (4 * _SHOULDER)
    raised = np.maximum(full, rising)
    first, last = _LIGHT
    light = ((np.sqrt(base.clip(0, 1)) - first) / (last - first)).clip(0, 1)
    return (raised * (light * light * (3 - 2 * light))).clip(0, most).astype(np.float32)


def smooth(stops: Plane, base: Plane, *, wrap: bool = False) -> FloatArray:
    """Smooth a gain except at edges of the base, since an estimate of clipped light is uneven.

    Args:
        stops: see `gain`.
        base: see `gain`.
        wrap: whether columns are periodic.

    Returns:
        h×w float32, in stops.
    """
    radius = min(math.isqrt(stops.size) // _WINDOWS, *(side - 1 for side in stops.shape))
    if radius < 1:
        return stops.astype(np.float32)
    guide = np.sqrt(base.clip(0, 1)).astype(np.float64)
    smoothed = guided_filter(guide, stops.astype(np.float64), radius, _EDGE, wrap)
    return smoothed.clip(0, MOST_HEADROOM).astype(np.float32)


def design(
    base: Plane,
    radiance: Plane,
    share: Plane | np.float32,
    *,
    wrap: bool = False,
    known: float | None = None,
    well_exposed: bool = False,
) -> GainMap:
    """Return the gain map of a corrected picture.

    Args:
        base: see `gain`.
        radiance: see `gain`.
        share: of the gain that is applied, h×w or one number, 0..1.
        wrap: whether columns are periodic.
        known: where the radiance is no estimate but known, its largest gain in stops. It is then
            neither smoothed nor cut off at `MOST_HEADROOM`.
        well_exposed: whether the picture was left alone. An estimate of large white areas in it
            then does not count.
    """
    if known is None:
        stops = smooth(gain(base, radiance), base, wrap=wrap) * share
        if well_exposed:
            white = float((base > _WHITE).mean())
            stops *= np.float32(np.clip((_LARGE - white) / (_LARGE - _SMALL), 0, 1))
        shining = float(np.percentile(stops, _SHINING))
    else:
        stops = gain(base, radiance, max(known, MOST_HEADROOM)) * share
        shining = float(stops.max())
    headroom = max(shining, LEAST_HEADROOM)
    codes = np.rint(stops * np.float32(255 / headroom)).clip(0, 255).astype(np.uint8)
    return GainMap(codes[..., None], GainMapValues.up_to(headroom))
