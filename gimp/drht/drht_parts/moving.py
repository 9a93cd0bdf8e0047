"""Progress that moves between the worker's reports."""

import math
import time

_GUESS = 3.0
"""Seconds that work is thought to take before anything is known of it."""

_BOLDNESS = 0.9
"""Share of the way to the next report that is gone before it arrives."""

_PATIENCE = 0.1
"""The same of the way to the end, where the share is beyond the next report."""


def moving(steps, clock=time.monotonic):
    """Yield the shares of steps, which also grow while there is no news.

    Between two reports a share moves on as fast as before, and ever slower.

    Args:
        steps: yields the share of the work that is done, 0 to 1, again and again.
        clock: returns the time in seconds.
    """
    start = last = clock()
    reported, shown, gap, pace = 0.0, 0.0, 1.0, _GUESS
    for share in steps:
        now = clock()
        if share > reported:
            gap, reported = min(share - reported, 1.0 - share), share
            # Seconds to the next report, if it is as far away as the last one was.
            pace = max(1e-3, (now - start) / share * gap)
        aim = max(reported + _BOLDNESS * gap, shown + _PATIENCE * (1.0 - shown))
        shown = max(reported, shown + (aim - shown) * (1.0 - math.exp((last - now) / pace)))
        last = now
        yield shown
