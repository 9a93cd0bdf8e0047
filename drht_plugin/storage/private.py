"""A folder of one's own files, opened so that no other user can put anything under its names."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

from drht_plugin.storage.replace import kind_of
from drht_plugin.storage.scratch import is_own

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_BY_FOLDER = os.open in os.supports_dir_fd
_OTHERS_WRITE = 0o022


class UnsafeError(OSError):
    """A name stands for something else than an own file or folder; the message says for what."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")


class BusyError(OSError):
    """Another process has locked the folder."""


class PrivateFolder:
    """A locked folder with files, all of this user. Links are not followed.

    Args:
        path: of the folder.
        create: whether to make it if it is missing.

    Attributes:
        path: of the folder.
        fresh: whether it was made now.

    Raises:
        UnsafeError: the path is a link or no folder, or others own it or may write to it.
        BusyError: another process has locked it.
        OSError: it cannot be opened or made.
    """

    def __init__(self, path: Path, *, create: bool) -> None:
        self.path, self.fresh = path, False
        self._open = ExitStack()
        self._descriptor: int | None = None
        while not self._try_to_lock(create=create):
            self._open.close()

    def _try_to_lock(self, *, create: bool) -> bool:
        """Open and lock the folder; False if another process has removed it meanwhile."""
        if create:
            try:
                self.path.mkdir(0o700)
                self.fresh = True
            except FileExistsError:
                self.fresh = False
        _require_own(self.path, os.lstat(self.path), folder=True)
        if fcntl is None:
            return True
        descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | _NO_FOLLOW)
        self._open.callback(os.close, descriptor)
        self._descriptor = descriptor
        try:
            _require_own(self.path, os.fstat(descriptor), folder=True)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(descriptor), os.lstat(self.path))
        except BlockingIOError as error:
            self.close()
            raise BusyError(error.errno, error.strerror) from error
        except FileNotFoundError:
            return False
        except BaseException:
            self.close()
            raise

    def open(self, name: str) -> FileIO:
        """Open a file for reading and writing, and make it if it is missing.

        Raises:
            UnsafeError: it is a link or no file, has a second name, or others own it or may write
                to it.
            OSError: it cannot be opened.
        """
        flags = os.O_RDWR | os.O_CREAT | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
        self.require_own(name)
        if _BY_FOLDER and self._descriptor is not None:
            file = FileIO(os.open(name, flags, 0o600, dir_fd=self._descriptor), "r+b")
        else:
            file = FileIO(os.open(self.path / name, flags, 0o600), "r+b")
        self._open.enter_context(file)
        _require_own(self.path / name, os.fstat(file.fileno()), folder=False)
        return file

    def require_own(self, name: str) -> bool:
        """Check a file without opening it; return whether it exists.

        Raises:
            UnsafeError: see `open`.
        """
        try:
            status = os.lstat(self.path / name)
        except FileNotFoundError:
            return False
        _require_own(self.path / name, status, folder=False)
        return True

    def remove(self) -> None:
        """Remove the folder, and close it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.close()

    def close(self) -> None:
        """Close all files, and unlock the folder."""
        self._open.close()
        self._descriptor = None


def _require_own(path: Path, status: os.stat_result, *, folder: bool) -> None:
    mode = status.st_mode
    if stat.S_ISLNK(mode):
        raise UnsafeError(path, "is a link, which is not followed")
    if not (stat.S_ISDIR(mode) if folder else stat.S_ISREG(mode)):
        raise UnsafeError(path, "is no folder" if folder else f"is {kind_of(mode)}, not a file")
    if not is_own(status):
        raise UnsafeError(path, "belongs to another user")
    if os.name == "posix" and mode & _OTHERS_WRITE:
        raise UnsafeError(path, "can be written by other users")
    if not folder and status.st_nlink > 1:
        raise UnsafeError(path, "has a second name, a hard link")
