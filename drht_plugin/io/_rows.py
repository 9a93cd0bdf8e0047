"""Read and write pixels by rows: the interface of backends, and adapters for codecs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from drht_plugin.io._pixels import Pixels, turn_upright

Shape = tuple[int, int, int]


class Reader(Protocol):
    """Open picture file; raises the errors of `_codec`.

    Attributes:
        shape: H×W×C.
        dtype: of the pixels that `read` returns.
    """

    shape: Shape
    dtype: np.dtype[Any]

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``, R×W×C, as an array that the caller owns."""
        ...

    def close(self) -> None:
        """Close the file; may be called twice."""
        ...


@runtime_checkable
class Shrinkable(Protocol):
    """Reader that has smaller copies of the picture, which are cheaper to read."""

    def reduced(self, max_factor: int) -> Reader | None:
        """Open the smallest copy that is allowed.

        Args:
            max_factor: how many times smaller the copy may be in each direction.

        Returns:
            None where there is no copy.
        """
        ...


@runtime_checkable
class Tolerant(Protocol):
    """Reader that can go on over damaged pixels."""

    def tolerate(self) -> bool:
        """From now on, return what can be decoded, and 0 or what the codec makes of the rest.

        Returns:
            Whether the reader can do so.
        """
        ...


def tolerate(reader: Reader) -> bool:
    """Make a reader go on over damaged pixels; return whether it can."""
    return isinstance(reader, Tolerant) and reader.tolerate()


class Writer(Protocol):
    """Picture file that is being written; raises the errors of `_codec`."""

    def write(self, rows: Pixels) -> None:
        """Write the next rows, R×W×C."""
        ...

    def finish(self) -> None:
        """Complete and close the file, after all rows are written."""
        ...

    def close(self) -> None:
        """Close an unfinished file; does nothing to a finished one."""
        ...


class BlockReader:
    """Reader for a decoder that yields blocks of rows: strips, or rows of tiles.

    The last block is cached, so that two reads which share it decode it once.

    Args:
        shape: H×W×C.
        dtype: of the pixels.
        rows: per block.
        decode: (top, bottom) → rows ``top:bottom``, both at borders of blocks.
    """

    def __init__(
        self,
        shape: Shape,
        dtype: np.dtype[Any],
        rows: int,
        decode: Callable[[int, int], Pixels],
    ) -> None:
        self.shape, self.dtype = shape, dtype
        self._rows, self._decode = max(rows, 1), decode
        self._kept: tuple[int, Pixels] = (0, np.empty((0, *shape[1:]), dtype))

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        wanted = range(top, bottom, step)
        out = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        done = 0
        while done < len(wanted):
            first, rows = self._decoded(wanted[done], bottom if step < self._rows else 0)
            inside = rows[wanted[done] - first :: step][: len(wanted) - done]
            out[done : done + len(inside)] = inside
            done += len(inside)
        return out

    def _decoded(self, row: int, bottom: int) -> tuple[int, Pixels]:
        """Return blocks that contain `row`, up to `bottom` or one block, and their first row."""
        first, rows = self._kept
        if first <= row < first + len(rows):
            return first, rows
        first = row - row % self._rows
        last = min(max(first, bottom - 1) // self._rows * self._rows + self._rows, self.shape[0])
        rows = self._decode(first, last)
        start = (len(rows) - 1) // self._rows * self._rows
        self._kept = first + start, rows[start:].copy()
        return first, rows


class WholeWriter:
    """Writer for formats that are encoded as a whole: collects the rows.

    Args:
        shape: H×W×C.
        dtype: of the pixels.
        encode: writes all pixels to the file.
    """

    def __init__(self, shape: Shape, dtype: np.dtype[Any], encode: Callable[[Pixels], None]):
        self._pixels, self._row, self._encode = np.empty(shape, dtype), 0, encode

    def write(self, rows: Pixels) -> None:
        """Collect the next rows."""
        self._pixels[self._row : self._row + len(rows)] = rows
        self._row += len(rows)

    def finish(self) -> None:
        """Encode the picture."""
        self._encode(self._pixels)

    def close(self) -> None:
        """Do nothing: no file is open before `finish`."""


class TurningWriter:
    """Writer that turns a picture upright before another writer stores it: collects the rows.

    Args:
        target: stores the upright picture.
        shape: of the rows given, H×W×C.
        dtype: of the pixels.
        turn: orientation of the rows given, 1 to 8 as in EXIF.
    """

    def __init__(self, target: Writer, shape: Shape, dtype: np.dtype[Any], turn: int):
        self._target, self._turn = target, turn
        self._held = WholeWriter(shape, dtype, self._store)

    def _store(self, pixels: Pixels) -> None:
        self._target.write(turn_upright(pixels, self._turn))

    def write(self, rows: Pixels) -> None:
        """Collect the next rows."""
        self._held.write(rows)

    def finish(self) -> None:
        """Turn and store the picture, and complete the file."""
        self._held.finish()
        self._target.finish()

    def close(self) -> None:
        """Close an unfinished file."""
        self._target.close()


class BlockWriter:
    """Groups rows for an encoder that needs whole blocks; only the last may be smaller.

    Args:
        shape: H×W×C.
        dtype: of the pixels.
        rows: per block.
        encode: (top, rows) → None; writes whole blocks that start at row `top`.
    """

    def __init__(
        self,
        shape: Shape,
        dtype: np.dtype[Any],
        rows: int,
        encode: Callable[[int, Pixels], None],
    ) -> None:
        self._height, self._block = shape[0], max(rows, 1)
        self._encode = encode
        self._waiting = np.empty((min(self._block, shape[0]), *shape[1:]), dtype)
        self._held = self._row = 0

    def write(self, rows: Pixels) -> None:
        """Write the next rows; those that complete no block wait for the next call."""
        while len(rows):
            last = self._row + self._held + len(rows) == self._height
            whole = len(rows) if last else len(rows) // self._block * self._block
            if not self._held and whole:
                self._put(rows[:whole])
                rows = rows[whole:]
                continue
            taken = rows[: self._block - self._held]
            self._waiting[self._held : self._held + len(taken)] = taken
            self._held += len(taken)
            rows = rows[len(taken) :]
            if self._held == self._block or self._row + self._held == self._height:
                waiting, self._held = self._waiting[: self._held], 0
                self._put(waiting)

    def _put(self, rows: Pixels) -> None:
        self._encode(self._row, np.ascontiguousarray(rows))
        self._row += len(rows)
