"""Progress of a whole call, told by its parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class ProgressCallback(Protocol):
    """A function that is told how much of the work is done; what it raises stops the work."""

    def __call__(self, share: float, /) -> object:
        """Take the share of the work that is done, 0..1."""
        ...


RowsCallback = Callable[[int, int], object]
"""Called with rows done and rows in all."""

SURVEY_SHARE = 0.3
"""Share of the progress that the survey counts for."""


def split(
    progress: ProgressCallback | None, at: float
) -> tuple[ProgressCallback | None, ProgressCallback | None]:
    """Make two callbacks for the parts of a whole, before and after the share `at`."""
    if progress is None:
        return None, None
    return (lambda share: progress(share * at)), (lambda share: progress(at + share * (1 - at)))


def by_rows(progress: ProgressCallback | None) -> RowsCallback | None:
    """Make a callback for rows done and rows in all."""
    if progress is None:
        return None
    return lambda done, total: progress(done / total)
