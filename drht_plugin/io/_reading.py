"""Read picture files, as a whole or by rows, and refuse what is not supported."""

import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import DependencyError, InputError, ReadError
from drht_plugin.io import _gain_maps
from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._decoders import HELD
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._formats import (
    HEADER_BYTES,
    Format,
    format_of_suffix,
    readable_suffixes,
    sniff,
)
from drht_plugin.io._picture import Picture, name_of, reader_of
from drht_plugin.io._pixels import turn_upright
from drht_plugin.io._recognise import format_of
from drht_plugin.io._rows import Reader, Shape, Shrinkable, tolerate
from drht_plugin.io.metadata.claims import sanitise
from drht_plugin.io.metadata.gain_map import GainMap
from drht_plugin.io.metadata.types import Carrier, orientation
from drht_plugin.storage import FileIdentity, identity_of, openable_file

_CHANGED = "was changed while it was read"

Damaged = Literal["refuse", "keep"]
"""What is done with damaged pixels."""


class _State:
    """What becomes known of a file while it is read; a picture and its smaller copies share it."""

    def __init__(self, identity: FileIdentity, damaged: Damaged) -> None:
        self.identity, self.keeps = identity, damaged == "keep"
        self.damage: str | None = None


class PictureFile:
    """Open picture file that is read by rows: ``file[top:bottom:step]``.

    Rows are decoded when they are read, which is fastest from top to bottom. Close the file when
    done, or use it as a context manager.

    Attributes:
        path: as given to `open_picture`.
        shape: H×W×C.
        dtype: of the pixels; see `Picture`.
        transfer: "srgb" or "linear"; see `Picture`.
        carrier: metadata and coding; see `Picture`.
        whole: whether the format is decoded as a whole, whatever rows are read: WebP, AVIF, HEIC,
            JPEG XL and JPEG 2000. (Interlaced PNG and progressive JPEG files are too, but their
            libraries hold them in a form of their own.)
        gain_map: of a picture that has one; or why it cannot be used, in plain words; or None.
    """

    def __init__(
        self,
        path: Path,
        reader: Reader,
        row: Format,
        carrier: Carrier,
        state: _State,
        close: Callable[[], None] | None = None,
        gain_map: GainMap | str | None = None,
    ) -> None:
        self.path, self.carrier, self.gain_map = path, carrier, gain_map
        self.transfer, self.whole = row.transfer, row.whole
        self.shape, self.dtype = reader.shape, reader.dtype
        self._reader, self._row, self._state = reader, row, state
        self._close = close or reader.close
        self._tolerant = False

    @property
    def damage(self) -> str | None:
        """What was found damaged so far, in the decoder's words; None for nothing."""
        return self._state.damage

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """Return rows ``top:bottom:step``, R×W×C.

        Raises:
            ReadError: the file is damaged or ends early.
        """
        top, bottom, step = rows.indices(self.shape[0])
        if bottom <= top:
            return np.empty((0, *self.shape[1:]), self.dtype)
        with _read_errors(self.path, self._state.identity):
            return self._read(top, bottom, step)

    def _read(self, top: int, bottom: int, step: int) -> NDArray[Any]:
        if not self._tolerant and self._state.damage is not None:
            self._tolerant = tolerate(self._reader)
        try:
            return self._reader.read(top, bottom, step)
        except CodecError as error:
            if self._tolerant or not self._state.keeps or not tolerate(self._reader):
                raise
            self._tolerant = True
            self._state.damage = self._state.damage or str(error)
        return self._reader.read(top, bottom, step)

    def rows(self, top: int, bottom: int) -> NDArray[Any]:
        """Return rows ``top:bottom``, R×W×C; see `__getitem__`."""
        return self[top:bottom]

    def require_unchanged(self) -> None:
        """Check that the file is the one that was opened.

        Raises:
            ReadError: it was removed, replaced or written to.
        """
        if identity_of(self.path) != self._state.identity:
            raise ReadError(f"{name_of(self.path)}: {_CHANGED}")

    def reduced(self, max_factor: int) -> "PictureFile | None":
        """Open a smaller copy of the picture: a JPEG's shrink-on-load, or a TIFF pyramid's level.

        Args:
            max_factor: how many times smaller the copy may be in each direction.

        Returns:
            The smallest copy that is allowed; None where there is none.

        Raises:
            ReadError: the file is damaged or has been removed.
        """
        if not isinstance(self._reader, Shrinkable):
            return None
        with _read_errors(self.path, self._state.identity):
            reader = self._reader.reduced(max_factor)
        if reader is None:
            return None
        return PictureFile(self.path, reader, self._row, self.carrier, self._state)

    def close(self) -> None:
        """Close the file."""
        self._close()

    def __enter__(self) -> "PictureFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_picture(
    path: str | PathLike[str], *, damaged: Damaged = "refuse", layer: str | None = None
) -> PictureFile:
    """Open a picture file to read it by rows.

    Args:
        path: a file of one of the formats of `readable_suffixes`; its content decides which, not
            its name.
        damaged: "refuse" raises an error for damaged pixels; "keep" takes what the decoder makes of
            them, 0 where it makes nothing, and says so in `PictureFile.damage`.
        layer: name of a layer of an OpenEXR file, by its channels' names or its part's; None for
            the picture itself, or the only layer.

    Raises:
        InputError: `damaged` is neither.
        ReadError: the file is missing, empty, damaged, no picture, or of an unsupported kind: Lab,
            32-bit integers, more than 4 channels, several pages. The message starts with the
            file's name. Damaged pixels are noticed when they are read.
        DependencyError: the format needs a package that is not installed; the message names it.
    """
    path = Path(path)
    if damaged not in get_args(Damaged):
        raise InputError(f"damaged is {damaged!r}; 'refuse' and 'keep' are accepted")
    with ExitStack() as alias:
        with _read_errors(path), FileBytes(path) as buffer:
            state = _State(buffer.identity, damaged)
            row = _recognise(path, buffer)
            opened = alias.enter_context(openable_file(path, row.suffixes))
            reader, carrier = _open(row, opened, buffer, layer)
            gain_map, unusable = _gain_maps.read(row, carrier.metadata, buffer, reader.shape)
            carrier = replace(carrier, pixel_bytes=_pixel_bytes(carrier, len(buffer)))
        alias.callback(reader.close)
        close = alias.pop_all().close
    metadata = sanitise(carrier.metadata)
    metadata = replace(metadata, dropped=(*metadata.dropped, *unusable))
    carrier = replace(carrier, metadata=metadata)
    return PictureFile(path, reader, row, carrier, state, close, gain_map)


class PictureSize(NamedTuple):
    """What a picture takes, known without its pixels.

    Attributes:
        pixels: how many.
        bytes: of all pixels as they are read.
        whole: whether they must be in memory all at once.
        decoding: bytes that the decoder of such a picture takes beside them; 0 for others.
    """

    pixels: int
    bytes: int
    whole: bool
    decoding: int = 0


def size_of(path: str | PathLike[str]) -> PictureSize:
    """Return a picture's size. Camera raw is not developed for it.

    Args:
        path: see `open_picture`.

    Raises:
        ReadError, DependencyError: see `open_picture`.
    """
    path = Path(path)
    with _read_errors(path), FileBytes(path) as buffer, ExitStack() as alias:
        row = _recognise(path, buffer)
        if row.backend == "raw":
            from drht_plugin.io import _raw

            shape = _raw.shape_of(alias.enter_context(openable_file(path, row.suffixes)))
            return _size(row, shape, np.dtype(np.uint16).itemsize)
        if row.backend == "oiio":
            from drht_plugin.io import _oiio

            # Opening would decode some of these.
            if stated := _oiio.stated_size(row.name, buffer):
                return _size(row, *stated)
    with open_picture(path) as picture:
        return _size(row, picture.shape, picture.dtype.itemsize)


def _size(row: Format, shape: Shape, itemsize: int) -> PictureSize:
    pixels = shape[0] * shape[1]
    decoding = HELD[row.name].bytes_of(shape, itemsize) if row.whole else 0
    return PictureSize(pixels, pixels * shape[2] * itemsize, row.whole, decoding)


def _pixel_bytes(carrier: Carrier, file_bytes: int) -> int:
    """Return the bytes of a lossy file's pixels; 0 where further pictures are in it, too."""
    metadata = carrier.metadata
    if carrier.lossless or metadata.dropped:
        return 0
    beside = (metadata.icc, metadata.exif, metadata.xmp, metadata.photoshop, metadata.extended_xmp)
    return max(file_bytes - sum(len(part or b"") for part in beside), 1)


def _open(row: Format, path: Path, buffer: FileBytes, layer: str | None) -> tuple[Reader, Carrier]:
    if layer is None:
        return reader_of(row).reader(path, row.name, buffer)
    if row.name != "exr":
        raise UnsupportedError(f"is a {row.label} picture, which has no layer {layer!r}")
    from drht_plugin.io import _oiio_linear

    return _oiio_linear.reader(path, row.name, buffer, layer=layer)


@contextmanager
def _read_errors(path: Path, identity: FileIdentity | None = None) -> Iterator[None]:
    """Turn errors of backends and the system into `ReadError`.

    Args:
        path: of the file.
        identity: of the file when it was opened, if it was.
    """
    try:
        yield
    except DependencyError as error:
        raise DependencyError(f"{name_of(path)}: {error}") from error
    except UnsupportedError as error:
        raise ReadError(f"{name_of(path)}: {error}") from error
    except (CodecError, ValueError, IndexError, struct.error) as error:
        if identity is not None and identity_of(path) != identity:
            raise ReadError(f"{name_of(path)}: {_CHANGED}") from error
        raise ReadError(f"{name_of(path)}: is damaged or ends early ({error})") from error
    except MemoryError as error:
        raise ReadError(f"{name_of(path)}: needs more memory than there is") from error
    except OSError as error:
        raise ReadError(f"{name_of(path)}: cannot be read: {error.strerror or error}") from error


def read_picture(
    path: str | PathLike[str], *, damaged: Damaged = "refuse", layer: str | None = None
) -> Picture:
    """Read a picture file as a whole.

    Args:
        path: see `open_picture`.
        damaged: see `open_picture`.
        layer: see `open_picture`.

    Returns:
        Pixels as stored in the file, and their metadata. Palettes and 1, 2 and 4 bits become
        uint8; 10, 12 and 14 bits become uint16, stretched to its range. Half-float OpenEXR with
        alpha becomes float32, so that premultiplying restores its values exactly.

    Raises:
        ReadError: see `open_picture`; pixels are damaged or missing; or the file was changed while
            it was read.
    """
    with open_picture(path, damaged=damaged, layer=layer) as file:
        pixels = np.ascontiguousarray(file[:])
        file.require_unchanged()
    return Picture(pixels, file.transfer, file.carrier)


def _recognise(path: Path, buffer: FileBytes) -> Format:
    """Return the format of a file by its content; its suffix only says what is expected."""
    if not len(buffer):
        raise ReadError(f"{name_of(path)}: is empty (0 bytes)")
    found = format_of(buffer)
    if found is not None:
        return found
    other, named = sniff(buffer[:HEADER_BYTES]), format_of_suffix(path.suffix)
    if other is not None:
        raise ReadError(f"{name_of(path)}: is a {other} file, which is not read")
    if named is not None:
        raise ReadError(f"{name_of(path)}: is not a {named.label} picture")
    known = ", ".join(sorted(readable_suffixes()))
    raise ReadError(f"{name_of(path)}: is not a picture that is read; these are: {known}")


def upright(picture: Picture) -> NDArray[Any]:
    """Return a picture's pixels as a viewer shows them, H×W×C.

    Args:
        picture: from `read_picture`. Its pixels are turned by its orientation tag.
    """
    return turn_upright(picture.pixels, orientation(picture.carrier.metadata))
