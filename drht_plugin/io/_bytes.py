"""Random access to a file's bytes without loading them."""

import os
import stat
from pathlib import Path
from typing import overload

from drht_plugin.io._errors import UnsupportedError
from drht_plugin.storage import identity_in, kind_of


class FileBytes:
    """Bytes of a file, indexed and sliced like `bytes`; see `metadata.ifd.Buffer`.

    Unlike a memory map, it does not count the pages it reads as the process's memory, and a file
    that is truncated meanwhile does not kill the process.

    Attributes:
        identity: of the file when it was opened.

    Raises:
        UnsupportedError: the path is a folder, a pipe, a device or the like, which is not opened.
        OSError: the file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        _require_regular(os.stat(path))
        self._file = open(path, "rb", buffering=4096, opener=_open_at_once)  # noqa: SIM115 (closed by `__exit__`)
        _require_regular(os.fstat(self._file.fileno()))
        self.identity = identity_in(os.fstat(self._file.fileno()))
        self._size = self.identity[2]

    def __len__(self) -> int:
        return self._size

    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes: ...
    def __getitem__(self, at: int | slice, /) -> int | bytes:
        if isinstance(at, slice):
            start, stop, _ = at.indices(self._size)
            self._file.seek(start)
            return self._file.read(max(stop - start, 0))
        if not 0 <= at < self._size:
            raise IndexError("beyond the file's end")
        self._file.seek(at)
        return self._file.read(1)[0]

    def __enter__(self) -> "FileBytes":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _open_at_once(path: str, flags: int) -> int:
    """Open a file, and do not wait for the other end of what has become a pipe."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _require_regular(status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise UnsupportedError(f"is {kind_of(status.st_mode)}; only files are read")
