"""Exit codes, and what is printed of errors."""

from __future__ import annotations

import sys
import traceback
import unicodedata
from contextlib import suppress
from pathlib import Path

from drht_plugin.cli.limits import limit_note
from drht_plugin.errors import DrhtError, first_line

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


def print_error(error: BaseException, message: str = "") -> None:
    """Print an error and its notes to stderr, each line with the prefix "drht: ".

    Args:
        error: the error, with the notes that were added to it.
        message: text to print in place of the error's own.
    """
    for line in (message or describe(error), *getattr(error, "__notes__", ())):
        print_note(line)


def print_note(line: str) -> None:
    """Print a line to stderr with the prefix "drht: ", if stderr takes it."""
    with suppress(OSError, ValueError):
        print(f"drht: {printable(line)}", file=sys.stderr, flush=True)


def describe(error: BaseException) -> str:
    """Return in a line what went wrong."""
    if isinstance(error, DrhtError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"there is not enough memory{limit_note()}"
    if isinstance(error, OSError) and error.strerror:
        names = [str(name) for name in (error.filename, error.filename2) if name is not None]
        return ": ".join([*names, error.strerror])
    kind, words = type(error).__name__, first_line(str(error))
    if isinstance(error, (ImportError, OSError)) and limit_note():
        return f"a library finds no room{limit_note()}: {words}"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"unexpected {kind}: {words}{place}"


def printable(text: str) -> str:
    r"""Return a text in which nothing controls the terminal, and that any UTF-8 stream takes.

    Bytes of a name that are not UTF-8 become `\xe9`, control characters `\n` or `\u202e`.
    """
    return "".join(map(_shown, text))


def _shown(character: str) -> str:
    if character.isprintable() or unicodedata.category(character) == "Zs":
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte, see os.fsdecode
        return f"\\x{code - 0xDC00:02x}"
    if 0x80 <= code < 0x100:
        return f"\\u{code:04x}"
    return character.encode("unicode_escape").decode()
