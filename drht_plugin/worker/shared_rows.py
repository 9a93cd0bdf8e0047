"""Rows in a file that another process may write to, or cut, at any moment."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.errors import InputError

Image = npt.NDArray[Any]


class SharedRows:
    """A source and sink of rows at a place in an open file; safe to use from several threads.

    The file is not mapped, since reading a map of a file that has been cut kills the process.

    Args:
        descriptor: of the file, open for reading and writing while this is in use.
        offset: where the first row starts in the file, in bytes.
        shape: H×W×C.
        dtype: of the pixels, in the machine's byte order.

    Attributes:
        shape: H×W×C.
        dtype: of the pixels.
    """

    def __init__(
        self, descriptor: int, offset: int, shape: tuple[int, int, int], dtype: np.dtype[Any]
    ) -> None:
        self._descriptor, self._offset = descriptor, offset
        self.shape, self.dtype = shape, dtype
        self._row_bytes = shape[1] * shape[2] * dtype.itemsize
        self._lock = threading.Lock()

    def __getitem__(self, rows: slice) -> Image:
        """Return a copy of rows ``top:bottom:step``, R×W×C.

        Raises:
            InputError: the file has been cut.
            OSError: it cannot be read.
        """
        wanted = range(*rows.indices(self.shape[0]))
        pixels = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        if wanted.step == 1:
            self._read(pixels, wanted.start)
        else:
            for index, row in enumerate(wanted):
                self._read(pixels[index], row)
        return pixels

    def __setitem__(self, rows: slice, pixels: Image) -> None:
        """Store rows ``top:bottom``.

        Raises:
            OSError: they cannot be stored.
        """
        top, _, _ = rows.indices(self.shape[0])
        view = np.ascontiguousarray(pixels).data.cast("B")
        at = self._place(top)
        while len(view):
            count = self._write_at(view, at)
            view, at = view[count:], at + count

    def _place(self, row: int) -> int:
        return self._offset + row * self._row_bytes

    def _read(self, pixels: Image, top: int) -> None:
        if not pixels.size:
            return
        view, at = pixels.data.cast("B"), self._place(top)
        while len(view):
            count = self._read_at(view, at)
            if not count:
                raise InputError(
                    f"the picture's file ends after {at} bytes; expected the size it was made with"
                )
            view, at = view[count:], at + count

    def _read_at(self, view: memoryview, at: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._descriptor, [view], at)
        with self._lock:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            data = os.read(self._descriptor, len(view))
        view[: len(data)] = data
        return len(data)

    def _write_at(self, view: memoryview, at: int) -> int:
        if hasattr(os, "pwrite"):
            return os.pwrite(self._descriptor, view, at)
        with self._lock:
            os.lseek(self._descriptor, at, os.SEEK_SET)
            return os.write(self._descriptor, view)
