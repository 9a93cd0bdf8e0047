"""Expansion operators: one LDR picture to scene-linear light, by rules rather than learning.

All give light relative to the input's clip point: a pixel at 1 that an operator leaves alone stays
at 1. The papers give cd/m² of some display; that unit is dropped here, and where an operator needs
the display's peak it is `PEAK`. They change luminance, and colour keeps its channel ratios.
Input is decoded with the sRGB curve.
"""

from __future__ import annotations

import numpy as np

from drht_plugin.bridge.transfer import srgb_decode
from drht_plugin.evaluation.methods._bilateral import bilateral
from drht_plugin.evaluation.methods._colour import luma, with_brightness
from drht_plugin.evaluation.methods._entry import Picture

PEAK = 10.0
"""The display's peak over the input's white: 1000 over 100 cd/m²."""


def linear(picture: Picture) -> Picture:
    """The sRGB decoding alone."""
    return srgb_decode(picture).astype(np.float32)


def landis(picture: Picture) -> Picture:
    """Landis, "Production-ready global illumination", SIGGRAPH course 2002.

    Luminance up to 0.5 stays; above, it is blended with `PEAK` times itself by a power function of
    exponent 2 that reaches 1 at the clip point. Threshold and exponent are the usual ones of the
    literature: the course notes leave them to the user.
    """
    threshold, exponent = 0.5, 2.0
    light = linear(picture)
    luminance = luma(light)
    share = (np.maximum(luminance - threshold, 0) / (1 - threshold)) ** exponent
    return with_brightness(light, luminance, luminance * (1 + (PEAK - 1) * share))


def akyuz(picture: Picture) -> Picture:
    """Akyüz, Fleming, Riecke, Reinhard, Bülthoff, "Do HDR displays support LDR content?", 2007.

    k·((L − min)/(max − min))^γ with γ = 1, which their observers preferred. k is the display's
    peak; as a factor of the whole picture it is but its unit, and is 1 here. A picture of one tone
    has no range to stretch and is left as it is.
    """
    light = linear(picture)
    luminance = luma(light)
    low, high = float(luminance.min()), float(luminance.max())
    if high - low < 1e-6:
        return light
    return with_brightness(light, luminance, (luminance - low) / (high - low))


def masia(picture: Picture) -> Picture:
    """Masia, Serrano, Gutierrez, "Dynamic range expansion based on image statistics", 2015.

    L^γ, with γ = 2.4379 + 0.2319·log L̄ − 1.1228·k + 0.0085·p, where L̄ is the geometric mean, k the
    key (L̄'s place between the 1st and 99th percentile, logarithmically) and p the per cent of
    pixels at 254/255 or above. Their rule of 2009, γ = 10.44·k − 6.282, is not used: it is negative
    for dark pictures, which this rule was made to repair. L is linear luminance of 0..1, as in the
    HDR Toolbox; γ is kept within 0.5..3, which only near-black pictures leave.
    """
    light = linear(picture)
    luminance = luma(light)
    mean = float(np.log(luminance + 1e-6).mean())
    low, high = np.log(np.percentile(luminance, [1, 99]) + 1e-6)
    key = (mean - low) / (high - low) if high - low > 1e-3 else 0.5
    clipped = 100 * float((luma(picture) >= 254 / 255).mean())
    power = 2.4379 + 0.2319 * mean - 1.1228 * key + 0.0085 * clipped
    return with_brightness(light, luminance, luminance ** np.float32(np.clip(power, 0.5, 3)))


def kovaleski_oliveira(picture: Picture) -> Picture:
    """Kovaleski, Oliveira, "High-quality reverse tone mapping for a wide range of exposures", 2014.

    Light times 1 + 3·m, where m is the mask of pixels with a channel above 254/255 (their value for
    stills), smoothed by a cross-bilateral filter guided by the luma: σ 150 pixels on a picture 1920
    wide and in proportion on others, and 25/255.
    """
    spatial = 150 * max(picture.shape[:2]) / 1920
    mask = (picture.max(-1) > 254 / 255).astype(np.float32)
    share = bilateral(mask, luma(picture), max(spatial, 1.0), 25 / 255)
    return linear(picture) * (1 + 3 * share)[..., None]


def huo(picture: Picture) -> Picture:
    """Huo, Yang, Dong, Brost, "Physiological inverse tone mapping based on retina response", 2014.

    L·(sⁿ + gⁿ)^(1/n), with n = 0.86, the local adaptation s (two bilateral filters of L: σ 16
    pixels and 0.3, then 10 and 0.1) and the geometric mean g. Divided by g here, so that dark
    surroundings keep their light and bright ones are raised; g is at least 1/`PEAK`, which bounds
    the expansion as the paper's peak does.
    """
    n = 0.86
    light = linear(picture)
    luminance = luma(light)
    local = bilateral(luminance, luminance, 16.0, 0.3)
    local = np.maximum(bilateral(local, local, 10.0, 0.1), 0)
    mean = max(float(np.exp(np.log(luminance + 1e-6).mean())), 1 / PEAK)
    return light * ((1 + (local / mean) ** n) ** (1 / n))[..., None]
