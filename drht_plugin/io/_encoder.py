"""Feed rows to libvips' encoders, which pull them from their own threads."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from drht_plugin.geometry import Region
from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Shape
from drht_plugin.libvips.lazy import Header, generate
from drht_plugin.libvips.said import said

_HEAD = 1 << 16
"""More bytes than precede the pixels in a file that libvips writes without metadata."""

Embed = Callable[[bytes], list[bytes]]
"""(first bytes made by libvips) → the file's first bytes, in parts, with metadata."""


class _Stopped(Exception):
    """The caller has given up the picture."""


class Encoder:
    """Writer of a picture file that libvips encodes while rows arrive; see `_rows.Writer`.

    Args:
        path: of the new file.
        shape: H×W×C.
        dtype: uint8 or uint16.
        save: encodes an image into a pyvips target.
        embed: puts metadata into the file's first bytes.

    Raises:
        OSError: the file cannot be made.
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
        self._first = self._given = 0  # range of the rows held
        self._wants_rows = self._done = self._stopped = False
        self._error: BaseException | None = None
        self._head: bytearray | None = bytearray()
        self._file = open(path, "xb")  # noqa: SIM115 (closed by `close`)
        height, width, channels = shape
        deep, gray = dtype == np.uint16, channels < 3
        space = ("grey16" if gray else "rgb16") if deep else ("b-w" if gray else "srgb")
        header = Header(width, height, channels, "ushort" if deep else "uchar", space)
        image = generate(header, self._supply_rows).copy()
        # With one worker, libvips asks for rows in order, and old ones can be dropped.
        image.set_type(pyvips.GValue.gint_type, "concurrency", 1)
        target = pyvips.TargetCustom()
        target.on_write(self._store)
        self._thread = threading.Thread(
            target=self._encode, args=(save, image, target), name="drht encode", daemon=True
        )
        self._thread.start()

    def _encode(self, save: Callable[[pyvips.Image, Any], None], image: Any, target: Any) -> None:
        error: BaseException | None = None
        try:
            save(image, target)
        except pyvips.Error as failure:
            error = CodecError(said(failure))
        except BaseException as failure:
            error = failure
        with self._changed:
            self._error = self._error or error
            self._done = True
            self._changed.notify_all()

    def _supply_rows(self, window: Region, _around: Region, _source: Pixels | None) -> Pixels:
        """Return the rows of a window, waiting until they have been given."""
        top, bottom = window.top, window.top + window.height
        with self._changed:
            while self._given < bottom and not self._stopped:
                self._wants_rows = True
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

    def _store(self, data: bytes) -> int:
        """Write encoded bytes to the file; keep exceptions, as libvips cannot pass them on."""
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
        """Encode the next rows; returns when all but the last few are encoded.

        Raises:
            CodecError: libvips cannot encode them.
            OSError: the file cannot be written.
        """
        rows = rows.copy()
        with self._changed:
            self._rows.append(rows)
            self._given += len(rows)
            self._wants_rows = False
            self._changed.notify_all()
            while not (self._wants_rows or self._done):
                self._changed.wait()
            self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error

    def finish(self) -> None:
        """Wait for the encoder, write its last bytes and close the file.

        Raises:
            CodecError: libvips cannot encode the picture.
            OSError: the file cannot be written.
        """
        self._thread.join()
        self._raise_error()
        if self._head is not None:
            self._store_head()
        self._file.close()

    def close(self) -> None:
        """Stop the encoder and close the file; does nothing to a finished one."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self._thread.join()
        try:
            self._file.close()
        except OSError:  # the disk is full, so that the buffer cannot be flushed
            self._file.raw.close()
