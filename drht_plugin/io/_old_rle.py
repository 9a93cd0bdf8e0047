"""Read Radiance files in the run-length coding of before 1991, which OpenImageIO does not.

A pixel of 1, 1, 1, n repeats the one before it n times; the next such pixel counts 256-fold, and
so on. Runs do not cross scanlines.
"""

from pathlib import Path
from typing import Any

import numpy as np

from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.radiance import RadianceHeader

_PIXEL = 4
_MAX_SHIFTS = 4
_NEW_WIDTHS = range(8, 0x8000)
_BIAS = 136


def is_used(buffer: Buffer, header: RadianceHeader) -> bool:
    """Return whether a file is coded so: not in the newer coding, and shorter than uncoded."""
    start = bytes(buffer[header.size : header.size + _PIXEL])
    newer = header.width in _NEW_WIDTHS and start[:2] == b"\2\2" and start[2:3] < b"\x80"
    return not newer and len(buffer) - header.size < header.height * header.width * _PIXEL


class OldRleReader:
    """Reader of such a file, which holds its pixels as they are stored; see `_rows.Reader`.

    Raises:
        CodecError: the file ends early, or its runs do not make up the picture.
    """

    def __init__(self, path: Path, header: RadianceHeader) -> None:
        self.shape, self.dtype = (header.height, header.width, 3), np.dtype(np.float32)
        with open(path, "rb") as file:
            file.seek(header.size)
            coded = np.frombuffer(file.read(), np.uint8)
        words = coded[: len(coded) // _PIXEL * _PIXEL].reshape(-1, _PIXEL)
        self._pixels, times = _runs(words, header.height * header.width)
        self._ends = np.cumsum(times)

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        width = self.shape[1]
        if step == 1:
            stored = self._expand(top * width, bottom * width)
        else:
            rows = [
                self._expand(row * width, (row + 1) * width) for row in range(top, bottom, step)
            ]
            stored = np.concatenate(rows)
        stored = stored.reshape(-1, width, _PIXEL)
        scale = np.ldexp(np.float32(1), stored[..., 3:].astype(np.int32) - _BIAS)
        light: Pixels = np.where(stored[..., 3:] > 0, stored[..., :3] * scale, 0)
        return light.astype(np.float32)

    def _expand(self, first: int, last: int) -> Pixels:
        """Return pixels first..last−1, N×4 uint8."""
        start = int(np.searchsorted(self._ends, first, "right"))
        stop = int(np.searchsorted(self._ends, last, "left")) + 1
        ends = self._ends[start:stop].clip(max=last) - first
        return np.repeat(self._pixels[start:stop], np.diff(ends, prepend=0), axis=0)

    def close(self) -> None:
        """Drop the pixels."""
        self._pixels = np.empty((0, _PIXEL), np.uint8)


def _runs(words: Pixels, count: int) -> tuple[Pixels, Any]:
    """Return the pixel, N×4 uint8, of each coded word, and how many times it stands there."""
    runs = (words[:, :3] == 1).all(1)
    if not len(words) or runs[0]:
        raise CodecError("its first pixel is a run")
    # Position of each run among those that follow one another.
    place = np.arange(len(words))
    before = np.maximum.accumulate(np.where(runs, 0, place))
    shift = place - before - 1
    if int(shift.max()) >= _MAX_SHIFTS:
        raise CodecError("its runs are too long")
    times = np.ones(len(words), np.int64)
    times[runs] = words[runs, 3].astype(np.int64) << (8 * shift[runs])
    if int(times.sum()) != count:
        raise CodecError(f"its runs make {int(times.sum())} pixels; {count} are needed")
    return words[before], times
