"""Correction of exposure by a smoother; L0S, SMF and DJF differ only in the smoother.

The paper that compares with these smoothers does not say how it corrects exposure with them. The
recipe here follows Durand and Dorsey (2002):

1. Smooth the encoded luma; the result is the base.
2. Convert luma and base to stops: log2 of linear light plus 2⁻⁸. Detail is luma minus base.
3. Move the base's white (99.5th percentile) to a quarter stop below white, which leaves room for
   detail, but up by no more than the distance from the mean to mid-grey (18 %). Scale the base
   about its white so that its mean becomes mid-grey: by a factor of 0.4 or more in dark pictures,
   which compresses it, and of 1.6 or less in pale ones, which stretches it.
4. Multiply detail by 1.4, and all channels of linear light by the resulting gain.
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
    """Correct a picture with a smoother.

    Args:
        picture: H×W×3, display-encoded.
        smooth: smoother of H×W planes in 0..1.

    Returns:
        H×W×3, display-encoded.
    """
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
    """Correct a picture with L0 gradient minimisation.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    return correct(picture, l0_smoothing.smooth)


def smf(picture: Picture) -> Picture:
    """Correct a picture with semantic filtering.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.
    """
    return correct(picture, semantic_filter.smooth)


def djf(picture: Picture) -> Picture:
    """Correct a picture with deep joint filtering.

    Args:
        picture: H×W×3, display-encoded.

    Returns:
        H×W×3, display-encoded.

    Raises:
        WeightsError: the shipped weights cannot be used.
    """
    from drht_plugin.evaluation.methods.djf import smooth

    return correct(picture, smooth)


def _stops(coded: Plane) -> Plane:
    stops: Plane = np.log2(srgb_decode(coded) + _FLOOR).astype(np.float32)
    return stops
