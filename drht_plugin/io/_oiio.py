"""Read and write TIFF, OpenEXR, Radiance HDR, JPEG XL, JPEG 2000, PFM and PNM with OpenImageIO.

OpenImageIO does not notice a disk that fills up while a file is closed (measured for each of these
formats). So every file is read back after it is written.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from drht_plugin.errors import first_line
from drht_plugin.io import _plain_tiff
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._meaning import Meaning, MeantReader, with_meaning
from drht_plugin.io._pixels import Pixels, as_half, premultiply
from drht_plugin.io._pyramid import Pyramid
from drht_plugin.io._rows import BlockReader, BlockWriter, Reader, Shape, Writer
from drht_plugin.io.metadata import boxes, ifd, tiff
from drht_plugin.io.metadata.types import Carrier

BIG_TIFF_BYTES = 0xF0000000
"""Pixels larger than this get 64-bit offsets, so that metadata still ends below 4 GB (bytes)."""

_NAMES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_EXR_CHANNELS = (("Y",), ("Y", "A"), ("R", "G", "B"), ("R", "G", "B", "A"))
_ASSOCIATED_ALPHA = 1
_LINEAR = Meaning(premultiplied=True)  # OpenEXR's convention
_READ_ROWS = 32
_WRITE_ROWS = 256  # a multiple of the rows that any of the codecs groups
_JP2_SIDE = 32  # OpenImageIO writes smaller pictures without pixels, and reports success


@dataclass(frozen=True)
class SpecCoding:
    """How an OpenEXR or Radiance file is stored.

    Attributes:
        spec: OpenImageIO's description of the file.
        dtype: name of the stored pixel type.
    """

    spec: Any
    dtype: str


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
    """
    contents = tiff.parse(buffer) if name == "tiff" else None
    if name == "hdr" and b"32-bit_rle_xyze" in bytes(buffer[:4096]):
        raise UnsupportedError("is an XYZ picture; only RGB is read")
    if contents:
        carrier = Carrier(name, contents.metadata, contents.coding)
        return _tiff_reader(path, contents, buffer), carrier
    source = _OiioReader(path, name)
    if name in ("exr", "hdr"):
        # By convention, OpenEXR stores premultiplied alpha.
        coding = SpecCoding(source.spec, source.dtype.name)
        return with_meaning(source, _LINEAR), Carrier(name, coding=coding)
    profile = source.spec.getattribute("ICCProfile")
    metadata = boxes.parse(buffer)
    if profile is not None:
        metadata = replace(metadata, icc=bytes(profile))
    if metadata.exif:
        metadata = replace(metadata, exif=ifd.reset_orientation(metadata.exif))
    return source, Carrier(name, metadata)


def _tiff_reader(path: Path, contents: tiff.TiffContents, buffer: ifd.Buffer) -> Reader:
    if contents.narrow_palette:
        from drht_plugin.io._vips import VipsReader

        return VipsReader(path, "tiff")
    meaning = Meaning(
        white_is_zero=contents.white_is_zero,
        premultiplied=contents.coding.extra == _ASSOCIATED_ALPHA,
    )
    blocks = _plain_tiff.find_pixels(buffer, contents.dtype)
    stored: Reader
    if blocks is not None:
        stored = _plain_tiff.PlainReader(path, blocks)
    else:
        stored = _OiioReader(path, "tiff", contents.dtype, white_is_zero=contents.white_is_zero)
    # Levels of a pyramid are read by libvips, which knows nothing of the meaning.
    return Pyramid(stored, path) if meaning.plain else MeantReader(stored, meaning)


class _OiioReader(BlockReader):
    """Reader of rows by OpenImageIO, as they are stored; see `_rows.Reader`."""

    def __init__(
        self, path: Path, name: str, dtype: str | None = None, *, white_is_zero: bool = False
    ) -> None:
        self._source = _open_file(path)
        try:
            self.spec = spec = self._source.spec()
            dtype = dtype or _DTYPES.get(str(spec.format), str(spec.format))
            _require_supported(self._source, name, dtype)
        except BaseException:
            self._source.close()
            raise
        self._type = _NAMES[dtype]
        # OpenImageIO inverts TIFF's white-is-zero in 8 bits only, and alpha with it.
        self._inverted = white_is_zero and dtype == "uint8"
        rows = spec.tile_height or spec.getattribute("tiff:RowsPerStrip") or _READ_ROWS
        shape = (spec.height, spec.width, spec.nchannels)
        super().__init__(shape, np.dtype(dtype), rows, self._decode_rows)

    def _decode_rows(self, top: int, bottom: int) -> Pixels:
        spec, source = self.spec, self._source
        top, bottom = spec.y + top, spec.y + bottom
        if spec.tile_width:
            right = spec.x + spec.width
            pixels = source.read_tiles(
                0, 0, spec.x, right, top, bottom, 0, 1, 0, spec.nchannels, self._type
            )
        else:
            pixels = source.read_scanlines(0, 0, top, bottom, 0, 0, spec.nchannels, self._type)
        if pixels is None or source.has_error:
            raise CodecError(first_line(source.geterror()))
        pixels = pixels.reshape(bottom - top, *self.shape[1:])
        return ~pixels if self._inverted else pixels

    def close(self) -> None:
        """Close the file."""
        self._source.close()


def _open_file(path: Path) -> Any:
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # do not premultiply on reading
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise CodecError(first_line(oiio.geterror()))
    return source


def _require_supported(source: Any, name: str, dtype: str) -> None:
    spec = source.spec()
    names = tuple(spec.channelnames)
    if spec.deep:
        raise UnsupportedError("is a deep picture, which is not read")
    if name == "exr" and names not in _EXR_CHANNELS:
        raise UnsupportedError(f"has the channels {', '.join(names)}; only Y, RGB and A are read")
    if spec.nchannels > 4:
        raise UnsupportedError(f"has {spec.nchannels} channels; at most 4 are read")
    stored = {_DTYPES.get(str(kind), str(kind)) for kind in spec.channelformats} or {dtype}
    for kind in (dtype, *stored):
        if kind not in _NAMES:
            raise UnsupportedError(f"has {kind} samples, which are not read")
    if name != "tiff" and source.seek_subimage(1, 0):
        raise UnsupportedError("has several parts or pages; only single pictures are read")
    source.seek_subimage(0, 0)


def writer(
    path: Path,
    name: str,
    shape: Shape,
    dtype: np.dtype[Any],
    carrier: Carrier,
    quality: int | None,
) -> Writer:
    """Start a file that is written by rows; see `_picture.Backend`. `quality` is not used.

    Raises:
        CodecError: OpenImageIO cannot write such a file.
        OSError: the file cannot be made.
        ValueError: the metadata does not fit.
    """
    if name == "tiff":
        return _tiff_writer(path, shape, dtype, carrier)
    if name in ("exr", "hdr"):
        return _linear_writer(path, name, shape, dtype, carrier)
    return _OiioWriter(path, _spec(shape, dtype), dtype)


def write(path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None) -> None:
    """Write a JPEG XL or JPEG 2000 file losslessly; see `_picture.Backend`. `quality` is not used.

    Lossy JPEG XL would not keep the bytes of a profile.

    Raises:
        CodecError: OpenImageIO cannot write the file, or not completely.
        OSError: the file cannot be written.
    """
    height, width, channels = pixels.shape
    if name == "jp2" and min(height, width) < _JP2_SIDE:
        raise CodecError(
            f"the picture has {height}×{width} pixels; JPEG 2000 files need at "
            f"least {_JP2_SIDE}×{_JP2_SIDE}"
        )
    spec = _spec((height, width, channels), pixels.dtype)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if carrier.metadata.icc:
        profile = np.frombuffer(carrier.metadata.icc, np.uint8)
        spec.attribute("ICCProfile", f"uint8[{profile.size}]", profile)
    target = _create_file(path, spec)
    try:
        succeeded = target.write_image(np.ascontiguousarray(pixels))
    finally:
        succeeded = target.close() and succeeded
    if not succeeded:
        raise CodecError(first_line(target.geterror()))
    boxes.append(str(path), carrier.metadata)
    _verify(path)


def hdr_writer(path: Path, height: int, width: int, note: str) -> Writer:
    """Start a half-float OpenEXR file that takes float32 R×W×3 rows of scene-linear pixels.

    Args:
        path: of the new file.
        height: in pixels.
        width: in pixels.
        note: comment for the header.

    Returns:
        A writer that clips values to the half-float range, ±65504.

    Raises:
        CodecError: OpenImageIO cannot write the file.
    """
    half = np.dtype(np.float16)
    spec = _spec((height, width, 3), half)
    spec.attribute("compression", "zip")
    spec.attribute("comments", note)
    return _Converting(_OiioWriter(path, spec, half), _clamped_half)


def _clamped_half(pixels: Pixels) -> Pixels:
    top = np.finfo(np.float16).max
    return np.clip(pixels, -top, top).astype(np.float16)


def _spec(shape: Shape, dtype: np.dtype[Any]) -> Any:
    height, width, channels = shape
    spec = oiio.ImageSpec(width, height, channels, _NAMES[dtype.name])
    if channels == 2:  # OpenImageIO would name them R and G
        spec.channelnames = ("Y", "A")
        spec.alpha_channel = 1
    return spec


def _tiff_writer(path: Path, shape: Shape, dtype: np.dtype[Any], carrier: Carrier) -> Writer:
    same = carrier.coding if isinstance(carrier.coding, tiff.TiffCoding) else None
    coding = same or tiff.TiffCoding()
    tree = tiff.metadata_tree(carrier.metadata, same)
    convert = None
    if shape[2] in (2, 4):
        tree = tree.with_main({ifd.EXTRA_SAMPLES: ifd.short_field(coding.extra)})
        convert = _premultiply_rows if coding.extra == _ASSOCIATED_ALPHA else None
    big = coding.big or math.prod(shape) * dtype.itemsize > BIG_TIFF_BYTES
    if coding.compression == "none":
        plain = _plain_tiff.PlainWriter(path, shape, dtype, tile=coding.tile, big=big, tree=tree)
        return _Converting(plain, convert) if convert else plain
    spec = _spec(shape, dtype)
    spec.attribute("compression", coding.compression)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("tiff:half", int(dtype == np.float16))
    spec.attribute("tiff:bigtiff", int(big))
    if coding.tile:
        spec.tile_width, spec.tile_height = coding.tile
    stored = _OiioWriter(path, spec, dtype, lambda: ifd.append_to_tiff(str(path), tree))
    return _Converting(stored, convert) if convert else stored


def _premultiply_rows(rows: Pixels) -> Pixels:
    return premultiply(rows).astype(rows.dtype)


def _linear_writer(
    path: Path, name: str, shape: Shape, dtype: np.dtype[Any], carrier: Carrier
) -> Writer:
    """Start an OpenEXR or Radiance HDR file, with the source's header if the format is the same."""
    stored, spec = dtype, _spec(shape, dtype)
    if isinstance(carrier.coding, SpecCoding):
        stored = np.dtype(carrier.coding.dtype)
        if carrier.format == name:
            spec = oiio.ImageSpec(carrier.coding.spec)

    def convert(rows: Pixels) -> Pixels:
        if shape[2] in (2, 4):
            rows = premultiply(rows)
        return as_half(rows) if stored == np.float16 else rows

    given = np.dtype(np.float32) if shape[2] in (2, 4) else dtype
    return _Converting(_OiioWriter(path, spec, stored if stored == np.float16 else given), convert)


def _create_file(path: Path, spec: Any) -> Any:
    target: Any = oiio.ImageOutput.create(str(path))
    if target is None:
        raise CodecError(first_line(oiio.geterror()))
    if not target.open(str(path), spec):
        raise CodecError(first_line(target.geterror()))
    return target


class _Converting:
    """Writer that converts rows before another writer stores them."""

    def __init__(self, target: Writer, convert: Callable[[Pixels], Pixels]) -> None:
        self._target, self._convert = target, convert
        self.finish, self.close = target.finish, target.close

    def write(self, rows: Pixels) -> None:
        """Convert and write the next rows."""
        self._target.write(self._convert(rows))


class _OiioWriter(BlockWriter):
    """Writer of rows by OpenImageIO; see `_rows.Writer`.

    Args:
        path: of the new file.
        spec: OpenImageIO's description of it.
        dtype: of the rows.
        embed: adds metadata to the file once its pixels are stored.
    """

    def __init__(
        self,
        path: Path,
        spec: Any,
        dtype: np.dtype[Any],
        embed: Callable[[], None] | None = None,
    ) -> None:
        self._path, self._spec, self._embed = path, spec, embed
        shape = (spec.height, spec.width, spec.nchannels)
        super().__init__(shape, dtype, spec.tile_height or _WRITE_ROWS, self._store)
        self._target = _create_file(path, spec)

    def _store(self, top: int, rows: Pixels) -> None:
        spec = self._spec
        top += spec.y
        if spec.tile_width:
            right = spec.x + spec.width
            succeeded = self._target.write_tiles(spec.x, right, top, top + len(rows), 0, 1, rows)
        else:
            succeeded = self._target.write_scanlines(top, top + len(rows), 0, rows)
        if not succeeded:
            raise CodecError(first_line(self._target.geterror()))

    def finish(self) -> None:
        """Close the file, embed its metadata and read it back.

        Raises:
            CodecError: the file is not complete.
            OSError: the metadata cannot be written.
            ValueError: the metadata does not fit.
        """
        target, self._target = self._target, None
        if not target.close():
            raise CodecError(first_line(target.geterror()))
        if self._embed is not None:
            self._embed()
        _verify(self._path)

    def close(self) -> None:
        """Close an unfinished file."""
        target, self._target = self._target, None
        if target is not None:
            target.close()


def _verify(path: Path) -> None:
    """Decode a file that was just written, in bands to save memory."""
    source = _open_file(path)
    try:
        spec = source.spec()
        step = spec.tile_height or _WRITE_ROWS
        for top in range(spec.y, spec.y + spec.height, step):
            bottom = min(top + step, spec.y + spec.height)
            if spec.tile_width:
                right = spec.x + spec.width
                band = source.read_tiles(
                    0, 0, spec.x, right, top, bottom, 0, 1, 0, spec.nchannels, spec.format
                )
            else:
                band = source.read_scanlines(0, 0, top, bottom, 0, 0, spec.nchannels, spec.format)
            if band is None:
                raise CodecError(f"not stored completely ({first_line(source.geterror())})")
    finally:
        source.close()
