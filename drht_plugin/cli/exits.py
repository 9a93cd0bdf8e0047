"""Exit codes, and printing of errors."""

from __future__ import annotations

import sys

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def print_error(error: BaseException, message: str = "") -> None:
    """Print an error and its notes to stderr, each line with the prefix "drht: ".

    Args:
        error: the error, with the notes that were added to it.
        message: text to print in place of the error's own.
    """
    for line in (message or str(error), *getattr(error, "__notes__", ())):
        print(f"drht: {line}", file=sys.stderr)
