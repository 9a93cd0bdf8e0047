"""The one recipe by which a smoother corrects exposure: L0S, SMF and DJF differ in the smoother.

How the paper that compares with these smoothers made correctors of them is not published. Here,
after Durand and Dorsey (2002):

1. The smoother takes the encoded luma; what it gives is the base.
2. Luma and base go to stops: log2 of linear light plus 2⁻⁸. Detail is luma minus base.
3. The base's white (99.5th percentile) goes to a quarter stop below white, which leaves room for
   detail, but not further up than the mean lies below mid-grey (18 %). The base is scaled about its
   white so that its mean comes to mid-grey: compressed in dark pictures, at most to 0.4, and
   stretched in pale ones, at most to 1.6.
4. Detail is multiplied by 1.4, and all channels of linear light by the resulting gain.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from drht_plugin.bridge.transfer import srgb_decode, srgb_encode
from drht_plugin.evaluation.methods import l0s as l0_smoothing
from drht_plugin.evaluation.methods import smf as semantic_filter
from drht_plugin.evaluation.methods._colour import luma
from drht_plugin.evaluation.methods._entry import Picture, Plane

MIDDLE = float(np.log2(0.18))
WHITE = 99.5
ROOM = 0.25
SCALES = (0.4, 1.6)
DETAIL = 1.4
_FLOOR = 2.0**-8


def correct(picture: Picture, smooth: Callable[[Plane], Plane]) -> Picture:
    """Apply the recipe with one smoother of luma planes of 0..1."""
    coded = luma(picture)
    light, base = _stops(coded), _stops(np.clip(smooth(coded), 0, 1))
    white = float(np.percentile(base, WHITE))
    mean = float(base.mean())
    new_white = white + min(-ROOM - white, max(MIDDLE - mean, 0))
    scale = float(np.clip((MIDDLE - new_white) / min(mean - white, -1e-3), *SCALES))
    gain = np.exp2(scale * (base - white) + new_white - base + (DETAIL - 1) * (light - base))
    corrected = np.clip(srgb_decode(picture) * gain[..., None], 0, 1)
    return srgb_encode(corrected).astype(np.float32)


def l0s(picture: Picture) -> Picture:
    """The recipe with L0 gradient minimisation."""
    return correct(picture, l0_smoothing.smooth)


def smf(picture: Picture) -> Picture:
    """The recipe with semantic filtering."""
    return correct(picture, semantic_filter.smooth)


def djf(picture: Picture) -> Picture:
    """The recipe with deep joint filtering."""
    from drht_plugin.evaluation.methods.djf import smooth

    return correct(picture, smooth)


def _stops(coded: Plane) -> Plane:
    stops: Plane = np.log2(srgb_decode(coded) + _FLOOR).astype(np.float32)
    return stops
