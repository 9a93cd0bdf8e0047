"""Read and write rows of uncompressed TIFF files in place.

Libraries copy such pixels through buffers of their own, and read a whole strip where a survey needs
one row of it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._rows import BlockWriter, Shape
from drht_plugin.io.metadata import ifd
from drht_plugin.storage.direct_file import DirectFile

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _FILL = 256, 257, 258, 259, 262, 266
_OFFSETS, _SAMPLES, _ROWS, _COUNTS, _PLANES, _PREDICTOR, _FORMAT = 273, 277, 278, 279, 284, 317, 339
_TILE_WIDTH, _TILE_LENGTH, _TILE_OFFSETS, _TILE_COUNTS = 322, 323, 324, 325
_STRIP_BYTES = 1 << 18
_TILE_PIECE = 16 << 20
"""What is read of a tile at once (bytes); usual tiles are smaller."""
_LARGEST_OFFSET = (1 << 63) - 1
_ORDER: ifd.Order = "<" if sys.byteorder == "little" else ">"


@dataclass(frozen=True)
class PixelBlocks:
    """Positions of the pixel blocks (strips or tiles) in a file.

    Attributes:
        shape: H×W×C of the picture.
        dtype: as stored, byte order included.
        block: rows and columns of a block.
        offsets: of each block in the file (bytes), in row-major order.
        end: of the last one in the file; 0 where a block has no place.
    """

    shape: Shape
    dtype: np.dtype[Any]
    block: tuple[int, int]
    offsets: NDArray[np.uint64]
    end: int = 0

    @property
    def across(self) -> int:
        """Number of blocks side by side."""
        return -(-self.shape[1] // self.block[1])


def find_pixels(buffer: ifd.Buffer, dtype: str) -> PixelBlocks | None:
    """Locate the pixels of an uncompressed TIFF file.

    Args:
        buffer: the file's bytes.
        dtype: of the pixels, as `tiff.parse` returns it.

    Returns:
        None where the pixels are compressed, or stored in another unusual way.

    Raises:
        ValueError: the file's structure is damaged.
    """
    fields, order = ifd.parse(buffer).main, ifd.parse(buffer).order

    def number(tag: int, default: int) -> int:
        values = fields[tag].integers() if tag in fields else ()
        return values[0] if values else default

    stored = np.dtype(dtype)
    if order != _ORDER:
        stored = stored.newbyteorder(order)
    bits = fields[_BITS].integers() if _BITS in fields else ()
    channels = number(_SAMPLES, 1)
    conditions = {
        number(_COMPRESSION, 1) == 1,
        number(_PHOTOMETRIC, 0) in ((2,) if channels >= 3 else (0, 1)),
        number(_PLANES, 1) == 1 or channels == 1,
        number(_FILL, 1) == 1,
        number(_PREDICTOR, 1) == 1,
        set(bits) == {8 * stored.itemsize},
        number(_FORMAT, 1) in (1, 3),
    }
    height, width = number(_LENGTH, 0), number(_WIDTH, 0)
    tiled = _TILE_WIDTH in fields
    if tiled:
        block = (number(_TILE_LENGTH, 0), number(_TILE_WIDTH, 0))
    else:
        block = (min(number(_ROWS, height), height), width)
    tag = _TILE_OFFSETS if tiled else _OFFSETS
    if not all(conditions) or min(height, width, *block) < 1 or tag not in fields:
        return None
    offsets = np.array(fields[tag].numbers(), np.uint64)
    found = PixelBlocks((height, width, channels), stored, block, offsets)
    rows_of_blocks = -(-height // block[0])
    if len(offsets) != rows_of_blocks * found.across:
        return None
    block_bytes = block[0] * block[1] * channels * stored.itemsize
    if block_bytes > len(buffer):
        raise CodecError(
            f"a block of pixels should have {block_bytes} bytes; the file has {len(buffer)}"
        )
    size = np.full(len(offsets), block_bytes, np.uint64)
    if not tiled:
        size[-1:] -= np.uint64(
            (rows_of_blocks * block[0] - height) * width * channels * stored.itemsize
        )
    largest = int(offsets.max())
    # Beyond the file, adding might overflow.
    end = largest + block_bytes if largest > len(buffer) else int((offsets + size).max())
    return replace(found, end=0 if int(offsets.min()) == 0 else end)


class PlainReader:
    """Reader of rows of an uncompressed TIFF file; see `_rows.Reader`."""

    def __init__(self, path: Path, blocks: PixelBlocks) -> None:
        self.shape, self.dtype = blocks.shape, np.dtype(blocks.dtype.name)
        self._pixel_blocks = blocks
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (closed by `close`)
        self._tolerant = False

    def tolerate(self) -> bool:
        """Return 0 for pixels that are missing; see `_rows.Tolerant`."""
        self._tolerant = True
        return True

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``.

        Raises:
            CodecError: pixels of any row are missing in the file.
        """
        size, end = self._file.seek(0, os.SEEK_END), self._pixel_blocks.end
        if not self._tolerant and not 0 < end <= size:
            raise CodecError(f"pixels should lie up to byte {end}; the file has {size} bytes")
        wanted = range(top, bottom, step)
        out = np.empty((len(wanted), *self.shape[1:]), self._pixel_blocks.dtype)
        if self._pixel_blocks.across > 1 or self._pixel_blocks.block[1] != self.shape[1]:
            self._read_tiles(wanted, out)
        else:
            for first, count, offset in self._runs(wanted):
                self._read_into(out[first : first + count], offset)
        return out.astype(self.dtype, copy=False)

    def _runs(self, wanted: range) -> Iterator[tuple[int, int, int]]:
        """Yield runs of rows stored one after the other: first index, number, file offset."""
        rows, row_bytes = self._pixel_blocks.block[0], self.shape[1] * self._pixel
        start = count = place = 0
        for index, row in enumerate(wanted):
            at = int(self._pixel_blocks.offsets[row // rows]) + row % rows * row_bytes
            if count and at == place + count * row_bytes:
                count += 1
                continue
            if count:
                yield start, count, place
            start, count, place = index, 1, at
        if count:
            yield start, count, place

    @property
    def _pixel(self) -> int:
        return self.shape[2] * self._pixel_blocks.dtype.itemsize

    def _read_tiles(self, wanted: range, out: Pixels) -> None:
        blocks = self._pixel_blocks
        rows, columns = blocks.block
        most = max(_TILE_PIECE // (columns * self._pixel), 1)
        tile = np.empty((min(rows, most), columns, self.shape[2]), blocks.dtype)
        done = 0
        while done < len(wanted):
            row = wanted[done]
            band, inside = divmod(row, rows)
            together = min(rows - inside, most)
            part = wanted[done : done + 1 + (together - 1) // wanted.step]
            last = part[-1] - row + 1
            for column in range(blocks.across):
                offset = int(blocks.offsets[band * blocks.across + column])
                self._read_into(tile[:last], offset + inside * columns * self._pixel)
                left = column * columns
                width = min(columns, self.shape[1] - left)
                out[done : done + len(part), left : left + width] = tile[
                    : last : wanted.step, :width
                ]
            done += len(part)

    def _read_into(self, out: Pixels, offset: int) -> None:
        view = memoryview(out.data).cast("B")
        done = 0
        if self._tolerant and (not offset or offset > _LARGEST_OFFSET):
            view[:] = bytes(len(view))
            return
        self._file.seek(offset)
        while done < len(view):
            count = self._file.readinto(view[done:])
            if not count and self._tolerant:
                view[done:] = bytes(len(view) - done)
                return
            if not count:
                raise CodecError("pixels are missing at its end")
            done += count

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class PlainWriter:
    """Writer of an uncompressed TIFF file, from first byte to last; see `_rows.Writer`.

    Args:
        path: of the new file.
        shape: H×W×C.
        dtype: of the pixels.
        tile: width and height of a tile; None for strips.
        big: whether offsets have 64 bits.
        tree: metadata; fields that describe the storage are added.

    Raises:
        OSError: the disk is full, or the file cannot be made.
    """

    def __init__(
        self,
        path: Path,
        shape: Shape,
        dtype: np.dtype[Any],
        *,
        tile: tuple[int, int] | None,
        big: bool,
        tree: ifd.Tree,
    ) -> None:
        self._shape, self._dtype, self._big, self._tree = shape, dtype, big, tree
        height, width, channels = shape
        row_bytes = width * channels * dtype.itemsize
        self._tile = tile
        if tile:
            self._rows = tile[1]
        else:
            self._rows = min(max(_STRIP_BYTES // row_bytes, 1), height)
        self._at = 16 if big else 8
        head = ifd.tiff_header(0, _ORDER, big)
        self._file = DirectFile(path, len(head) + self._blocks * self._block_bytes)
        self._file.write(memoryview(head))
        # Strips are contiguous, so that only tiles need a whole row of blocks at once.
        self._block_writer = BlockWriter(shape, dtype, tile[1] if tile else 1, self._write_blocks)

    @property
    def _across(self) -> int:
        return -(-self._shape[1] // self._tile[0]) if self._tile else 1

    @property
    def _blocks(self) -> int:
        return -(-self._shape[0] // self._rows) * self._across

    @property
    def _block_bytes(self) -> int:
        columns = self._tile[0] if self._tile else self._shape[1]
        return self._rows * columns * self._shape[2] * self._dtype.itemsize

    def write(self, rows: Pixels) -> None:
        """Write the next rows."""
        self._block_writer.write(rows)

    def _write_blocks(self, _top: int, rows: Pixels) -> None:
        if self._tile:
            for at in range(0, len(rows), self._rows):
                self._append(self._cut_tiles(rows[at : at + self._rows]))
        else:
            self._append(rows)

    def _cut_tiles(self, rows: Pixels) -> Pixels:
        assert self._tile
        columns, height = self._tile
        _, width, channels = self._shape
        padded = np.zeros((height, self._across * columns, channels), self._dtype)
        padded[: len(rows), :width] = rows
        tiles = padded.reshape(height, self._across, columns, channels).swapaxes(0, 1)
        return np.ascontiguousarray(tiles)

    def _append(self, pixels: Pixels) -> None:
        self._file.write(memoryview(pixels.data).cast("B"))
        self._at += pixels.nbytes

    def finish(self) -> None:
        """Write the directory, and its offset into the header; close the file.

        Raises:
            OSError: the file cannot be written.
            ValueError: the file is too large for 32-bit offsets.
        """
        at = self._at + self._at % 2
        tree = replace(self._tree, main={**self._storage_fields(), **self._tree.main})
        data = ifd.serialise(tree, at, _ORDER, self._big)
        if not self._big and at + len(data) > 0xFFFFFFFF:
            raise ValueError("the file outgrew 4 GB")
        self._file.write(memoryview(bytes(at - self._at) + data))
        self._file.finish(at + len(data), ifd.tiff_header(at, _ORDER, self._big))

    def _storage_fields(self) -> dict[int, ifd.Field]:
        height, width, channels = self._shape
        start = 16 if self._big else 8
        offsets = start + np.arange(self._blocks, dtype=np.uint64) * np.uint64(self._block_bytes)
        counts = np.full(self._blocks, self._block_bytes, np.uint64)
        if not self._tile:
            counts[-1] = self._at - int(offsets[-1])
        bits = np.full(channels, 8 * self._dtype.itemsize)
        form = np.full(channels, 3 if self._dtype.kind == "f" else 1)
        wide = 16 if self._big else 4
        fields = {
            _WIDTH: ifd.integer_field(4, [width]),
            _LENGTH: ifd.integer_field(4, [height]),
            _BITS: ifd.integer_field(3, bits),
            _COMPRESSION: ifd.short_field(1),
            _PHOTOMETRIC: ifd.short_field(2 if channels >= 3 else 1),
            _SAMPLES: ifd.short_field(channels),
            _PLANES: ifd.short_field(1),
            _FORMAT: ifd.integer_field(3, form),
        }
        if self._tile:
            return fields | {
                _TILE_WIDTH: ifd.integer_field(4, [self._tile[0]]),
                _TILE_LENGTH: ifd.integer_field(4, [self._tile[1]]),
                _TILE_OFFSETS: ifd.integer_field(wide, offsets),
                _TILE_COUNTS: ifd.integer_field(wide, counts),
            }
        return fields | {
            _ROWS: ifd.integer_field(4, [self._rows]),
            _OFFSETS: ifd.integer_field(wide, offsets),
            _COUNTS: ifd.integer_field(wide, counts),
        }

    def close(self) -> None:
        """Close the file."""
        self._file.close()
