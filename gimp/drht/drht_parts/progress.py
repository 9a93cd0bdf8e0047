"""GIMP's progress bar."""

from gi.repository import Gimp

_SHARES = {"load": (0.0, 0.1), "survey": (0.1, 0.4), "render": (0.4, 0.9), "store": (0.9, 1.0)}


def run_steps(part, steps):
    """Run all steps, and move GIMP's progress bar over the range of this part."""
    first, last = _SHARES[part]
    shown = -1.0
    for share in steps:
        now = first + share * (last - first)
        if now - shown >= 0.005:
            shown = now
            Gimp.progress_update(now)
