"""Expansion operators, which map an LDR picture to scene-linear light by rules.

All return light relative to the input's clip point: white that an operator does not change is 1.
The papers use cd/m² of some display. That unit is dropped here; operators that need the display's
peak use `PEAK`. The operators change luminance and keep the ratios of the channels. The input is
decoded with the sRGB curve.
"""

from __future__ import annotations

import numpy as np

from drht_plugin.bridge.transfer import srgb_decode
from drht_plugin.evaluation.methods._bilateral import bilateral
from drht_plugin.evaluation.methods._colour import luma, with_brightness
from drht_plugin.evaluation.methods._entry import Picture

PEAK = 10.0
"""The display's peak relative to the input's white: 1000 over 100 cd/m²."""


def linear(picture: Picture) -> Picture:
    """Decode with the sRGB curve, without expansion.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3 linear light in 0..1.
    """
    return srgb_decode(picture).astype(np.float32)


def landis(picture: Picture) -> Picture:
    """Expand as Landis, "Production-ready global illumination", SIGGRAPH course 2002.

    Luminance up to 0.5 is kept. Above it, luminance is blended with `PEAK` times itself by a power
    function of exponent 2 that reaches 1 at the clip point. Threshold and exponent are those usual
    in the literature; the course notes leave them to the user.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3 linear light.
    """
    threshold, exponent = 0.5, 2.0
    light = linear(picture)
    luminance = luma(light)
    share = (np.maximum(luminance - threshold, 0) / (1 - threshold)) ** exponent
    return with_brightness(light, luminance, luminance * (1 + (PEAK - 1) * share))


def akyuz(picture: Picture) -> Picture:
    """Expand as Akyüz et al., "Do HDR displays support LDR content?", 2007.

    Luminance becomes k·((L − min)/(max − min))^γ with γ = 1, which the paper's observers preferred.
    k is the display's peak, a mere unit, and is 1 here. A picture of a single tone has no range to
    stretch and stays unchanged.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3 linear light.
    """
    light = linear(picture)
    luminance = luma(light)
    low, high = float(luminance.min()), float(luminance.max())
    if high - low < 1e-6:
        return light
    return with_brightness(light, luminance, (luminance - low) / (high - low))


def masia(picture: Picture) -> Picture:
    """Expand as Masia et al., "Dynamic range expansion based on image statistics", 2015.

    Luminance becomes L^γ with γ = 2.4379 + 0.2319·log L̄ − 1.1228·k + 0.0085·p. L̄ is the geometric
    mean, k the key (the position of log L̄ between the logarithms of the 1st and 99th percentile),
    and p the percentage of pixels at 254/255 or above. The authors' rule of 2009,
    γ = 10.44·k − 6.282, is negative for dark pictures, which this rule repairs. L is linear
    luminance in 0..1, as in the HDR Toolbox. γ is limited to 0.5..3, which matters only for nearly
    black pictures.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3 linear light.
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
    """Expand as Kovaleski and Oliveira (2014).

    "High-quality reverse tone mapping for a wide range of exposures". Light is multiplied by
    1 + 3·m. m is the mask of pixels with a channel above 254/255 (the paper's value for stills),
    smoothed by a cross-bilateral filter guided by the luma. Its σ is 150 pixels in a picture 1920
    pixels wide, and in proportion in others, and 25/255 in luma.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3 linear light.
    """
    spatial = 150 * max(picture.shape[:2]) / 1920
    mask = (picture.max(-1) > 254 / 255).astype(np.float32)
    share = bilateral(mask, luma(picture), max(spatial, 1.0), 25 / 255)
    return linear(picture) * (1 + 3 * share)[..., None]


def huo(picture: Picture) -> Picture:
    """Expand as Huo et al., "Physiological inverse tone mapping based on retina response", 2014.

    Light becomes L·(sⁿ + gⁿ)^(1/n) with n = 0.86, local adaptation s (L after two bilateral filters
    of σ 16 pixels and 0.3, then 10 pixels and 0.1) and geometric mean g. It is divided by g here,
    so that light in dark surroundings is kept and in bright ones raised. g is at least 1/`PEAK`,
    which limits the expansion as the paper's peak does.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3 linear light.
    """
    n = 0.86
    light = linear(picture)
    luminance = luma(light)
    local = bilateral(luminance, luminance, 16.0, 0.3)
    local = np.maximum(bilateral(local, local, 10.0, 0.1), 0)
    mean = max(float(np.exp(np.log(luminance + 1e-6).mean())), 1 / PEAK)
    return light * ((1 + (local / mean) ** n) ** (1 / n))[..., None]
