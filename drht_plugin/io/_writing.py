"""Writing picture files: what a format can hold, and how a file appears whole or not at all."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError, WriteError
from drht_plugin.io._codec import CodecError
from drht_plugin.io._formats import Format, by_suffix, holders, holds, writable_suffixes
from drht_plugin.io._picture import Described, Picture, backend_of, called
from drht_plugin.io._pixels import Pixels, turn_upright
from drht_plugin.io._rows import Shape, Whole, Writer
from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.types import Metadata, orientation
from drht_plugin.storage import replacing

_HDR_NOTE = "Scene-linear radiance; 1.0 is the clip point of the input picture."
_HEIF = ("avif", "heic")


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
        exif = ifd.upright(carrier.metadata.exif)
        carrier = replace(carrier, metadata=replace(carrier.metadata, exif=exif))

    def begin(temporary: Path) -> Writer:
        backend = backend_of(row)

        def encode(pixels: Pixels) -> None:
            if turns:
                pixels = turn_upright(pixels, turn)
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
                f"{called(self.path)}: given {pixels.dtype} {pixels.shape} as rows {top} to "
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
                f"{called(self.path)}: given {self._row} of {self.shape[0]} rows; expected all"
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
            f"{called(Path(path))}: pixels are {pixels.dtype} {pixels.shape}; "
            f"the picture's are {picture.dtype} {picture.shape}"
        )
    with create_picture(path, picture, quality=quality) as sink:
        sink[:] = pixels


def _target(path: Path, picture: Described) -> Format:
    """Return the format to write; refuse what it cannot hold."""
    name = called(path)
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
        raise InputError(f"{called(path)}: radiance is written as .exr, not '{path.suffix}'")
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
    return WriteError(f"{called(path)}: cannot be written: {words}")
