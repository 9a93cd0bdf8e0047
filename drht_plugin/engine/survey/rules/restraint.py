"""Limit what T may be: clipped light stays bright, and the picture does not darken slightly."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import LUMA
from drht_plugin.engine.survey.rules.evidence import exposure_change, mean_luma

FloatArray = npt.NDArray[np.float32]

_WHITE_FROM, _LEAST_WHITE = 0.3, 0.7
"""Where all channels of x are 1, T has at least the second value as luma. The limit falls smoothly
to 0 where a channel of x is at the first value: a step would outline what is clipped."""

_ALIKE, _UNLIKE = 0.3, 0.45
"""Lowering of mean luma in EV: below the first value the input's mean is kept, above the second T's
own is used."""

_HALVINGS = 16
"""Steps of the bisection for the exponent."""

_LEVELS = np.linspace(0, 1, 1024)
"""Levels of the histogram that stands for a picture during the bisection."""


def brighten_clipped(ldr: FloatArray, corrected: FloatArray) -> FloatArray:
    """Keep T bright where the input is clipped.

    There the networks expect the mean of all that may lie behind the white, which shows as a grey
    patch with an outline, in the sky for example.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.

    Returns:
        T, h×w×3 float32 in 0..1.
    """
    after = np.maximum(corrected @ LUMA, 1e-4)
    whiteness = ((ldr.min(-1) - _WHITE_FROM) / (1 - _WHITE_FROM)).clip(0, 1)
    gain = np.maximum(1, _LEAST_WHITE * whiteness**2 / after)
    return (corrected * gain[..., None]).clip(0, 1).astype(np.float32)


def anchor_mean_luma(ldr: FloatArray, corrected: FloatArray, weight: FloatArray) -> FloatArray:
    """Keep the input's mean luma where T would lower it slightly.

    A single picture does not tell exactly how bright its scene should look, and slightly darker is
    as likely to be wrong. Between `_ALIKE` and `_UNLIKE` T's own mean is blended in. T is raised to
    a power, which keeps black and white in place.

    Args:
        ldr: x, h×w×3 float32 in 0..1, display-encoded.
        corrected: T, h×w×3 float32 in 0..1, display-encoded.
        weight: h×w float32 in 0..1, how much each pixel counts.

    Returns:
        T, h×w×3 float32 in 0..1; the given array where its mean stays.
    """
    change = exposure_change(ldr, corrected, weight)
    held = float(np.clip((_UNLIKE + change) / (_UNLIKE - _ALIKE), 0, 1))
    if held == 0 or change >= 0:
        return corrected
    share = weight[..., None] * LUMA / max(float(weight.sum()), 1e-6)
    before, after = (mean_luma(picture, weight) for picture in (ldr, corrected))
    wanted, levels = held * before + (1 - held) * after, _levels(corrected, share)
    least, most = -2.0, 2.0
    for _ in range(_HALVINGS):
        power = (least + most) / 2
        brighter = levels @ _LEVELS ** (2**power) > wanted
        least, most = (power, most) if brighter else (least, power)
    return (corrected ** np.float32(2 ** ((least + most) / 2))).astype(np.float32)


def _levels(picture: FloatArray, share: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return how much of the picture's luma lies at each of `_LEVELS`, interpolated in between."""
    place = picture.clip(0, 1) * (len(_LEVELS) - 1)
    low = np.minimum(place.astype(np.int64), len(_LEVELS) - 2)
    upper = share * (place - low)
    counts: npt.NDArray[np.float64] = np.zeros(len(_LEVELS))
    for at, part in ((low, share - upper), (low + 1, upper)):
        counts += np.bincount(at.ravel(), part.ravel(), len(_LEVELS))
    return counts
