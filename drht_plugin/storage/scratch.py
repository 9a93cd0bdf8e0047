"""Folders for unfinished files, which a later process removes if theirs was killed.

A folder is locked while its process lives, so that one without a lock is a leftover. The system
frees locks however a process ends.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
import shutil
import stat
import tempfile
import time
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PREFIXES = (".drht-", "drht-")
_NAME = re.compile(r"\.?drht-([0-9a-f]{8})-[0-9a-f]{12}")
_FOREIGN_SECONDS = 7 * 24 * 3600
"""Age from which a folder is a leftover whose lock cannot be seen from here (seconds)."""

_seen: set[Path] = set()


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """Make a folder for unfinished files, and remove it in the end.

    The first call of a process for a `parent` also removes what killed processes have left there.

    Args:
        parent: an existing folder.

    Yields:
        The folder's path, which libraries for pictures can open whatever `parent` is called.

    Raises:
        OSError: it cannot be made.
    """
    _remove_leftovers_once(parent)
    folder, lock = _make(parent)
    try:
        yield _openable(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def temporary_folder() -> Path:
    """Return the system's folder for temporary files."""
    return Path(tempfile.gettempdir())


@contextmanager
def openable_file(path: Path, suffixes: Collection[str] = ()) -> Iterator[Path]:
    """Give a file a name that libraries for pictures can open, if its own will not do.

    Args:
        path: of an existing file.
        suffixes: lower-case endings by which libraries know the file's format, the usual one first;
            none for any.

    Yields:
        `path`; or a link to it, where that is not UTF-8 or has another suffix.

    Raises:
        OSError: no link can be made.
    """
    known = not suffixes or path.suffix.lower() in suffixes
    if known and _is_utf8(path):
        yield path
        return
    suffix = path.suffix if known else next(iter(suffixes))
    with scratch_folder(temporary_folder()) as folder:
        link = folder / f"file{suffix}"
        link.symlink_to(path.absolute())
        yield link


def _is_utf8(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _openable(folder: Path, lock: int | None) -> Path:
    """Return a path of a folder that is UTF-8, as many libraries need, by its descriptor."""
    alias = Path(f"/proc/self/fd/{lock}")
    return alias if not _is_utf8(folder) and alias.exists() else folder


def make_locked_file(parent: Path, prefix: str) -> tuple[Path, int]:
    """Make a file for the life of this process, and remove what killed ones have left.

    Args:
        parent: an existing folder.
        prefix: begin of its name, ".drht-" or "drht-".

    Returns:
        Its path, and a descriptor for reading and writing; while that is open, the file is locked.

    Raises:
        OSError: it cannot be made.
    """
    _remove_leftovers_once(parent)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
    flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_TEMPORARY", 0)
    while True:
        path = _new_name(parent, prefix)
        descriptor = os.open(path, flags, 0o600)
        if fcntl is None:
            return path, descriptor
        with suppress(OSError):  # of a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return path, descriptor
        os.close(descriptor)  # taken for a leftover before it was locked


def _new_name(parent: Path, prefix: str) -> Path:
    return parent / f"{prefix}{_node()}-{secrets.token_hex(6)}"


def _make(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = _new_name(parent, _PREFIXES[0])
        folder.mkdir(0o700)
        if fcntl is None:
            return folder, None
        lock = None
        try:
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            with suppress(OSError):  # of a file system without locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            # Another process may have taken it for a leftover before it was locked.
            if os.path.samestat(os.stat(folder), os.fstat(lock)):
                return folder, lock
        except FileNotFoundError:
            pass
        except BaseException:
            if lock is not None:
                os.close(lock)
            folder.rmdir()
            raise
        if lock is not None:
            os.close(lock)


def _remove_leftovers_once(parent: Path) -> None:
    if parent not in _seen:
        _seen.add(parent)
        remove_leftovers(parent)


def remove_leftovers(parent: Path) -> None:
    """Remove the files and folders of killed processes of this user; never fails.

    Args:
        parent: where `scratch_folder` or `make_locked_file` made them.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith(_PREFIXES)]
        for path in found:
            with suppress(OSError):
                _remove_leftover(path)


def _remove_leftover(path: Path) -> None:
    made_by, status = _NAME.fullmatch(path.name), os.lstat(path)
    is_folder = stat.S_ISDIR(status.st_mode)
    if made_by is None or not (is_folder or stat.S_ISREG(status.st_mode)) or not is_own(status):
        return
    remove = partial(shutil.rmtree, ignore_errors=True) if is_folder else os.unlink
    if fcntl is None or made_by[1] != _node():
        if time.time() - status.st_mtime > _FOREIGN_SECONDS:
            remove(path)
        return
    lock = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        remove(path)
    finally:
        os.close(lock)


def is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to the user of this process."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


@cache
def _node() -> str:
    """Return what tells this machine from others on the same disk, whose locks are not seen."""
    return f"{zlib.crc32(platform.node().encode()):08x}"
