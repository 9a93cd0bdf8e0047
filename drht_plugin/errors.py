"""Every exception that the library raises on purpose, as one tree.

::

    DrhtError
    ├── InputError       an argument or array outside the contract (also a ValueError)
    ├── FileError        a file that cannot be read or written
    │   ├── ReadError
    │   └── WriteError
    ├── WeightsError     weights that are missing, damaged or of another architecture
    ├── DependencyError  an optional package that is not installed; names the extra
    └── Cancelled        the caller asked to stop

    DrhtWarning          the work goes on, but not as the caller may expect (a UserWarning)

Messages say what was given and what is accepted.
"""


class DrhtError(Exception):
    """Base of every exception that the library raises on purpose."""


class InputError(DrhtError, ValueError):
    """An argument or array outside the contract; says what was given and what is accepted."""


class FileError(DrhtError):
    """A file that cannot be used; the message starts with its name."""


class ReadError(FileError):
    """A file that cannot be read: missing, empty, truncated, or of a kind not understood."""


class WriteError(FileError):
    """A file that cannot be written; nothing is left under the target's name."""


class WeightsError(DrhtError):
    """Weights that are missing, damaged, or made for another architecture."""


class DependencyError(DrhtError, ImportError):
    """An optional package is missing; the message names the extra that brings it."""


class Cancelled(DrhtError):
    """The caller asked to stop before the work was done."""


class DrhtWarning(UserWarning):
    """The work goes on, but not quite as the caller may expect; says how."""


def first_line(text: str) -> str:
    """Return the first line of what a library said."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
