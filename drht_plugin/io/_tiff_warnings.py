"""Hear what libtiff only warns of, which OpenImageIO keeps to itself.

Some of its decoders go on over damaged data with a warning: those of fax codes, PackBits,
Thunderscan and JPEG. What is read of such a file is decoded by libvips too, which stops there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips
from numpy.typing import NDArray

from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Reader, tolerate
from drht_plugin.io._vips import VipsReader, undecoded
from drht_plugin.io.metadata import ifd

_LENGTH, _WIDTH, _COMPRESSION, _TABLES = 257, 256, 259, 347
_STRIPS, _ROWS, _STRIP_BYTES = 273, 278, 279
_TILE_WIDTH, _TILE_LENGTH, _TILES, _TILE_BYTES = 322, 323, 324, 325
_JPEG = 7
_WARNING = frozenset({2, 3, 4, 32771, 32773, 32809})


def with_warnings(stored: Reader, path: Path, buffer: ifd.Buffer) -> Reader:
    """Return a reader that stops at warnings, where libtiff's decoder has any.

    Args:
        stored: reader of the file by OpenImageIO.
        path: of the file.
        buffer: the file's bytes.
    """
    fields = ifd.parse(buffer).main
    compression = _number(fields, _COMPRESSION)
    if compression == _JPEG:
        blocks = _jpeg_blocks(fields, stored.shape[0])
        return _JpegCheckingReader(stored, path, blocks) if blocks else stored
    if compression not in _WARNING:
        return stored
    try:
        judge = VipsReader(path, "tiff", {"page": 0}, fail_on="warning")
    except (CodecError, UnsupportedError):  # a kind that only OpenImageIO reads
        return stored
    return _CheckingReader(stored, judge)


def _number(fields: ifd.Fields, tag: int) -> int:
    values = fields[tag].integers() if tag in fields else ()
    return values[0] if values else 0


class _CheckingReader:
    """Reader that has libvips decode the same rows before."""

    def __init__(self, stored: Reader, judge: VipsReader) -> None:
        self._stored = stored
        self._judge: VipsReader | None = judge
        self.shape, self.dtype = stored.shape, stored.dtype

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        if self._judge:
            self._judge.read(top, bottom, step)
        return self._stored.read(top, bottom, step)

    def tolerate(self) -> bool:
        """Go on over damaged pixels; see `_rows.Tolerant`."""
        self._judge = None
        return tolerate(self._stored)

    def close(self) -> None:
        """Close the file."""
        if self._judge:
            self._judge.close()
        self._stored.close()


@dataclass(frozen=True)
class _JpegBlocks:
    """Strips or tiles that are JPEG pictures.

    Attributes:
        tables: what comes before each of them.
        rows: of a block.
        across: number of blocks side by side.
        offsets: of each block in the file (bytes), row by row, plane by plane.
        sizes: of each block (bytes).
        per_plane: number of blocks of a plane.
    """

    tables: bytes
    rows: int
    across: int
    offsets: NDArray[np.unsignedinteger]
    sizes: NDArray[np.unsignedinteger]
    per_plane: int


def _jpeg_blocks(fields: ifd.Fields, height: int) -> _JpegBlocks | None:
    tiled = _TILES in fields
    offsets, sizes = (_TILES, _TILE_BYTES) if tiled else (_STRIPS, _STRIP_BYTES)
    rows = _number(fields, _TILE_LENGTH if tiled else _ROWS) or height
    width, side = _number(fields, _WIDTH), _number(fields, _TILE_WIDTH)
    across = -(-width // side) if tiled and side else 1
    per_plane = -(-height // rows) * across
    if offsets not in fields or sizes not in fields:
        return None
    tables = fields[_TABLES].data if _TABLES in fields else b""
    found = fields[offsets].numbers(), fields[sizes].numbers()
    if len(found[0]) != len(found[1]) or len(found[0]) % per_plane:
        return None
    return _JpegBlocks(tables, rows, across, *found, per_plane)


class _JpegCheckingReader:
    """Reader that has libvips decode the strips or tiles of the same rows before, once."""

    def __init__(self, stored: Reader, path: Path, blocks: _JpegBlocks) -> None:
        self._stored, self._blocks = stored, blocks
        self._file: FileBytes | None = FileBytes(path)
        self._checked = np.zeros(blocks.per_plane // blocks.across, bool)
        self.shape, self.dtype = stored.shape, stored.dtype

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        if self._file:
            for band in sorted({row // self._blocks.rows for row in range(top, bottom, step)}):
                if not self._checked[band]:
                    self._check(self._file, band)
                    self._checked[band] = True
        return self._stored.read(top, bottom, step)

    def _check(self, file: FileBytes, band: int) -> None:
        blocks = self._blocks
        for plane in range(0, len(blocks.offsets), blocks.per_plane):
            for column in range(blocks.across):
                index = plane + band * blocks.across + column
                start, size = int(blocks.offsets[index]), int(blocks.sizes[index])
                data = file[start : start + size]
                if blocks.tables:  # without the tables' end and the block's start
                    data = blocks.tables[:-2] + data[2:]
                try:
                    pyvips.Image.jpegload_buffer(data, fail_on="warning").avg()
                except pyvips.Error as error:
                    raise undecoded("JPEG") from error

    def tolerate(self) -> bool:
        """Go on over damaged pixels; see `_rows.Tolerant`."""
        self._forget()
        return tolerate(self._stored)

    def _forget(self) -> None:
        file, self._file = self._file, None
        if file:
            file.__exit__()

    def close(self) -> None:
        """Close the file."""
        self._forget()
        self._stored.close()
