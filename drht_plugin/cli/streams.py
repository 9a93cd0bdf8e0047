"""Standard streams that may be closed, broken or full."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from drht_plugin.cli.exits import print_note

_PATIENCE = 1.0
"""Time that readers of the streams have after a signal (seconds)."""


def prepare_streams() -> None:
    """Make the process's standard streams safe to use, before anything else is opened.

    A file would take the number of a closed stream, and get what libraries print. Characters that
    a stream's encoding lacks are escaped.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            with suppress(OSError):
                os.open(os.devnull, os.O_RDWR)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Output:
    """Lines on stdout. When they cannot be printed, stderr says so once, and the work goes on.

    Args:
        beside: whether stdout is a picture's, so that lines go to stderr.

    Attributes:
        failed: whether a line could not be printed.
    """

    def __init__(self, *, beside: bool = False) -> None:
        self.failed, self._beside = False, beside

    def line(self, text: str) -> None:
        """Print a line."""
        if self.failed:
            return
        try:
            if sys.stdout is None:
                raise OSError(errno.EBADF, "it is closed")
            print(text, file=sys.stderr if self._beside else sys.stdout, flush=True)
        except (OSError, ValueError) as error:
            self.failed = True
            _give_up(error)

    def picture(self, path: Path) -> None:
        """Copy a picture's bytes to stdout."""
        try:
            if sys.stdout is None:
                raise OSError(errno.EBADF, "it is closed")
            with open(path, "rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
        except (OSError, ValueError) as error:
            self.failed = True
            _give_up(error)


def leave(code: int, last_words: Callable[[], None], *, ends: bool) -> None:
    """Print the last words of a run that a signal ended, to whoever still reads.

    Args:
        code: exit code of the process.
        last_words: prints them.
        ends: whether the process ends now. It does so at once where nobody reads what is left to
            print, as Python would wait for that.
    """
    if not ends:
        last_words()
        return

    def finish() -> None:
        last_words()
        flush_output()

    printing = threading.Thread(target=finish, daemon=True)
    printing.start()
    printing.join(_PATIENCE)
    if printing.is_alive():
        os._exit(code)


def flush_output() -> bool:
    """Flush stdout at the end of the process; return whether that succeeded."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except (OSError, ValueError) as error:
        _give_up(error)
        return False
    return True


def _give_up(error: Exception) -> None:
    """Say that stdout fails, and let what is buffered vanish, since Python flushes it at exit."""
    print_note(f"stdout cannot be written: {getattr(error, 'strerror', None) or error}")
    with suppress(OSError, ValueError, AttributeError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
