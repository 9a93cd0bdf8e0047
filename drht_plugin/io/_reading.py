"""Reading picture files: what is accepted, what is refused, and by which words."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import ReadError
from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._codec import CodecError, UnsupportedError
from drht_plugin.io._formats import (
    FORMATS,
    HEADER_BYTES,
    Format,
    by_suffix,
    readable_suffixes,
    sniff,
)
from drht_plugin.io._picture import Picture, backend_of, called
from drht_plugin.io._pixels import turn_upright
from drht_plugin.io._rows import Reader, Shrinkable
from drht_plugin.io.metadata.types import Carrier, orientation, sound


class PictureFile:
    """An open picture file, read by rows: ``file[top:bottom:step]``; close it when done.

    Rows are decoded as they are asked for, best from top to bottom.

    Attributes:
        path: As given to `open_picture`.
        shape, dtype, transfer, carrier: As of `Picture`.
        whole: Whether the format is decoded as a whole, whatever rows are asked for: WebP, AVIF,
            HEIC, JPEG XL, JPEG 2000. (So are interlaced PNG and progressive JPEG files, which
            their libraries hold in a form of their own.)
    """

    def __init__(self, path: Path, reader: Reader, row: Format, carrier: Carrier) -> None:
        self.path, self.carrier = path, carrier
        self.transfer, self.whole = row.transfer, row.whole
        self.shape, self.dtype = reader.shape, reader.dtype
        self._reader, self._row = reader, row

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return rows, R×W×C.

        Raises:
            ReadError: The file is damaged or ends early there.
        """
        top, bottom, step = rows.indices(self.shape[0])
        if bottom <= top:
            return np.empty((0, *self.shape[1:]), self.dtype)
        with _reading(self.path):
            return self._reader.read(top, bottom, step)

    def reduced(self, most: int) -> "PictureFile | None":
        """Return the file as its decoder makes it smaller or as a level, at most `most` times.

        Returns:
            None where the format has no cheap way to.

        Raises:
            ReadError: The file is damaged or gone.
        """
        if not isinstance(self._reader, Shrinkable):
            return None
        with _reading(self.path):
            reader = self._reader.reduced(most)
        return PictureFile(self.path, reader, self._row, self.carrier) if reader else None

    def close(self) -> None:
        """Let the file go."""
        self._reader.close()

    def __enter__(self) -> "PictureFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_picture(path: str | PathLike[str]) -> PictureFile:
    """Open one picture file to be read by rows.

    Args:
        path: A file whose suffix is among `readable_suffixes` and says what it really is.

    Raises:
        ReadError: The file is missing, empty, damaged, of another format than its name says, or of
            a kind that is not read: CMYK, Lab, camera raw, 32-bit integers, more than 4 channels,
            several pages. The message starts with the file's name. Damage to its pixels shows
            when they are read.
    """
    path = Path(path)
    with _reading(path), FileBytes(path) as buffer:
        row = _recognised(path, buffer[:HEADER_BYTES])
        reader, carrier = backend_of(row).reader(path, row.name, buffer)
    carrier = replace(carrier, metadata=sound(carrier.metadata))
    return PictureFile(path, reader, row, carrier)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Give failures to read the project's words."""
    try:
        yield
    except UnsupportedError as error:
        raise ReadError(f"{called(path)}: {error}") from error
    except (CodecError, ValueError, IndexError, struct.error) as error:
        raise ReadError(f"{called(path)}: is damaged or ends early ({error})") from error
    except OSError as error:
        raise ReadError(f"{called(path)}: cannot be read: {error.strerror or error}") from error


def read_picture(path: str | PathLike[str]) -> Picture:
    """Read one picture file as a whole.

    Returns:
        The pixels as coded in the file, and what must survive beside them. Palettes and 1, 2 and
        4 bits come as uint8; 10, 12 and 14 bits as uint16 over its whole range; half-float
        OpenEXR with alpha as float32, so that its alpha can be undone exactly.

    Raises:
        ReadError: As `open_picture`; the file is damaged or cut short.
    """
    with open_picture(path) as file:
        pixels = np.ascontiguousarray(file[:])
    return Picture(pixels, file.transfer, file.carrier)


def _recognised(path: Path, header: bytes) -> Format:
    """Return the format of a file; refuse one whose name or content is not understood."""
    if not header:
        raise ReadError(f"{called(path)}: is empty (0 bytes)")
    named, found = by_suffix(path.suffix), sniff(header)
    label = FORMATS[found].label if found in FORMATS else found
    if named is None:
        known = ", ".join(sorted(readable_suffixes()))
        raise ReadError(f"{called(path)}: suffix '{path.suffix}' is not read; these are: {known}")
    if found is None:
        raise ReadError(f"{called(path)}: is not a {named.label} picture")
    if found != named.name:
        raise ReadError(f"{called(path)}: is a {label} picture, not {named.label} as its name says")
    return named


def upright(picture: Picture) -> NDArray[Any]:
    """Return the pixels as a viewer shows them: turned by the orientation tag, H×W×C."""
    return turn_upright(picture.pixels, orientation(picture.carrier.metadata))
