"""A file appears under its name only when it is whole."""

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path, folder: Path | None = None) -> Iterator[Path]:
    """Give a temporary name; a body that ends well puts that file in the place of `target`.

    Whatever ends the body otherwise, the temporary file is removed and `target` is untouched. It
    is beside `target`, or in `folder`, which must be on the same disk.

    Raises:
        OSError: The file could not be stored whole.
    """
    real = Path(os.path.realpath(target))  # a link keeps pointing where it points
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
    """Take the disk space for a file at once: a disk that is too full says so before the work.

    It also spares the file system the search for room at every write, half of a write's time.

    Raises:
        OSError: there is no room for it.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP, errno.ENODEV, errno.ENOSYS):
            raise
