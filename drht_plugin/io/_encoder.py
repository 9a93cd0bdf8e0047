"""libvips' encoders, given rows: they ask for theirs, from threads of their own."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from drht_plugin.errors import first_line
from drht_plugin.geometry import Region
from drht_plugin.io._codec import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Shape
from drht_plugin.libvips.lazy import Header, generate

_HEAD = 1 << 16
"""More bytes than come before a file's pixels, when libvips writes no metadata."""

Embed = Callable[[bytes], list[bytes]]
"""From the first bytes that libvips made to those of the file."""


class _Stopped(Exception):
    """The picture is not to be finished."""


class Encoder:
    """A picture file that libvips codes while its rows are given.

    Args:
        path: Of the new file.
        shape: H×W×C.
        dtype: uint8 or uint16.
        save: Codes an image into a target.
        embed: Puts metadata into the file's head.

    Raises:
        OSError: The file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        shape: Shape,
        dtype: np.dtype[Any],
        save: Callable[[pyvips.Image, Any], None],
        embed: Embed,
    ) -> None:
        self._shape, self._dtype, self._embed = shape, dtype, embed
        self._changed = threading.Condition()
        self._rows: deque[Pixels] = deque()
        self._first = self._given = 0  # rows that are held: first, and where they end
        self._hungry = self._done = self._stopped = False
        self._error: BaseException | None = None
        self._head: bytearray | None = bytearray()
        self._file = open(path, "xb")  # noqa: SIM115 (closed by `close`)
        height, width, channels = shape
        deep, gray = dtype == np.uint16, channels < 3
        space = ("grey16" if gray else "rgb16") if deep else ("b-w" if gray else "srgb")
        header = Header(width, height, channels, "ushort" if deep else "uchar", space)
        image = generate(header, self._asked).copy()
        # One worker: rows are asked for in order, and need not be kept.
        image.set_type(pyvips.GValue.gint_type, "concurrency", 1)
        target = pyvips.TargetCustom()
        target.on_write(self._coded)
        self._thread = threading.Thread(
            target=self._work, args=(save, image, target), name="drht encode", daemon=True
        )
        self._thread.start()

    def _work(self, save: Callable[[pyvips.Image, Any], None], image: Any, target: Any) -> None:
        error: BaseException | None = None
        try:
            save(image, target)
        except pyvips.Error as failure:
            error = CodecError(first_line(getattr(failure, "detail", "") or str(failure)))
        except BaseException as failure:
            error = failure
        with self._changed:
            self._error = self._error or error
            self._done = True
            self._changed.notify_all()

    def _asked(self, window: Region, _around: Region, _source: Pixels | None) -> Pixels:
        """Give the encoder its rows when they have come."""
        top, bottom = window.top, window.top + window.height
        with self._changed:
            while self._given < bottom and not self._stopped:
                self._hungry = True
                self._changed.notify_all()
                self._changed.wait()
            if self._stopped:
                raise _Stopped
            while self._rows and self._first + len(self._rows[0]) <= top:
                self._first += len(self._rows.popleft())
            if top < self._first:
                raise CodecError(f"row {top} was asked for after row {self._first}")
            parts, at = [], self._first
            for rows in self._rows:
                if at >= bottom:
                    break
                parts.append(rows[max(top - at, 0) : bottom - at])
                at += len(rows)
        columns = slice(window.left, window.left + window.width)
        return (parts[0] if len(parts) == 1 else np.concatenate(parts))[:, columns]

    def _coded(self, data: bytes) -> int:
        """Store what the encoder made; libvips cannot carry exceptions."""
        try:
            if self._head is not None:
                self._head += data
                if len(self._head) >= _HEAD:
                    self._store_head()
            else:
                self._file.write(data)
        except BaseException as error:
            with self._changed:
                self._error = self._error or error
            return -1
        return len(data)

    def _store_head(self) -> None:
        assert self._head is not None
        head, self._head = bytes(self._head), None
        self._file.writelines(self._embed(head))

    def write(self, rows: Pixels) -> None:
        """Take the next rows; comes back when they are coded, but for the last few."""
        rows = rows.copy()
        with self._changed:
            self._rows.append(rows)
            self._given += len(rows)
            self._hungry = False
            self._changed.notify_all()
            while not (self._hungry or self._done):
                self._changed.wait()
            self._raise()

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait for the encoder, and store its last bytes."""
        self._thread.join()
        self._raise()
        if self._head is not None:
            self._store_head()
        self._file.close()

    def close(self) -> None:
        """Stop an unfinished file."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
        try:
            self._file.close()
        except OSError:  # a full disk, where what was left in the buffer has no room
            self._file.raw.close()
