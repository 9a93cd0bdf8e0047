"""Progress of a whole call, combined from its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class ProgressCallback(Protocol):
    """A function that is told how much of the work is done; what it raises stops the work."""

    def __call__(self, share: float, /) -> object:
        """Take the share of the work that is done, 0..1."""
        ...


RowsCallback = Callable[[int, int], object]
"""Function that is called with rows done and rows in all."""

SURVEY_SHARE = 0.3
"""Share of the whole progress that the survey stands for."""


def split(
    progress: ProgressCallback | None, at: float
) -> tuple[ProgressCallback | None, ProgressCallback | None]:
    """Split a callback into two, for the parts of the work before and after the share `at`.

    Args:
        progress: the callback of the whole; None gives None twice.
        at: share of the work that the first part stands for, 0..1.
    """
    if progress is None:
        return None, None
    return (lambda share: progress(share * at)), (lambda share: progress(at + share * (1 - at)))


def by_rows(progress: ProgressCallback | None) -> RowsCallback | None:
    """Convert a callback of a share into one of rows done and rows in all.

    Args:
        progress: the callback; None gives None.
    """
    if progress is None:
        return None
    return lambda done, total: progress(done / total)
