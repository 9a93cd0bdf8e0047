"""Global and histogram corrections that every photo editor has."""

from __future__ import annotations

import numpy as np

from drht_plugin.evaluation.methods._colour import luma, with_brightness
from drht_plugin.evaluation.methods._entry import Picture
from drht_plugin.evaluation.optional import need

CLIPPED = 0.5
"""Per cent of pixels that auto-levels clips at each end."""

MEAN_LUMA = 0.45
"""Mean of the encoded luma that `gamma` aims at."""

_GAMMAS = (0.1, 10.0)


def identity(picture: Picture) -> Picture:
    """The input."""
    return picture


def auto_levels(picture: Picture) -> Picture:
    """Stretch the luma so that `CLIPPED` per cent of the pixels clip at each end.

    Each pixel is scaled as a whole, so that colours are kept. A picture of one tone is left alone.
    """
    light = luma(picture)
    low, high = np.percentile(light, [CLIPPED, 100 - CLIPPED])
    if high - low < 1 / 255:
        return picture
    return with_brightness(picture, light, np.clip((light - low) / (high - low), 0, 1))


def gamma(picture: Picture) -> Picture:
    """One power for all channels that brings the mean luma to `MEAN_LUMA`.

    Where no power between 0.1 and 10 does (pictures of black and white alone), the nearest does.
    """
    optimize = need("scipy.optimize")

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
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of CIELAB's lightness.

    Clip limit 2.0, 8×8 tiles. The lightness is equalised with 8 bits, as is usual: the clip limit
    is relative to the number of histogram bins.
    """
    cv2 = need("cv2")
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2Lab)
    lightness = np.round(lab[..., 0] * 2.55).astype(np.uint8)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lightness) / np.float32(2.55)
    result: Picture = cv2.cvtColor(lab, cv2.COLOR_Lab2RGB)
    return result
