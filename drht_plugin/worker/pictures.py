"""Pictures in files that client and worker both open: the input and its result."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import DTYPES
from drht_plugin.errors import InputError, WriteError
from drht_plugin.free_memory import unswapped_memory
from drht_plugin.storage import make_locked_file
from drht_plugin.worker.shared_rows import SharedRows

Image = npt.NDArray[Any]

MAX_SIDE = 1 << 20
"""Greatest height or width of a picture, in pixels."""

_ALIGNMENT = 64
_SPARE = 64 << 20
"""Free bytes to leave in a folder."""

MAX_PICTURES = 4
"""How many pictures a store can hold."""


@dataclass(frozen=True)
class SharedPicture:
    """Picture in a shared file: the client writes `pixels`, the worker `result`.

    Attributes:
        path: of the file, until its name is removed.
        size: of the file, in bytes.
        result_offset: where the result starts in the file, in bytes.
        pixels: rows of the input, H×W×C.
        result: rows of the result, H×W×C of the same dtype.
    """

    path: Path
    size: int
    result_offset: int
    pixels: SharedRows = field(repr=False)
    result: SharedRows = field(repr=False)


class PictureStore:
    """Pictures of one client; safe to close from any thread.

    Args:
        max_bytes: greatest size of a file; None is limited by the free space only.
    """

    def __init__(self, max_bytes: int | None = None) -> None:
        self._max_bytes = max_bytes
        self._pictures: dict[int, SharedPicture] = {}
        self._names: set[Path] = set()
        self._lock = threading.RLock()
        self._closed = False

    def __getitem__(self, number: Any) -> SharedPicture:
        """Return the picture of a number.

        Raises:
            InputError: there is no such picture.
        """
        if type(number) is not int or number not in self._pictures:
            numbers = ", ".join(map(str, self._pictures)) or "none"
            raise InputError(f"picture is {number!r}; allocated: {numbers}")
        return self._pictures[number]

    def release(self, number: Any) -> None:
        """Forget a picture; its file vanishes when the client has closed it, too.

        Raises:
            InputError: there is no such picture.
        """
        _ = self[number]
        del self._pictures[number]

    def allocate(self, height: Any, width: Any, channels: Any, dtype: Any) -> int:
        """Create a file for a picture and its result, in shared memory if it fits, else on disk.

        Args:
            height: 1 to `MAX_SIDE`.
            width: 1 to `MAX_SIDE`.
            channels: 1 to 4.
            dtype: name of the pixel type.

        Returns:
            The picture's number.

        Raises:
            InputError: a size or dtype is not accepted, or there are too many bytes or pictures.
            WriteError: there is not enough space.
        """
        for name, value, limit in (
            ("height", height, MAX_SIDE),
            ("width", width, MAX_SIDE),
            ("channels", channels, 4),
        ):
            if type(value) is not int or not 1 <= value <= limit:
                raise InputError(f"{name} is {value!r}; expected a whole number, 1 to {limit}")
        if dtype not in DTYPES:
            raise InputError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
        if len(self._pictures) == MAX_PICTURES:
            raise InputError(f"{MAX_PICTURES} pictures are allocated; a worker takes no more")
        shape, kind = (height, width, channels), np.dtype(dtype)
        needed = height * width * channels * kind.itemsize
        offset = -(-needed // _ALIGNMENT) * _ALIGNMENT
        size = offset + needed
        if self._max_bytes is not None and size > self._max_bytes:
            raise InputError(
                f"the picture and its result need {size} bytes; at most {self._max_bytes} are "
                "accepted"
            )
        path, descriptor = self._create_file(size)
        pixels, result = (SharedRows(descriptor, at, shape, kind) for at in (0, offset))
        picture = SharedPicture(path, size, offset, pixels, result)
        weakref.finalize(picture, os.close, descriptor)
        number = next(each for each in range(MAX_PICTURES) if each not in self._pictures)
        self._pictures[number] = picture
        return number

    def forget_names(self) -> None:
        """Remove the files' names, so that each file vanishes when nobody has it open or mapped."""
        with self._lock:
            self._remove_names()

    def close(self) -> None:
        """Remove the files' names and refuse new files, as the process is about to end."""
        with self._lock:
            self._closed = True
            self._remove_names()

    def _remove_names(self) -> None:
        if sys.platform != "win32":  # Windows removes them when the last handle is closed
            for path in self._names:
                path.unlink(missing_ok=True)
            self._names.clear()

    def _create_file(self, size: int) -> tuple[Path, int]:
        """Create a file with allocated space; return its path and descriptor."""
        reasons = []
        for folder, free in _candidate_folders():
            room = max(0, free - _SPARE)
            if room < size:
                reasons.append(f"{folder} has room for {room}")
                continue
            try:
                return self._open_file(folder, size)
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror}")
        raise WriteError(
            f"no room for a picture and its result, {size} bytes: {', '.join(reasons)}"
        )

    def _open_file(self, folder: Path, size: int) -> tuple[Path, int]:
        with self._lock:
            if self._closed:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            # Locked while this process lives, so that a killed worker's file is found and removed.
            path, descriptor = make_locked_file(folder, "drht-")
            self._names.add(path)
        try:
            # Without allocated space, the client's writing to a map on a full disk is a bus error.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)
            else:
                os.ftruncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            with self._lock:
                self._names.discard(path)
                path.unlink(missing_ok=True)
            raise
        return path, descriptor


def shrink_to(pixels: Image | SharedRows, side: int) -> Image:
    """Shrink a picture by averaging codes over square blocks.

    Rows and columns that fill no block are dropped. Alpha is averaged like the other channels.

    Args:
        pixels: H×W×C.
        side: greatest height or width of the result, in pixels.

    Returns:
        h×w×C of the same dtype; all of `pixels` if it is small enough.
    """
    height, width, channels = pixels.shape
    factor = min(-(-max(height, width) // side), height, width)
    if factor <= 1:
        return pixels[:]
    rows, columns = height // factor, width // factor
    small = np.empty((rows, columns, channels), pixels.dtype)
    for row in range(rows):
        block = pixels[row * factor : (row + 1) * factor][:, : columns * factor]
        sums = block.sum(0, dtype=np.float32).reshape(columns, factor, channels).sum(1)
        mean = sums / np.float32(factor * factor)
        small[row] = np.rint(mean) if pixels.dtype.kind == "u" else mean
    return small


def _candidate_folders() -> Iterator[tuple[Path, int]]:
    """Yield folders for the file, best first, and how many bytes are free in each."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        yield memory, min(_free_bytes(memory), unswapped_memory() // 2)
    folder = Path(tempfile.gettempdir())
    yield folder, _free_bytes(folder)


def _free_bytes(folder: Path) -> int:
    if not hasattr(os, "statvfs"):
        return sys.maxsize
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize
