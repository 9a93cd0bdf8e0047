"""Read TIFF files of giant deflated tiles in pieces; libraries hold each tile as a whole."""

from __future__ import annotations

import math
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import Shape
from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.tiff import TiffBlock

_DEFLATE = (8, 32946)
_BITS, _FILL, _PREDICTOR, _FORMAT = 258, 266, 317, 339
_TILE_OFFSETS, _TILE_COUNTS = 324, 325
_GIANT = 16 << 20
"""Smaller tiles are left to a library (bytes of pixels)."""

_INPUT_BYTES, _PIECE_BYTES = 1 << 16, 4 << 20
_MOST_SURPLUS = 1 << 20
"""Bytes that may follow the pixels in a tile's stream, before its checksum."""

_NO, _DIFFERENCES, _FLOAT_DIFFERENCES = 1, 2, 3
_ORDER: ifd.Order = "<" if sys.byteorder == "little" else ">"


@dataclass(frozen=True)
class DeflatedTiles:
    """Positions and form of the tiles.

    Attributes:
        shape: H×W×C of the picture.
        dtype: as stored, byte order included.
        tile: rows and columns of a tile.
        predictor: TIFF's number of it.
        offsets: of each tile in the file (bytes), in row-major order.
        sizes: of each tile in the file (bytes).
    """

    shape: Shape
    dtype: np.dtype[Any]
    tile: tuple[int, int]
    predictor: int
    offsets: NDArray[np.uint64]
    sizes: NDArray[np.uint64]

    @property
    def across(self) -> int:
        """Number of tiles side by side."""
        return -(-self.shape[1] // self.tile[1])


def find_tiles(buffer: ifd.Buffer, dtype: str, block: TiffBlock) -> DeflatedTiles | None:
    """Locate the tiles of a TIFF file.

    Args:
        buffer: the file's bytes.
        dtype: of the pixels, as `tiff.parse` returns it.
        block: likewise.

    Returns:
        None where they are not giant, not deflated, or stored in another unusual way.

    Raises:
        CodecError: the file ends before its tiles do.
    """
    tree = ifd.parse(buffer)
    fields, order = tree.main, tree.order
    stored = np.dtype(dtype)
    if order != _ORDER:
        stored = stored.newbyteorder(order)
    predictor = _first(fields, _PREDICTOR, _NO)
    rows, columns, _ = block.shape
    height, width, _ = block.picture
    predicted = {_NO, _DIFFERENCES if stored.kind == "u" else _FLOAT_DIFFERENCES}
    conditions = {
        _TILE_OFFSETS in fields and _TILE_COUNTS in fields,
        block.compression in _DEFLATE and not block.planar,
        math.prod(block.shape) * stored.itemsize > _GIANT,
        _BITS in fields and set(fields[_BITS].integers()) == {8 * stored.itemsize},
        predictor in predicted,
        _first(fields, _FILL, 1) == 1,
        _first(fields, _FORMAT, 1) in (1, 3),
        min(height, width, rows, columns) > 0,
    }
    if not all(conditions):
        return None
    offsets = fields[_TILE_OFFSETS].numbers().astype(np.uint64)
    sizes = fields[_TILE_COUNTS].numbers().astype(np.uint64)
    found = DeflatedTiles(block.picture, stored, (rows, columns), predictor, offsets, sizes)
    if not len(offsets) == len(sizes) == -(-height // rows) * found.across:
        return None
    if max(offsets.max(), sizes.max()) > len(buffer) or int((offsets + sizes).max()) > len(buffer):
        raise CodecError("tiles lie outside the file")
    return found


def _first(fields: ifd.Fields, tag: int, default: int) -> int:
    values = fields[tag].integers() if tag in fields else ()
    return values[0] if values else default


class DeflatedTilesReader:
    """Reader of rows of such a file, as they are stored; see `_rows.Reader`.

    All tiles of a row of tiles are unpacked side by side, a few rows at a time.
    """

    def __init__(self, path: Path, tiles: DeflatedTiles) -> None:
        self.shape, self.dtype = tiles.shape, np.dtype(tiles.dtype.name)
        self._tiles = tiles
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._band, self._row, self._tolerant = -1, 0, False
        self._streams: list[_Stream] = []
        row_bytes = tiles.across * tiles.tile[1] * tiles.shape[2] * tiles.dtype.itemsize
        self._rows = max(_PIECE_BYTES // row_bytes, 1)

    def tolerate(self) -> bool:
        """Return 0 for what cannot be unpacked; see `_rows.Tolerant`."""
        self._tolerant, self._band = True, -1
        return True

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``.

        Raises:
            CodecError: a tile is damaged or ends early.
        """
        wanted = range(top, bottom, step)
        out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        done = 0
        while done < len(wanted):
            self._go_to(wanted[done])
            first = self._row
            piece = self._next_rows(min(self._rows, bottom - first))
            chosen = piece[wanted[done] - first :: step][: len(wanted) - done]
            out[done : done + len(chosen)] = chosen
            done += len(chosen)
        return out

    def _go_to(self, row: int) -> None:
        """Unpack up to a row; start a row of tiles anew to go back."""
        rows = self._tiles.tile[0]
        if row // rows != self._band or row < self._row:
            self._band = row // rows
            self._row = self._band * rows
            first = self._band * self._tiles.across
            self._streams = [
                _Stream(self._file, self._tiles, number, tolerant=self._tolerant)
                for number in range(first, first + self._tiles.across)
            ]
        while self._row < row:
            self._next_rows(min(self._rows, row - self._row))

    def _next_rows(self, count: int) -> Pixels:
        """Unpack the next rows, at most to the end of the row of tiles."""
        rows, columns = self._tiles.tile
        _, width, channels = self.shape
        count = min(count, (self._band + 1) * rows - self._row)
        out = np.empty((count, width, channels), self.dtype)
        for index, stream in enumerate(self._streams):
            left = index * columns
            out[:, left : left + columns] = stream.rows(count)[:, : width - left]
        self._row += count
        if self._row == min((self._band + 1) * rows, self.shape[0]):
            for stream in self._streams:
                stream.check((self._band + 1) * rows - self._row)
        return out

    def close(self) -> None:
        """Close the file."""
        self._streams = []
        self._file.close()


class _Stream:
    """One tile, unpacked from its first row on."""

    def __init__(
        self, file: IO[bytes], tiles: DeflatedTiles, number: int, *, tolerant: bool
    ) -> None:
        self._file, self._tiles = file, tiles
        self._tolerant, self._lost = tolerant, False
        self._at, self._left = int(tiles.offsets[number]), int(tiles.sizes[number])
        self._inflate, self._waiting = zlib.decompressobj(), b""

    def rows(self, count: int) -> Pixels:
        """Return the next rows, R×columns×C in the machine's byte order."""
        tiles = self._tiles
        columns, channels = tiles.tile[1], tiles.shape[2]
        size = count * columns * channels * tiles.dtype.itemsize
        data = bytearray()
        try:
            if not self._lost:
                self._unpack(data, size)
        except CodecError:
            if not self._tolerant:
                raise
            self._lost = True
        data += bytes(size - len(data))
        if tiles.predictor == _FLOAT_DIFFERENCES:
            return _undo_float_differences(data, (count, columns, channels), tiles.dtype)
        pixels = np.frombuffer(data, tiles.dtype).reshape(count, columns, channels)
        native = pixels.astype(tiles.dtype.newbyteorder("="), copy=False)
        if tiles.predictor == _DIFFERENCES:
            return np.cumsum(native, axis=1, dtype=native.dtype)
        return native

    def check(self, count: int) -> None:
        """Unpack the rows below the picture, and compare the checksum of all.

        Args:
            count: of rows that should follow.

        Raises:
            CodecError: the tile is damaged.
        """
        if self._lost or self._tolerant:
            return
        for _ in range(count):
            self.rows(1)
        self._unpack(bytearray(), _MOST_SURPLUS, to_end=True)

    def _unpack(self, out: bytearray, count: int, *, to_end: bool = False) -> None:
        """Append the next bytes to `out` until it has `count`, or to the end of the stream."""
        try:
            while len(out) < count and not (to_end and self._inflate.eof):
                if not self._waiting and self._left:
                    self._file.seek(self._at)
                    self._waiting = self._file.read(min(_INPUT_BYTES, self._left))
                    self._at += len(self._waiting)
                    self._left -= len(self._waiting) or self._left
                part = self._inflate.decompress(self._waiting, count - len(out))
                self._waiting = self._inflate.unconsumed_tail
                if not part and not self._waiting and (self._inflate.eof or not self._left):
                    raise CodecError("a tile ends early")
                out += part
        except zlib.error as error:
            raise CodecError(f"a tile is damaged: {error}") from error


def _undo_float_differences(data: bytearray, shape: Shape, dtype: np.dtype[Any]) -> Pixels:
    """Undo TIFF's predictor 3: bytes of a row by significance, as differences to the pixel before.

    See Adobe Photoshop TIFF Technical Note 3.
    """
    rows, _, channels = shape
    coded = np.frombuffer(data, np.uint8).reshape(rows, -1, channels)
    planes = np.cumsum(coded, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, -1)
    values = np.ascontiguousarray(planes.swapaxes(1, 2)).view(dtype.newbyteorder(">"))
    return values.reshape(shape).astype(dtype.newbyteorder("="))
