"""Global and histogram-based corrections that every photo editor has."""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._colour import luma, with_brightness
from drht_plugin.evaluation.methods._entry import Picture
from drht_plugin.evaluation.optional import import_optional

CLIPPED = 0.5
"""Percentage of pixels that auto-levels clips at each end."""

MEAN_LUMA = 0.45
"""Mean encoded luma that `gamma` aims at."""

_GAMMAS = (0.1, 10.0)


def identity(picture: Picture) -> Picture:
    """Return the input.

    Args:
        picture: H×W×3, display-encoded.
    """
    return picture


def auto_levels(picture: Picture) -> Picture:
    """Stretch the luma so that `CLIPPED` per cent of the pixels clip at each end.

    Each pixel's channels are scaled equally, which keeps its colour. A picture of a single tone
    stays unchanged.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, may exceed 1.
    """
    light = luma(picture)
    low, high = np.percentile(light, [CLIPPED, 100 - CLIPPED])
    if high - low < 1 / 255:
        return picture
    return with_brightness(picture, light, np.clip((light - low) / (high - low), 0, 1))


def gamma(picture: Picture) -> Picture:
    """Apply the power that brings the mean luma to `MEAN_LUMA`.

    The power is limited to 0.1..10, which matters for pictures of pure black and white.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    optimize = import_optional("scipy.optimize")

    def excess(log_power: float) -> float:
        return float(luma(picture ** np.float32(np.exp(log_power))).mean()) - MEAN_LUMA

    low, high = np.log(_GAMMAS)
    if excess(low) <= 0:
        log_power = low
    elif excess(high) >= 0:
        log_power = high
    else:
        log_power = optimize.brentq(excess, low, high, xtol=1e-3)
    return picture ** np.float32(np.exp(log_power))


def clahe(picture: Picture) -> Picture:
    """Equalise CIELAB lightness by contrast-limited adaptive histograms (Zuiderveld 1994).

    The clip limit is 2.0, with 8×8 tiles. The lightness has 8 bits, as usual, because the clip
    limit is relative to the number of histogram bins.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    cv2 = import_optional("cv2")
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2Lab)
    lightness = np.round(lab[..., 0] * 2.55).astype(np.uint8)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lightness) / np.float32(2.55)
    result: Picture = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    return result
