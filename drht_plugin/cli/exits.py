"""Exit codes, and how errors are printed."""

from __future__ import annotations

import sys

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def tell(error: BaseException, words: str = "") -> None:
    """Print an error and its notes."""
    for line in (words or str(error), *getattr(error, "__notes__", ())):
        print(f"drht: {line}", file=sys.stderr)
