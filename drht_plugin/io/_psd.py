"""Read the composite of Photoshop files: the picture that all layers make, row by row."""

from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io._plausible import require_bytes
from drht_plugin.io._rows import BlockReader, Reader
from drht_plugin.io.metadata import ifd, psd
from drht_plugin.io.metadata.types import Carrier

_RAW, _PACKED = 0, 1
_PACKBITS_RATIO = 64
_ROWS = 64
_PALETTE_COLOURS, _INKS = 3, 4


def reader(path: Path, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
    """
    contents = psd.parse(buffer)
    carrier = Carrier("psd", contents.metadata)
    stored = CompositeReader(path, contents, buffer)
    if contents.colours == _INKS:
        from drht_plugin.io import _cmyk

        return stored, _cmyk.without_inks(carrier)
    return stored, carrier


class CompositeReader(BlockReader):
    """Reader of a composite's rows; see `_rows.Reader`.

    Args:
        path: of the file.
        contents: what it holds.
        buffer: its bytes.

    Raises:
        CodecError: the file is too small for its pixels.
        UnsupportedError: the composite is compressed in a way that Photoshop does not use.
    """

    def __init__(self, path: Path, contents: psd.PsdContents, buffer: ifd.Buffer) -> None:
        self._contents = contents
        self._used = contents.colours + contents.transparent
        self._stored = np.dtype(">u2" if contents.depth == 16 else "u1")
        compression = int.from_bytes(buffer[contents.pixels : contents.pixels + 2], "big")
        if compression not in (_RAW, _PACKED):
            raise UnsupportedError(f"has a composite of compression {compression}, unknown here")
        self._packed = compression == _PACKED
        ratio = _PACKBITS_RATIO if self._packed else 1
        given = (contents.height, contents.width, contents.channels)
        require_bytes(given, self._stored.itemsize, len(buffer), ratio)
        self._offsets, self._sizes = self._find_rows(buffer)
        made = {1: 1, 3: 3, _INKS: 3}[contents.colours]
        if contents.palette is not None:
            made = _PALETTE_COLOURS
        shape = (contents.height, contents.width, made + contents.transparent)
        self._file = open(path, "rb")  # noqa: SIM115 (closed by `close`)
        super().__init__(shape, self._stored.newbyteorder("="), _ROWS, self._decode)

    def _find_rows(self, buffer: ifd.Buffer) -> tuple[list[int], list[int]]:
        """Return offset and size of each row of each channel, channel by channel."""
        contents, at = self._contents, self._contents.pixels + 2
        count = contents.channels * contents.height
        if self._packed:
            width = 4 if contents.wide else 2
            table = bytes(buffer[at : at + width * count])
            if len(table) < width * count:
                raise CodecError("its row sizes are cut")
            sizes = np.frombuffer(table, f">u{width}").astype(np.int64).tolist()
            at += width * count
        else:
            sizes = [contents.width * self._stored.itemsize] * count
        offsets = list(accumulate(sizes, initial=at))
        return offsets[:-1], sizes

    def _decode(self, top: int, bottom: int) -> Pixels:
        contents = self._contents
        planes = np.empty((self._used, bottom - top, contents.width), self._stored)
        for channel in range(self._used):
            for row in range(top, bottom):
                planes[channel, row - top] = self._row(channel * contents.height + row)
        return self._to_pixels(np.moveaxis(planes, 0, -1).astype(self.dtype))

    def _row(self, index: int) -> Pixels:
        size = self._contents.width * self._stored.itemsize
        self._file.seek(self._offsets[index])
        data = self._file.read(self._sizes[index])
        if len(data) < self._sizes[index]:
            raise CodecError("its pixels end early")
        if self._packed:
            data = _unpack(data, size)
        return np.frombuffer(data, self._stored)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _to_pixels(self, stored: Pixels) -> Pixels:
        """Turn stored channels into gray or RGB, and straight alpha."""
        contents = self._contents
        if contents.palette is not None:
            table = np.frombuffer(contents.palette, np.uint8).reshape(3, 256).T
            coloured = table[stored[..., 0]]
            return np.concatenate([coloured, stored[..., 1:]], -1)
        top = np.iinfo(self.dtype).max
        if contents.colours == _INKS:
            from drht_plugin.io import _cmyk

            stored = stored.copy()
            stored[..., :_INKS] = top - stored[..., :_INKS]  # 0 is all ink
            if contents.transparent:
                stored = _without_paper(stored, 0)
            return _cmyk.from_array(stored, contents.metadata.icc)
        return _without_paper(stored, top) if contents.transparent else stored


def _unpack(data: bytes, size: int) -> bytes:
    """Undo PackBits.

    Raises:
        CodecError: the result has another size.
    """
    out, at, end = bytearray(), 0, len(data)
    while at < end and len(out) < size:
        count = data[at]
        if count < 128:
            out += data[at + 1 : at + 2 + count]
            at += 2 + count
        elif count > 128:
            out += data[at + 1 : at + 2] * (257 - count)
            at += 2
        else:
            at += 1
    if len(out) != size:
        raise CodecError("a row has another size than the picture")
    return bytes(out)


def _without_paper(pixels: Pixels, paper: int) -> Pixels:
    """Take away the white that Photoshop lays under a transparent composite.

    Args:
        pixels: R×C×K, the last channel alpha.
        paper: value of white.
    """
    top = np.iinfo(pixels.dtype).max
    alpha = pixels[..., -1:].astype(np.float64) / top
    colours: Any = pixels[..., :-1].astype(np.float64)
    behind = (colours - (1 - alpha) * paper) / np.maximum(alpha, 1 / top)
    made = np.where(alpha > 0, np.rint(behind).clip(0, top), colours).astype(pixels.dtype)
    return np.concatenate([made, pixels[..., -1:]], -1)
