"""A file appears under its name only when it is whole."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Give a temporary name beside `target`; a body that ends well puts that file in its place.

    Whatever ends the body otherwise, the temporary file is removed and `target` is untouched.

    Raises:
        OSError: The file could not be stored whole.
    """
    real = Path(os.path.realpath(target))  # a link keeps pointing where it points
    temporary = real.with_name(f".drht-{secrets.token_hex(6)}{real.suffix.lower()}")
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
