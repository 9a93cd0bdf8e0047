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
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PREFIX = ".drht-"
_NAME = re.compile(r"\.drht-([0-9a-f]{8})-[0-9a-f]{12}")
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
    if parent not in _seen:
        _seen.add(parent)
        remove_leftovers(parent)
    folder, lock = _make(parent)
    try:
        yield _openable(folder, lock)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


@contextmanager
def openable_file(path: Path) -> Iterator[Path]:
    """Give a file a name that libraries for pictures can open, if its own is not UTF-8.

    Args:
        path: of an existing file.

    Yields:
        `path`, or a link to it that has the same suffix.

    Raises:
        OSError: no link can be made.
    """
    if _is_utf8(path):
        yield path
        return
    with scratch_folder(Path(tempfile.gettempdir())) as folder:
        link = folder / f"file{path.suffix}"
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


def _make(parent: Path) -> tuple[Path, int | None]:
    while True:
        folder = parent / f"{_PREFIX}{_node()}-{secrets.token_hex(6)}"
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


def remove_leftovers(parent: Path) -> None:
    """Remove the folders of killed processes of this user; never fails.

    Args:
        parent: where `scratch_folder` made them.
    """
    with suppress(OSError), os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith(_PREFIX)]
        for folder in found:
            with suppress(OSError):
                _remove_leftover(folder)


def _remove_leftover(folder: Path) -> None:
    made_by = _NAME.fullmatch(folder.name)
    status = os.lstat(folder)
    if made_by is None or not stat.S_ISDIR(status.st_mode) or not is_own(status):
        return
    if fcntl is None or made_by[1] != _node():
        if time.time() - status.st_mtime > _FOREIGN_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)
        return
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def is_own(status: os.stat_result) -> bool:
    """Return whether a file belongs to the user of this process."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


@cache
def _node() -> str:
    """Return what tells this machine from others on the same disk, whose locks are not seen."""
    return f"{zlib.crc32(platform.node().encode()):08x}"
