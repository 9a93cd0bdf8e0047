"""What T may be, whatever the networks say: light at white, and no darker for little.

Detail of lifted shadows is the input's: see `carry`. What is exposed well is left alone: see
`evidence`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import LUMA
from drht_plugin.engine.survey.rules.carry import carry_detail
from drht_plugin.engine.survey.rules.evidence import (
    exposure_change,
    mean_luma,
    share_to_keep,
    unseen,
)

FloatArray = npt.NDArray[np.float32]

_WHITE_FROM, _LEAST_WHITE = 0.3, 0.7
"""T's luma, at least, where all channels of x are 1; falls to 0 where one is at `_WHITE_FROM`, in
a curve without a step, as a step would draw the outline of what is clipped."""

_ALIKE, _UNLIKE = 0.3, 0.45
"""Lowering of mean luma in EV: below the first value none is made, above the second all of it."""

_HALVINGS = 16
_LEVELS = np.linspace(0, 1, 1024)


def apply_rules(
    ldr: FloatArray,
    corrected: FloatArray,
    weight: FloatArray,
    *,
    wrap: bool,
    enlarged: bool = False,
) -> FloatArray:
    """T as the networks gave it, by all the rules.

    ldr, corrected: h×w×3, display-encoded in 0..1. weight: h×w, how far each place counts. wrap:
    columns are periodic. enlarged: the overview is larger than the picture.
    """
    corrected = carry_detail(ldr, brighten_clipped(ldr, corrected), wrap=wrap)
    share = share_to_keep(ldr, corrected, weight, wrap=wrap, enlarged=enlarged)
    corrected = anchor_mean_luma(ldr, corrected, weight)
    return blend_with_input(ldr, corrected, max(share, unseen(ldr, corrected, weight)))


def blend_with_input(ldr: FloatArray, corrected: FloatArray, share: float) -> FloatArray:
    """T with a share of the input in it; from 0, T bit for bit, to 1, the input bit for bit."""
    if share in (0, 1):
        return ldr.copy() if share else corrected
    return (corrected + np.float32(share) * (ldr - corrected)).astype(np.float32)


def brighten_clipped(ldr: FloatArray, corrected: FloatArray) -> FloatArray:
    """T, where the input is clipped, no darker than the eye takes for light.

    There the networks expect a mean of all that might lie behind the white, which shows as a grey
    patch in the sky, with an outline.
    """
    after = np.maximum(corrected @ LUMA, 1e-4)
    whiteness = ((ldr.min(-1) - _WHITE_FROM) / (1 - _WHITE_FROM)).clip(0, 1)
    gain = np.maximum(1, _LEAST_WHITE * whiteness**2 / after)
    return (corrected * gain[..., None]).clip(0, 1).astype(np.float32)


def anchor_mean_luma(ldr: FloatArray, corrected: FloatArray, weight: FloatArray) -> FloatArray:
    """T with the input's mean luma, where it would lower that by little.

    How bright a scene is to be shown, a single picture does not tell that exactly, and a little
    less light is as likely to be wrong. Between `_ALIKE` and `_UNLIKE` T's own mean comes in. The
    tone is moved by a power of T, which leaves black and white in place.
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
    """How much of the picture's luma lies at each of `_LEVELS`, interpolated between them."""
    place = picture.clip(0, 1) * (len(_LEVELS) - 1)
    low = np.minimum(place.astype(np.int64), len(_LEVELS) - 2)
    upper = share * (place - low)
    counts: npt.NDArray[np.float64] = np.zeros(len(_LEVELS))
    for at, part in ((low, share - upper), (low + 1, upper)):
        counts += np.bincount(at.ravel(), part.ravel(), len(_LEVELS))
    return counts
