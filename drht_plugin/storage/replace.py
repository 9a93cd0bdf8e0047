"""Replace files atomically, one or several at once, and reserve disk space."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from drht_plugin.storage.scratch import scratch_folder


@dataclass(frozen=True)
class _Ready:
    """A complete file that is to replace another.

    Attributes:
        new: path of the complete file.
        target: path of the file to replace or create.
    """

    new: Path
    target: Path

    @property
    def old(self) -> Path:
        """Path of a second name for the file that is replaced."""
        return self.new.with_name("replaced")

    def put(self) -> None:
        """Replace the target."""
        with suppress(OSError):
            os.link(self.target, self.old)
        os.replace(self.new, self.target)

    def take_back(self) -> None:
        """Restore what was there."""
        with suppress(OSError):
            if self.old.exists():
                os.replace(self.old, self.target)
            else:
                os.unlink(self.target)


class Together:
    """Files that appear together or not at all, when the body ends well.

    ``with Together() as group: with replacing(a, group=group) as x, replacing(b, group=group) as y:
    …``

    Raises:
        OSError: one of them cannot be stored; its `filename` is the target.
    """

    def __init__(self) -> None:
        self._ready: list[_Ready] = []
        self._folders = ExitStack()

    def __enter__(self) -> Together:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._folders:
            if kind is None:
                self._put_all()

    def add(self, new: Path, target: Path, folder: ExitStack) -> None:
        """Take over a complete file.

        Args:
            new: path of the complete file.
            target: path of the file to replace or create.
            folder: removes the folder of `new` when it is closed.
        """
        self._folders.push(folder)
        self._ready.append(_Ready(new, target))

    def _put_all(self) -> None:
        done: list[_Ready] = []
        for each in self._ready:
            try:
                each.put()
            except OSError as error:
                for earlier in reversed(done):
                    earlier.take_back()
                raise OSError(error.errno, error.strerror, str(each.target)) from error
            done.append(each)


@contextmanager
def replacing(
    target: Path, folder: Path | None = None, group: Together | None = None
) -> Iterator[Path]:
    """Replace a file by the one that the body writes, once that is complete.

    When the body raises, the temporary file is removed and `target` is left as it was. Temporary
    files of killed processes are removed by the next one that writes there.

    Args:
        target: the file to replace or create. Where it is a link, the file it points to is meant.
        folder: where the temporary file goes, on the same disk as `target`; None puts it beside
            `target`.
        group: files that replace theirs together with this one.

    Yields:
        The path of the temporary file, which the body is to write.

    Raises:
        OSError: the file cannot be stored, or `target` is a pipe, a device or the like.
    """
    real = Path(os.path.realpath(target))  # a link stays a link
    _require_replaceable(real)
    with ExitStack() as scratch:
        # The name has a fixed length, as `target`'s may be as long as the disk allows.
        place = scratch.enter_context(scratch_folder(folder or real.parent))
        temporary = place / f"new{real.suffix.lower()}"
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if real.exists():
            shutil.copymode(real, temporary)
        if group is None:
            os.replace(temporary, real)
        else:
            group.add(temporary, real, scratch.pop_all())


def _require_replaceable(path: Path) -> None:
    """Refuse what is no file: a rename would put one in the place of a device."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, f"is {kind_of(mode)}, not a file", str(path))


def kind_of(mode: int) -> str:
    """Return what a path that is no regular file is, by its mode."""
    kinds = (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
    )
    return next((name for test, name in kinds if test(mode)), "something else")


def reserve(descriptor: int, size: int) -> None:
    """Allocate disk space for a file, so that a full disk shows before the work starts.

    It also halves the time of later writes, as the file system need not search for free blocks.

    Args:
        descriptor: of the open file.
        size: bytes to allocate, from the file's start.

    Raises:
        OSError: the disk is full.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV, errno.ENOSYS):
            raise
