"""Write picture files, complete or not at all, and refuse what a format cannot hold."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drht_plugin.errors import InputError, WriteError
from drht_plugin.io._carrying import carry
from drht_plugin.io._conversion import Conversion
from drht_plugin.io._convert_rows import Clipped, StepsWriter
from drht_plugin.io._errors import CodecError
from drht_plugin.io._formats import (
    Format,
    can_hold,
    suffixes_for,
)
from drht_plugin.io._lossy import holds_lossy, size_keeping_quality
from drht_plugin.io._picture import Picture, PictureLike, backend_of, name_of, written_format
from drht_plugin.io._pixels import Pixels, turn_upright
from drht_plugin.io._rows import Shape, TurningWriter, WholeWriter, Writer
from drht_plugin.io.metadata.gain_map import MapMaker
from drht_plugin.storage import Together, replacing

_HDR_NOTE = "Scene-linear radiance; 1.0 is the clip point of the input picture."


@contextmanager
def create_picture(
    path: str | PathLike[str],
    like: PictureLike,
    *,
    conversion: Conversion | None = None,
    quality: int | None = None,
    folder: Path | None = None,
    group: Together | None = None,
    gain_map: MapMaker | None = None,
) -> Iterator["PictureSink"]:
    """Write a picture by rows, with the metadata of its source.

    The file appears under its name, complete, when the body ends well. When it fails, nothing is
    left behind, and an existing file is not changed.

    WebP, AVIF, JPEG XL and JPEG 2000 are encoded as a whole, so that all pixels are held in memory.
    The same goes for a picture with an orientation tag whose target format has none: its pixels are
    turned upright.

    Args:
        path: target; its suffix, one of `writable_suffixes`, names the format.
        like: the source, from `open_picture` or `read_picture`.
        conversion: how the source's rows become the new file's, see `conversion_to`; None stores
            them as they are.
        quality: 1 to 100, for JPEG, WebP, AVIF and JPEG XL; other formats are lossless and ignore
            it. None keeps a JPEG source's quality, and other lossy sources' size, about; stores
            lossless sources losslessly where the format can, and takes 95 otherwise.
        folder: where the unfinished file goes, on the target's disk; None puts it beside the
            target.
        group: files that appear together with this one, see `create_together`.
        gain_map: makes the gain map of a JPEG, which is then an Ultra HDR picture; None for an
            ordinary picture.

    Yields:
        A sink that takes rows: ``sink[top:bottom] = rows``, in order, of the source's dtype; of
        ``conversion.given`` where a conversion is given.

    Raises:
        InputError: the format cannot hold such pixels, or not as many, or no gain map.
        WriteError: the file cannot be written. The message starts with the target's name.
    """
    path, source = Path(path), like
    like = conversion.form if conversion else like
    row = _target_format(path, like)
    if quality is not None and not 1 <= quality <= 100:
        raise InputError(f"quality is {quality}; it goes from 1 to 100")
    if gain_map is not None:
        _require_ultra_hdr(path, row)
    carried = carry(row, like, shines=gain_map is not None)
    carrier, turn, size = carried.carrier, carried.turn, carried.size
    if quality is None:
        quality = size_keeping_quality(source, row, conversion)
    if row.name == "jxl" and not holds_lossy(carrier.metadata.icc):
        quality = None
    dropped = carried.dropped
    if row.name == "jxl" and quality is not None and carrier.metadata.icc:
        dropped += ("bytes of the ICC profile (one of the same colours takes its place)",)

    def start_writer(temporary: Path) -> Writer:
        backend = backend_of(row)

        def encode(pixels: Pixels) -> None:
            turned = turn_upright(pixels, turn)
            backend.write(temporary, row.name, turned, carrier, quality)

        writer: Writer
        if row.whole:
            writer = WholeWriter(like.shape, like.dtype, encode)
        else:
            shape = (*size, like.shape[2])
            writer = backend.writer(temporary, row.name, shape, like.dtype, carrier, quality)
            if turn != 1:
                writer = TurningWriter(writer, like.shape, like.dtype, turn)
        if gain_map is None:
            return writer
        from drht_plugin.io._ultra_hdr import UltraHdrWriter

        return UltraHdrWriter(temporary, writer, gain_map, turn)

    with _replacing_file(path, start_writer, folder, group) as target:
        dtype, said = (conversion.given, conversion.said) if conversion else (source.dtype, ())
        clipped = Clipped()
        if conversion and conversion.steps:
            target = StepsWriter(target, conversion.steps, clipped)
        sink = PictureSink(path, target, source.shape, dtype, dropped, said, clipped)
        yield sink
        sink.require_all()


def _require_ultra_hdr(path: Path, row: Format) -> None:
    if row.name != "jpeg":
        raise InputError(
            f"{name_of(path)}: {row.label} files get no gain map; an Ultra HDR picture is a .jpg"
        )


class PictureSink:
    """Sink for the rows of a picture file, made by `create_picture` or `create_hdr`.

    Attributes:
        path: the target.
        shape: H×W×C.
        dtype: of the rows.
        dropped: what the source has beside its pixels that this format cannot hold, in plain words.
    """

    def __init__(
        self,
        path: Path,
        target: Writer,
        shape: Shape,
        dtype: np.dtype[Any],
        dropped: tuple[str, ...] = (),
        said: tuple[str, ...] = (),
        clipped: Clipped | None = None,
    ) -> None:
        self.path, self.shape, self.dtype, self.dropped = path, shape, dtype, dropped
        self._said, self._clipped = said, clipped
        self._target, self._row = target, 0

    @property
    def converted(self) -> tuple[str, ...]:
        """What was converted of the rows so far, in plain words."""
        clipped = self._clipped
        if clipped is None or not clipped.values:
            return self._said
        return (*self._said, f"{100 * clipped.values / clipped.of:.2g} % of values clipped")

    def __setitem__(self, rows: slice, pixels: NDArray[Any]) -> None:
        """Write the next rows.

        Args:
            rows: ``top:bottom``, starting where the last rows ended.
            pixels: R×W×C of the sink's dtype.

        Raises:
            InputError: the rows are not the next ones, or are of another shape or dtype.
            WriteError: the rows cannot be written.
        """
        top, bottom, step = rows.indices(self.shape[0])
        expected = (bottom - top, *self.shape[1:])
        if (top, step) != (self._row, 1) or pixels.shape != expected or pixels.dtype != self.dtype:
            raise InputError(
                f"{name_of(self.path)}: given {pixels.dtype} {pixels.shape} as rows {top} to "
                f"{bottom}; expected {self.dtype} rows of {self.shape[1:]} from {self._row} on"
            )
        try:
            self._target.write(pixels)
        except (OSError, CodecError, ValueError) as error:
            raise _write_error(self.path, error) from error
        self._row = bottom

    def require_all(self) -> None:
        """Check that all rows have been written.

        Raises:
            InputError: rows are missing.
        """
        if self._row != self.shape[0]:
            raise InputError(
                f"{name_of(self.path)}: given {self._row} of {self.shape[0]} rows; expected all"
            )


def write_picture(
    path: str | PathLike[str],
    pixels: NDArray[Any],
    picture: Picture,
    *,
    quality: int | None = None,
) -> None:
    """Write pixels with the metadata of their source.

    Args:
        path: see `create_picture`.
        pixels: of the same shape and dtype as ``picture.pixels``.
        picture: the source, from `read_picture`.
        quality: see `create_picture`.

    Raises:
        InputError: shape or dtype differ from the picture's, or the format cannot hold them.
        WriteError: the file cannot be written. The message starts with the target's name.
    """
    if pixels.shape != picture.shape or pixels.dtype != picture.dtype:
        raise InputError(
            f"{name_of(Path(path))}: pixels are {pixels.dtype} {pixels.shape}; "
            f"the picture's are {picture.dtype} {picture.shape}"
        )
    with create_picture(path, picture, quality=quality) as sink:
        sink[:] = pixels


def _target_format(path: Path, picture: PictureLike) -> Format:
    """Return the format of a target; refuse a picture that it cannot hold."""
    name, row = name_of(path), written_format(path)
    dtype, (height, width, channels) = picture.dtype.name, picture.shape
    # AVIF holds 10 and 12 bits, not the 16 of other uint16 pictures.
    too_deep = row.name == "avif" and dtype == "uint16" and picture.carrier.bits <= 8
    if too_deep or not can_hold(row, dtype, channels, picture.transfer):
        fitting = (
            s for s in suffixes_for(dtype, channels, picture.transfer) if s not in row.suffixes
        )
        kind = {1: "gray", 2: "gray with alpha", 3: "RGB", 4: "RGB with alpha"}[channels]
        raise InputError(
            f"{name}: {row.label} cannot hold {_encoding(picture.transfer)} {dtype} {kind} "
            f"pixels; {', '.join(fitting)} can"
        )
    if row.max_side is not None and max(height, width) > row.max_side:
        raise InputError(
            f"{name}: {row.label} holds at most {row.max_side} pixels a side; the picture has "
            f"{height}×{width}"
        )
    if min(height, width) < row.min_side:
        raise InputError(
            f"{name}: {row.label} needs at least {row.min_side} pixels a side; the picture has "
            f"{height}×{width}"
        )
    return row


def _encoding(transfer: str) -> str:
    return "scene-linear" if transfer == "linear" else "display-encoded"


@contextmanager
def create_hdr(
    path: str | PathLike[str],
    height: int,
    width: int,
    *,
    orientation: int = 1,
    group: Together | None = None,
) -> Iterator[PictureSink]:
    """Write scene-linear radiance by rows, as half-float OpenEXR, complete or not at all.

    A comment in the file says that 1.0 is the clip point of the input. The file is upright, as few
    readers look for an orientation in OpenEXR.

    Args:
        path: target; its suffix must be ``.exr``.
        height: of the rows given, in pixels.
        width: likewise.
        orientation: of the rows given, 1 to 8 as in EXIF. Unless it is 1, all rows are held in
            memory, 6 bytes a pixel.
        group: files that appear together with this one, see `create_together`.

    Yields:
        A sink that takes float32 rows R×W×3, in order. Values are clipped to the half-float range,
        ±65504; infinity too.

    Raises:
        InputError: the suffix is another one, there are no pixels, or rows are of another shape or
            dtype or contain NaN.
        WriteError: the file cannot be written. The message starts with the target's name.
    """
    path = Path(path)
    if path.suffix.lower() != ".exr":
        raise InputError(f"{name_of(path)}: radiance is written as .exr, not '{path.suffix}'")
    if height < 1 or width < 1:
        raise InputError(f"radiance has {height}×{width} pixels; at least 1×1 is accepted")

    def start_writer(temporary: Path) -> Writer:
        from drht_plugin.io import _oiio_linear

        return _oiio_linear.hdr_writer(temporary, height, width, _HDR_NOTE, orientation)

    with _replacing_file(path, start_writer, None, group) as target:
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
        path: target; its suffix must be ``.exr``.
        hdr: float32 H×W×3; 1.0 is the clip point of the input.

    Raises:
        InputError: `hdr` or the suffix is another one, or `hdr` contains NaN.
        WriteError: the file cannot be written.
    """
    if hdr.dtype != np.float32 or hdr.ndim != 3 or hdr.shape[2] != 3 or not hdr.size:
        raise InputError(f"radiance is {hdr.dtype} {hdr.shape}; float32 H×W×3 is accepted")
    with create_hdr(path, hdr.shape[0], hdr.shape[1]) as sink:
        sink[:] = hdr


@contextmanager
def create_together() -> Iterator[Together]:
    """Make files appear together or not at all, when the body ends well.

    Yields:
        The group, an argument of `create_picture` and `create_hdr` in the body.

    Raises:
        WriteError: one of the files cannot be put in its place; the message starts with its name.
    """
    body: BaseException | None = None
    try:
        with Together() as group:
            try:
                yield group
            except BaseException as error:
                body = error
                raise
    except OSError as error:
        if error is body:
            raise
        raise _write_error(Path(error.filename or ""), error) from error


@contextmanager
def _replacing_file(
    path: Path,
    start_writer: Callable[[Path], Writer],
    folder: Path | None = None,
    group: Together | None = None,
) -> Iterator[Writer]:
    """Start the writer of a temporary file that replaces `path` when the body ends well."""
    body: BaseException | None = None
    try:
        if path.is_dir():
            raise IsADirectoryError("is a folder")
        if not path.parent.is_dir():
            raise NotADirectoryError(f"'{path.parent}' is not a folder")
        with replacing(path, folder, group) as temporary:
            target = start_writer(temporary)
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
        raise _write_error(path, error) from error


def _write_error(path: Path, error: Exception) -> WriteError:
    words = getattr(error, "strerror", None) or error
    return WriteError(f"{name_of(path)}: cannot be written: {words}")
