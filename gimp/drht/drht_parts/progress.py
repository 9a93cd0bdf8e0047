"""Progress that moves: GIMP's progress bar, and shares between the worker's reports."""

import math
import time

from gi.repository import Gimp

_SHARES = {"load": (0.0, 0.15), "survey": (0.15, 0.4), "render": (0.4, 0.9), "store": (0.9, 1.0)}

_UPDATE_SECONDS = 0.1
"""Time between two updates of GIMP's bar."""

_GUESS = 3.0
"""Seconds that work is thought to take before anything is known of it."""

_BOLDNESS = 0.9
"""How much of the way to the next report is gone before it arrives."""


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


def moving(steps, clock=time.monotonic):
    """Yield the shares of steps, which also grow while there is no news.

    Between two reports a share moves on as fast as before, and ever slower towards the place where
    the next report is expected.

    Args:
        steps: yields the share of the work that is done, 0 to 1, again and again.
        clock: returns the time in seconds.
    """
    start = since = clock()
    reported, shown, gap, pace = 0.0, 0.0, 1.0, _GUESS
    for share in steps:
        now = clock()
        if share > reported:
            gap, reported, since = min(share - reported, 1.0 - share), share, now
            # Seconds to the next report, if it is as far away as the last one was.
            pace = max(1e-3, (now - start) / share * gap)
        gone = 1.0 - math.exp(-(now - since) / pace)
        shown = max(shown, reported, reported + _BOLDNESS * gap * gone)
        yield shown
