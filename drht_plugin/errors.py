"""Exceptions and warnings of the library, as one tree.

::

    DrhtError
    ├── InputError       an argument or array is not accepted (also a ValueError)
    ├── FileError        a file cannot be read or written
    │   ├── ReadError
    │   └── WriteError
    ├── WeightsError     weights are missing, damaged or of another architecture
    ├── DeviceError      an accelerator failed, or has no memory left
    ├── ClusterError     a scheduler or its workers are lost
    ├── DependencyError  a package is missing or does not fit (also an ImportError)
    ├── ForkError        the process was forked after first use of a library that keeps threads
    └── Cancelled        the caller asked to stop

    DrhtWarning          the work continues, but not as the caller may expect (a UserWarning)

Messages say what was given and what is accepted.
"""


class DrhtError(Exception):
    """Base class of the library's exceptions."""


class InputError(DrhtError, ValueError):
    """An argument or array is not accepted; the message says what was given and what is."""


class FileError(DrhtError):
    """A file cannot be used; the message starts with its name."""


class ReadError(FileError):
    """A file cannot be read: it is missing, empty, truncated or of an unsupported kind."""


class WriteError(FileError):
    """A file cannot be written; nothing new is left under the target's name."""


class WeightsError(DrhtError):
    """Weights are missing, damaged or made for another architecture."""


class DeviceError(DrhtError):
    """An accelerator failed during the work, or has no memory left for it."""


class ClusterError(DrhtError):
    """A scheduler is lost during the work, or workers die of a task; the message says which."""


class DependencyError(DrhtError, ImportError):
    """A package is missing or does not fit; the message says what to install."""


class ForkError(DrhtError, RuntimeError):
    """The process was forked after first use of a library whose threads do not outlive a fork."""


class Cancelled(DrhtError):
    """The caller asked to stop before the work was done."""


class DrhtWarning(UserWarning):
    """The work continues, but not as the caller may expect; the message says how."""


def first_line(text: str) -> str:
    """Return the first non-empty line of a library's error message."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[0] if lines else "no reason given"
