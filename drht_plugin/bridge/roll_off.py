"""Roll light above the clip point off into 0..1, and undo it, in numpy.

Camera raw holds light above H = 1, where its first channel clips. A display picture of it keeps H
up to `KNEE` as it is. What lies between there and the headroom, the largest light, takes the rest
of the range, ever more closely. So nothing that the camera held is cut off, and H can be had back.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

KNEE = 0.5
"""Light up to which nothing is rolled off."""

SATURATED = 0.9
"""Share of the headroom from which a picture may lack light that its camera did not hold."""

Light = npt.NDArray[np.floating]


def roll_off(light: Light, headroom: float) -> Light:
    """Bring light of up to the headroom into 0..1: smooth, rising, and 1 at the headroom.

    Args:
        light: H ≥ 0, of any shape; 1.0 is the clip point. Above the headroom it is cut off.
        headroom: largest light, 1 or more; at 1 nothing is changed.
    """
    span, room = headroom - KNEE, 1 - KNEE
    above = ((light - KNEE) / span).clip(0, 1)
    slope = span / room
    return np.where(light > KNEE, KNEE + room * (slope * above / (1 + (slope - 1) * above)), light)


def undo_roll_off(rolled: Light, headroom: float) -> Light:
    """Return the light that was rolled off: the inverse of `roll_off`.

    Args:
        rolled: 0..1, of any shape.
        headroom: largest light, 1 or more.
    """
    span, room = headroom - KNEE, 1 - KNEE
    above = ((rolled - KNEE) / room).clip(0, 1)
    slope = span / room
    return np.where(rolled > KNEE, KNEE + span * (above / (slope - (slope - 1) * above)), rolled)
