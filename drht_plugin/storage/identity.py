"""What tells a state of a file from others."""

import os

FileIdentity = tuple[int, int, int, int]
"""Device, inode, size and time of the last change of a file's content (nanoseconds)."""


def identity_in(status: os.stat_result) -> FileIdentity:
    """Return what tells the state of a file that a status describes."""
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def identity_of(path: str | os.PathLike[str]) -> FileIdentity | None:
    """Return what tells a state of a file from others; None where there is no file."""
    try:
        return identity_in(os.stat(path))
    except OSError:
        return None
