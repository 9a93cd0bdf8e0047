"""Pictures that two processes see: input and result in one mapped file that outlives neither."""

from __future__ import annotations

import errno
import os
import secrets
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from drht_plugin.engine.pixels import DTYPES
from drht_plugin.errors import InputError, WriteError

Image = npt.NDArray[Any]

LONGEST_SIDE = 1 << 20
"""Most pixels of a side."""

_ALIGNMENT = 64
_SPARE = 64 << 20


MOST_PICTURES = 4
"""Pictures that a store takes."""


@dataclass(frozen=True)
class SharedPicture:
    """A picture in a file: the client writes `pixels`, the worker `result`, both H×W×C.

    path: the file's name, until it is removed; size: its bytes; result_offset: where in it the
    result begins.
    """

    path: Path
    size: int
    result_offset: int
    pixels: Image = field(repr=False)
    result: Image = field(repr=False)


class PictureStore:
    """The pictures of one client; their files' names can be removed from any thread.

    most: bytes that a file may have; None for what there is room for.
    """

    def __init__(self, most: int | None = None) -> None:
        self._most = most
        self._pictures: list[SharedPicture] = []
        self._names: set[Path] = set()
        self._turn = threading.RLock()
        self._closed = False

    def __getitem__(self, number: Any) -> SharedPicture:
        """A picture by its number.

        Raises:
            InputError: there is no such picture.
        """
        if type(number) is not int or not 0 <= number < len(self._pictures):
            raise InputError(f"picture is {number!r}; {len(self._pictures)} are allocated")
        return self._pictures[number]

    def allocate(self, height: Any, width: Any, channels: Any, dtype: Any) -> int:
        """A file for a picture and its result, in shared memory where there is room, else on disk.

        Returns:
            The picture's number.

        Raises:
            InputError: a size or dtype outside the contract, or too many bytes or pictures.
            WriteError: no room.
        """
        for name, value, limit in (
            ("height", height, LONGEST_SIDE),
            ("width", width, LONGEST_SIDE),
            ("channels", channels, 4),
        ):
            if type(value) is not int or not 1 <= value <= limit:
                raise InputError(f"{name} is {value!r}; expected a whole number, 1 to {limit}")
        if dtype not in DTYPES:
            raise InputError(f"dtype is {dtype!r}; expected one of {', '.join(DTYPES)}")
        if len(self._pictures) == MOST_PICTURES:
            raise InputError(f"{MOST_PICTURES} pictures are allocated; a worker takes no more")
        shape, kind = (height, width, channels), np.dtype(dtype)
        needed = height * width * channels * kind.itemsize
        offset = -(-needed // _ALIGNMENT) * _ALIGNMENT
        size = offset + needed
        if self._most is not None and size > self._most:
            raise InputError(
                f"the picture and its result need {size} bytes; the worker may take {self._most}"
            )
        path, descriptor = self._create(size)
        with os.fdopen(descriptor, "r+b") as file:
            whole = np.memmap(file, np.uint8, "r+", shape=(size,))
        pixels, result = (
            part.view(kind).reshape(shape) for part in (whole[:needed], whole[offset:])
        )
        self._pictures.append(SharedPicture(path, size, offset, pixels, result))
        return len(self._pictures) - 1

    def forget_names(self) -> None:
        """Remove the files' names: each file lasts while it is open or mapped, and no longer."""
        with self._turn:
            self._remove_names()

    def close(self) -> None:
        """Remove the files' names, and let no new one appear: the process is about to end."""
        with self._turn:
            self._closed = True
            self._remove_names()

    def _remove_names(self) -> None:
        if sys.platform != "win32":  # there the end of the last handle removes them
            for path in self._names:
                path.unlink(missing_ok=True)
            self._names.clear()

    def _create(self, size: int) -> tuple[Path, int]:
        """A file of so many bytes that the disk has promised, and its descriptor."""
        reasons = []
        for folder, free in _folders():
            room = max(0, free - _SPARE)
            if room < size:
                reasons.append(f"{folder} has room for {room}")
                continue
            path = folder / f"drht-{secrets.token_hex(8)}"
            try:
                return path, self._open(path, size)
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror}")
        raise WriteError(
            f"no room for a picture and its result, {size} bytes: {', '.join(reasons)}"
        )

    def _open(self, path: Path, size: int) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        flags |= getattr(os, "O_BINARY", 0) | getattr(os, "O_TEMPORARY", 0)
        with self._turn:
            if self._closed:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            descriptor = os.open(path, flags, 0o600)
            self._names.add(path)
        try:
            # Without the promise, a full disk would be a bus error on writing to the map.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(descriptor, 0, size)
            else:
                os.ftruncate(descriptor, size)
        except OSError:
            os.close(descriptor)
            with self._turn:
                self._names.discard(path)
                path.unlink(missing_ok=True)
            raise
        return descriptor


def shrunk(pixels: Image, side: int) -> Image:
    """The picture with its longer side at most `side`, by means over square blocks of codes.

    Rows and columns that fill no block are left out; alpha is a channel like the others.
    """
    height, width, channels = pixels.shape
    factor = min(-(-max(height, width) // side), height, width)
    if factor <= 1:
        return pixels
    rows, columns = height // factor, width // factor
    small = np.empty((rows, columns, channels), pixels.dtype)
    for row in range(rows):
        block = pixels[row * factor : (row + 1) * factor, : columns * factor]
        sums = block.sum(0, dtype=np.float32).reshape(columns, factor, channels).sum(1)
        mean = sums / np.float32(factor * factor)
        small[row] = np.rint(mean) if pixels.dtype.kind == "u" else mean
    return small


def _folders() -> Iterator[tuple[Path, int]]:
    """Where the file may go, best first, with the bytes that are free there."""
    memory = Path("/dev/shm")
    if memory.is_dir() and os.access(memory, os.W_OK):
        yield memory, min(_free(memory), _available_memory() // 2)
    folder = Path(tempfile.gettempdir())
    yield folder, _free(folder)


def _free(folder: Path) -> int:
    if not hasattr(os, "statvfs"):
        return sys.maxsize
    facts = os.statvfs(folder)
    return facts.f_bavail * facts.f_frsize


def _available_memory() -> int:
    """Bytes that can be had without swapping, where the system says."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        pairs = (line.split(":") for line in lines)
        return next(int(rest.split()[0]) << 10 for name, rest in pairs if name == "MemAvailable")
    except (OSError, ValueError, StopIteration):
        return sys.maxsize
