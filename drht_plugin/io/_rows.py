"""Pixels in and out by rows: what every format's reader and writer offers to `_files`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np

from drht_plugin.io._pixels import Pixels

Shape = tuple[int, int, int]


class Reader(Protocol):
    """An open picture file; errors are those of `_codec`.

    Attributes:
        shape: H×W×C.
        dtype: Of the pixels that `read` gives.
    """

    shape: Shape
    dtype: np.dtype[Any]

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``, an array that is the caller's."""
        ...

    def close(self) -> None:
        """Let the file go; may be called twice."""
        ...


@runtime_checkable
class Shrinkable(Protocol):
    """A reader whose codec can give the picture made smaller, for less than the cost of it all."""

    def reduced(self, most: int) -> Reader | None:
        """Return a reader of it, at most `most` times smaller each way; None where none is."""
        ...


class Writer(Protocol):
    """A picture file that is being written; errors are those of `_codec`."""

    def write(self, rows: Pixels) -> None:
        """Take the next rows."""
        ...

    def finish(self) -> None:
        """Write what remains when all rows were given; the file is whole then, and closed."""
        ...

    def close(self) -> None:
        """Let an unfinished file go; nothing happens to a finished one."""
        ...


class Blocks:
    """Rows out of a decoder that gives whole blocks of rows: strips, rows of tiles.

    The last block is kept, so that a block which two requests share is decoded once.

    Args:
        shape: H×W×C.
        dtype: Of the pixels.
        rows: To a block.
        decode: Gives the rows from `top` to `bottom`, both at the borders of blocks.
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
        """Return rows that hold `row` and what follows: up to `bottom`, or their block's end."""
        first, rows = self._kept
        if first <= row < first + len(rows):
            return first, rows
        first = row - row % self._rows
        last = min(max(first, bottom - 1) // self._rows * self._rows + self._rows, self.shape[0])
        rows = self._decode(first, last)
        start = (len(rows) - 1) // self._rows * self._rows
        self._kept = first + start, rows[start:].copy()
        return first, rows


class Whole:
    """A writer for formats that are coded as a whole: gathers the rows."""

    def __init__(self, shape: Shape, dtype: np.dtype[Any], encode: Callable[[Pixels], None]):
        self._pixels, self._row, self._encode = np.empty(shape, dtype), 0, encode

    def write(self, rows: Pixels) -> None:
        """Take the next rows."""
        self._pixels[self._row : self._row + len(rows)] = rows
        self._row += len(rows)

    def finish(self) -> None:
        """Code the picture."""
        self._encode(self._pixels)

    def close(self) -> None:
        """There is nothing to let go."""


class Regrouped:
    """Rows for an encoder that wants whole blocks of them, but for the last.

    Args:
        shape: H×W×C.
        dtype: Of the pixels.
        rows: To a block.
        encode: Takes whole blocks, and the row that they begin at.
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
        """Take the next rows; as many as make whole blocks are coded."""
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
