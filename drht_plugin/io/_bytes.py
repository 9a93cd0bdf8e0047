"""Random access to a file's bytes without loading them."""

import os
from pathlib import Path
from typing import overload


class FileBytes:
    """Bytes of a file, indexed and sliced like `bytes`; see `metadata.ifd.Buffer`.

    Unlike a memory map, it does not count the pages it reads as the process's memory, and a file
    that is truncated meanwhile does not kill the process.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "rb", buffering=4096)  # noqa: SIM115 (closed by `__exit__`)
        self._size = os.fstat(self._file.fileno()).st_size

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
