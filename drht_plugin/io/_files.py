"""Reading and writing picture files: what is accepted, what is refused, and by which words."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError, ReadError, WriteError
from drht_plugin.io import _ifd
from drht_plugin.io._atomic import replacing
from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._codec import CodecError, UnsupportedError
from drht_plugin.io._formats import (
    FORMATS,
    HEADER_BYTES,
    Format,
    Transfer,
    by_suffix,
    holders,
    holds,
    readable_suffixes,
    sniff,
    writable_suffixes,
)
from drht_plugin.io._metadata import Carrier, Metadata, orientation, sound
from drht_plugin.io._pixels import Pixels, turned
from drht_plugin.io._rows import Reader, Shape, Shrinkable, Whole, Writer

_HDR_NOTE = "Scene-linear radiance; 1.0 is the clip point of the input picture."
_HEIF = ("avif", "heic")


@dataclass(frozen=True)
class Picture:
    """One picture file's pixels, and all that must survive beside them.

    Attributes:
        pixels: H×W×C, C-contiguous; uint8, uint16, float16 or float32; 1 channel is gray, 2 gray
            and alpha, 3 RGB, 4 RGB and alpha. Alpha is straight. As coded in the file: not turned
            by the orientation tag, not converted by the profile.
        transfer: "srgb" for display-encoded values, "linear" for scene-linear ones (OpenEXR,
            Radiance HDR, PFM).
        carrier: What `write_picture` needs to give back metadata and manner of storing.
    """

    pixels: NDArray[Any]
    transfer: Transfer
    carrier: Carrier

    @property
    def shape(self) -> Shape:
        """H×W×C."""
        height, width, channels = self.pixels.shape
        return height, width, channels

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        return self.pixels.dtype


class Described(Protocol):
    """What a target needs to know of the picture that it is made from."""

    @property
    def shape(self) -> Shape:
        """H×W×C."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pixels."""
        ...

    @property
    def transfer(self) -> Transfer:
        """How they are encoded."""
        ...

    @property
    def carrier(self) -> Carrier:
        """What lies beside them."""
        ...


class _Backend(Protocol):
    def reader(self, path: Path, name: str, buffer: _ifd.Buffer) -> tuple[Reader, Carrier]: ...

    def writer(
        self,
        path: Path,
        name: str,
        shape: Shape,
        dtype: np.dtype[Any],
        carrier: Carrier,
        quality: int | None,
    ) -> Writer: ...

    def write(
        self, path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None
    ) -> None: ...


def _backend(row: Format) -> _Backend:
    if row.backend == "vips":
        from drht_plugin.io import _vips

        return _vips
    from drht_plugin.io import _oiio

    return _oiio


def _called(path: Path) -> str:
    return path.name or str(path)


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
        reader, carrier = _backend(row).reader(path, row.name, buffer)
    carrier = replace(carrier, metadata=sound(carrier.metadata))
    return PictureFile(path, reader, row, carrier)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Give failures to read the project's words."""
    try:
        yield
    except UnsupportedError as error:
        raise ReadError(f"{_called(path)}: {error}") from error
    except (CodecError, ValueError, IndexError, struct.error) as error:
        raise ReadError(f"{_called(path)}: is damaged or ends early ({error})") from error
    except OSError as error:
        raise ReadError(f"{_called(path)}: cannot be read: {error.strerror or error}") from error


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
        raise ReadError(f"{_called(path)}: is empty (0 bytes)")
    named, found = by_suffix(path.suffix), sniff(header)
    label = FORMATS[found].label if found in FORMATS else found
    if named is None:
        known = ", ".join(sorted(readable_suffixes()))
        raise ReadError(f"{_called(path)}: suffix '{path.suffix}' is not read; these are: {known}")
    if found is None:
        raise ReadError(f"{_called(path)}: is not a {named.label} picture")
    if found != named.name:
        raise ReadError(
            f"{_called(path)}: is a {label} picture, not {named.label} as its name says"
        )
    return named


def upright(picture: Picture) -> NDArray[Any]:
    """Return the pixels as a viewer shows them: turned by the orientation tag, H×W×C."""
    return turned(picture.pixels, orientation(picture.carrier.metadata))


@contextmanager
def create_picture(
    path: str | PathLike[str],
    like: Described,
    *,
    quality: int | None = None,
    folder: Path | None = None,
) -> Iterator["PictureSink"]:
    """Write a picture by rows, with the metadata of the picture that it is made from.

    The file appears under its name when the body has ended well, and is whole then; a failure
    leaves nothing behind, and a file that was there untouched.

    WebP, AVIF, JPEG XL and JPEG 2000 are coded as a whole, so that their pixels are held in memory
    until then. So are those of a picture that must be turned, because its source says by a tag how
    it is to be turned and the target's format cannot.

    Args:
        path: Target; its suffix, among `writable_suffixes`, names the format.
        like: The source, from `open_picture` or `read_picture`.
        quality: 1 to 100, for JPEG, WebP and AVIF; others are stored exactly and ignore it. By
            default a JPEG source's own quality, 95 for other lossy sources, and exact
            storage of exact sources where the format can.
        folder: Where the unfinished file is; beside the target if absent. Must be on its disk.

    Yields:
        What takes the rows: ``sink[top:bottom] = rows``, in order, of the source's dtype.

    Raises:
        InputError: The format cannot hold such pixels, or as many.
        WriteError: The file cannot be written. The message starts with the target's name.
    """
    path = Path(path)
    row = _target(path, like)
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; it goes from 1 to 100")
    carrier = like.carrier
    turn = orientation(carrier.metadata)
    turns = turn != 1 and not row.orients
    if row.name != "png" or carrier.format != "png":  # that keeps its code points as they are
        carrier = replace(carrier, metadata=_with_profile(carrier.metadata))
    if carrier.metadata.exif and turns:
        exif = _ifd.upright(carrier.metadata.exif)
        carrier = replace(carrier, metadata=replace(carrier.metadata, exif=exif))

    def begin(temporary: Path) -> Writer:
        backend = _backend(row)

        def encode(pixels: Pixels) -> None:
            if turns:
                pixels = turned(pixels, turn)
            if row.whole:
                backend.write(temporary, row.name, pixels, carrier, quality)
                return
            height, width, channels = pixels.shape
            shape = (height, width, channels)
            writer = backend.writer(temporary, row.name, shape, like.dtype, carrier, quality)
            try:
                writer.write(pixels)
                writer.finish()
            finally:
                writer.close()

        if row.whole or turns:
            return Whole(like.shape, like.dtype, encode)
        return backend.writer(temporary, row.name, like.shape, like.dtype, carrier, quality)

    with _stored(path, begin, folder) as target:
        sink = PictureSink(path, target, like.shape, like.dtype)
        yield sink
        sink.require_all()


def _with_profile(metadata: Metadata) -> Metadata:
    """Return metadata with a profile in place of code points, which most formats cannot hold."""
    if metadata.cicp is None:
        return metadata
    from drht_plugin.colour.cicp import Cicp

    try:
        space = Cicp(*metadata.cicp)
    except InputError:
        return metadata
    return replace(metadata, icc=space.profile())


class PictureSink:
    """A picture file that is being written, by `create_picture` or `create_hdr`.

    Attributes:
        path: The target.
        shape: H×W×C.
        dtype: Of the rows that it takes.
    """

    def __init__(self, path: Path, target: Writer, shape: Shape, dtype: np.dtype[Any]) -> None:
        self.path, self.shape, self.dtype = path, shape, dtype
        self._target, self._row = target, 0

    def __setitem__(self, rows: slice, pixels: NDArray[Any]) -> None:
        """Take the next rows.

        Raises:
            InputError: Rows that are not the next ones, or of another shape or dtype.
            WriteError: They cannot be written.
        """
        top, bottom, step = rows.indices(self.shape[0])
        expected = (bottom - top, *self.shape[1:])
        if (top, step) != (self._row, 1) or pixels.shape != expected or pixels.dtype != self.dtype:
            raise InputError(
                f"{_called(self.path)}: given {pixels.dtype} {pixels.shape} as rows {top} to "
                f"{bottom}; expected {self.dtype} rows of {self.shape[1:]} from {self._row} on"
            )
        try:
            self._target.write(pixels)
        except (OSError, CodecError, ValueError) as error:
            raise _unwritten(self.path, error) from error
        self._row = bottom

    def require_all(self) -> None:
        """Refuse to end before the last row.

        Raises:
            InputError: Rows are missing.
        """
        if self._row != self.shape[0]:
            raise InputError(
                f"{_called(self.path)}: given {self._row} of {self.shape[0]} rows; expected all"
            )


def write_picture(
    path: str | PathLike[str],
    pixels: NDArray[Any],
    picture: Picture,
    *,
    quality: int | None = None,
) -> None:
    """Write pixels with the metadata of the picture that they were made from.

    Args:
        path, quality: As of `create_picture`.
        pixels: Same shape and dtype as ``picture.pixels``.
        picture: The source, as `read_picture` gave it.

    Raises:
        InputError: Shape or dtype differ from the picture's, or the format cannot hold them.
        WriteError: The file cannot be written. The message starts with the target's name.
    """
    if pixels.shape != picture.shape or pixels.dtype != picture.dtype:
        raise InputError(
            f"{_called(Path(path))}: pixels are {pixels.dtype} {pixels.shape}; "
            f"the picture's are {picture.dtype} {picture.shape}"
        )
    with create_picture(path, picture, quality=quality) as sink:
        sink[:] = pixels


def _target(path: Path, picture: Described) -> Format:
    """Return the format to write; refuse what it cannot hold."""
    name = _called(path)
    row = by_suffix(path.suffix)
    if row is None or path.suffix.lower() not in writable_suffixes():
        known = ", ".join(sorted(writable_suffixes()))
        raise InputError(f"{name}: suffix '{path.suffix}' is not written; these are: {known}")
    dtype, (height, width, channels) = picture.dtype.name, picture.shape
    # AVIF holds 10 and 12 bits, not the 16 of other uint16 pictures.
    too_deep = row.name == "avif" and dtype == "uint16" and picture.carrier.format not in _HEIF
    if too_deep or not holds(row, dtype, channels, picture.transfer):
        fitting = (s for s in holders(dtype, channels, picture.transfer) if s not in row.suffixes)
        kind = {1: "gray", 2: "gray with alpha", 3: "RGB", 4: "RGB with alpha"}[channels]
        raise InputError(
            f"{name}: {row.label} cannot hold {_encoding(picture.transfer)} {dtype} {kind} "
            f"pixels; {', '.join(fitting)} can"
        )
    if row.side is not None and max(height, width) > row.side:
        raise InputError(
            f"{name}: {row.label} holds at most {row.side} pixels a side; the picture has "
            f"{height}×{width}"
        )
    return row


def _encoding(transfer: str) -> str:
    return "scene-linear" if transfer == "linear" else "display-encoded"


@contextmanager
def create_hdr(path: str | PathLike[str], height: int, width: int) -> Iterator[PictureSink]:
    """Write scene-linear radiance by rows, as half-float OpenEXR, all or nothing.

    Args:
        path: Target; its suffix must be ``.exr``.
        height, width: In pixels.

    Yields:
        What takes float32 rows R×W×3, in order; 1.0 is the input's clip point, which a comment in
        the file says. Values beyond the half-float range, infinity included, become its ends
        (±65504).

    Raises:
        InputError: Another suffix, no pixels; other rows than these, or a NaN in them.
        WriteError: The file cannot be written. The message starts with the target's name.
    """
    path = Path(path)
    if path.suffix.lower() != ".exr":
        raise InputError(f"{_called(path)}: radiance is written as .exr, not '{path.suffix}'")
    if height < 1 or width < 1:
        raise InputError(f"radiance has {height}×{width} pixels; at least 1×1 is accepted")

    def begin(temporary: Path) -> Writer:
        from drht_plugin.io import _oiio

        return _oiio.hdr_writer(temporary, height, width, _HDR_NOTE)

    with _stored(path, begin) as target:
        sink = _HdrSink(path, target, (height, width, 3), np.dtype(np.float32))
        yield sink
        sink.require_all()


class _HdrSink(PictureSink):
    def __setitem__(self, rows: slice, pixels: NDArray[Any]) -> None:
        if np.isnan(pixels).any():
            raise InputError("radiance has NaN; only numbers are accepted")
        super().__setitem__(rows, pixels)


def write_hdr(path: str | PathLike[str], hdr: NDArray[np.float32]) -> None:
    """Write scene-linear radiance as a whole; see `create_hdr`.

    Args:
        path: Target.
        hdr: float32 H×W×3.

    Raises:
        InputError, WriteError: As `create_hdr`.
    """
    if hdr.dtype != np.float32 or hdr.ndim != 3 or hdr.shape[2] != 3 or not hdr.size:
        raise InputError(f"radiance is {hdr.dtype} {hdr.shape}; float32 H×W×3 is accepted")
    with create_hdr(path, hdr.shape[0], hdr.shape[1]) as sink:
        sink[:] = hdr


@contextmanager
def _stored(
    path: Path, begin: Callable[[Path], Writer], folder: Path | None = None
) -> Iterator[Writer]:
    """Give the writer of a temporary file, which takes the place of `path` if all went well."""
    body: BaseException | None = None
    try:
        if path.is_dir():
            raise IsADirectoryError("is a folder")
        if not path.parent.is_dir():
            raise NotADirectoryError(f"'{path.parent}' is not a folder")
        with replacing(path, folder) as temporary:
            target = begin(temporary)
            try:
                try:
                    yield target
                except BaseException as error:
                    body = error
                    raise
                target.finish()
            finally:
                target.close()
    except (OSError, CodecError, ValueError) as error:
        if error is body:
            raise
        raise _unwritten(path, error) from error


def _unwritten(path: Path, error: Exception) -> WriteError:
    words = getattr(error, "strerror", None) or error
    return WriteError(f"{_called(path)}: cannot be written: {words}")
