"""GIMP's progress bar."""

import math
import time

from gi.repository import Gimp

from .moving import moving

_SHARES = {"load": (0.0, 0.15), "survey": (0.15, 0.4), "render": (0.4, 0.9), "store": (0.9, 1.0)}

_UPDATE_SECONDS = 0.1
"""Time between two updates of GIMP's bar."""


def run_steps(part, steps, number=0, count=1):
    """Run all steps, and move GIMP's progress bar over the range of this part.

    Args:
        part: the part of the work on a picture.
        steps: yield the share of the part that is done, 0 to 1.
        number: of the picture, from 0.
        count: how many pictures there are.
    """
    first, last = _SHARES[part]
    updated = -math.inf
    for share in moving(steps):
        now = time.monotonic()
        if now - updated >= _UPDATE_SECONDS:
            updated = now
            Gimp.progress_update((number + first + share * (last - first)) / count)
    Gimp.progress_update((number + last) / count)
