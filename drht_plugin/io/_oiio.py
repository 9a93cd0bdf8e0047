"""TIFF, OpenEXR, Radiance HDR, JPEG XL, JPEG 2000 and PNM pixels, by OpenImageIO.

OpenImageIO does not notice a disk that fills up as a file is closed (measured for every one of
these formats), so what was written is read once more before it counts.
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
from drht_plugin.io._codec import CodecError, UnsupportedError
from drht_plugin.io._pixels import Pixels, as_half, associated, straight
from drht_plugin.io._pyramid import Pyramid
from drht_plugin.io._rows import Blocks, Reader, Regrouped, Shape, Writer
from drht_plugin.io.metadata import boxes, ifd, tiff
from drht_plugin.io.metadata.types import Carrier

BIG_TIFF_BYTES = 0xF0000000
"""Pixels above this size get 64-bit offsets, so that metadata too ends below 4 GB."""

_NAMES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_EXR_CHANNELS = (("Y",), ("Y", "A"), ("R", "G", "B"), ("R", "G", "B", "A"))
_ASSOCIATED = 1
_BAND = 32
_WRITTEN_BAND = 256  # a multiple of the rows that any of the codecs puts together
_JP2_SIDE = 32  # below, OpenImageIO writes a file without pixels and calls it done


@dataclass(frozen=True)
class SpecCoding:
    """The header of an OpenEXR or Radiance file, and the pixel type that is stored."""

    spec: Any
    dtype: str


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file whose format, by content, is `name`; `buffer` holds its bytes.

    Raises:
        CodecError: The file is damaged.
        UnsupportedError: The file is of a kind that is not read.
    """
    facts = tiff.parse(buffer) if name == "tiff" else None
    if name == "hdr" and b"32-bit_rle_xyze" in bytes(buffer[:4096]):
        raise UnsupportedError("is an XYZ picture; only RGB is read")
    if facts:
        carrier = Carrier(name, facts.metadata, facts.coding)
        alpha_tied = facts.coding.extra == _ASSOCIATED
        where = _plain_tiff.pixel_places(buffer, facts.dtype)
        if where is not None:
            plain: Reader = _plain_tiff.PlainReader(path, where)
            return (_Straight(plain) if alpha_tied else Pyramid(plain, path)), carrier
        found: Reader = _Reader(path, name, facts.dtype)
        return (_Straight(found) if alpha_tied else Pyramid(found, path)), carrier
    source = _Reader(path, name)
    if name in ("exr", "hdr"):
        # Alpha is associated in OpenEXR, by convention.
        return _Straight(source), Carrier(name, coding=SpecCoding(source.spec, source.dtype.name))
    profile = source.spec.getattribute("ICCProfile")
    metadata = boxes.parse(buffer)
    if profile is not None:
        metadata = replace(metadata, icc=bytes(profile))
    if metadata.exif:
        metadata = replace(metadata, exif=ifd.upright(metadata.exif))
    return source, Carrier(name, metadata)


class _Reader(Blocks):
    """Rows by OpenImageIO."""

    def __init__(self, path: Path, name: str, dtype: str | None = None) -> None:
        self._source = _opened(path)
        try:
            self.spec = spec = self._source.spec()
            dtype = dtype or _DTYPES.get(str(spec.format), str(spec.format))
            _check(self._source, name, dtype)
        except BaseException:
            self._source.close()
            raise
        self._type = _NAMES[dtype]
        rows = spec.tile_height or spec.getattribute("tiff:RowsPerStrip") or _BAND
        shape = (spec.height, spec.width, spec.nchannels)
        super().__init__(shape, np.dtype(dtype), rows, self._rows_of_file)

    def _rows_of_file(self, top: int, bottom: int) -> Pixels:
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
        return pixels.reshape(bottom - top, *self.shape[1:])

    def close(self) -> None:
        """Let the file go."""
        self._source.close()


class _Straight:
    """Rows of another reader, their colours divided by alpha where there is one."""

    def __init__(self, source: Reader) -> None:
        self._source = source
        self.shape, self.dtype = source.shape, source.dtype
        self._has_alpha = source.shape[2] in (2, 4)
        if self._has_alpha and source.dtype.kind == "f":
            self.dtype = np.dtype(np.float32)

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        rows = self._source.read(top, bottom, step)
        return straight(rows) if self._has_alpha else rows

    def close(self) -> None:
        """Let the file go."""
        self._source.close()


def _opened(path: Path) -> Any:
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # alpha as the file has it
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise CodecError(first_line(oiio.geterror()))
    return source


def _check(source: Any, name: str, dtype: str) -> None:
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
    """Begin a file of the format `name`, stored exactly: `quality` is not used.

    Raises:
        CodecError: OpenImageIO cannot write such a file.
        OSError: The file cannot be made.
        ValueError: The metadata does not fit.
    """
    if name == "tiff":
        return _tiff_writer(path, shape, dtype, carrier)
    if name in ("exr", "hdr"):
        return _linear_writer(path, name, shape, dtype, carrier)
    return _Writer(path, _spec(shape, dtype), dtype)


def write(path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None) -> None:
    """Write H×W×C pixels to `path` as JPEG XL or JPEG 2000, exactly: `quality` is not used.

    JPEG XL could be lossy, but then does not keep a profile's bytes.

    Raises:
        CodecError: OpenImageIO could not write them, or not whole.
        OSError: The file could not be written.
    """
    height, width, channels = pixels.shape
    if name == "jp2" and min(height, width) < _JP2_SIDE:
        raise CodecError(f"JPEG 2000 is written from {_JP2_SIDE}×{_JP2_SIDE} pixels on")
    spec = _spec((height, width, channels), pixels.dtype)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if carrier.metadata.icc:
        profile = np.frombuffer(carrier.metadata.icc, np.uint8)
        spec.attribute("ICCProfile", f"uint8[{profile.size}]", profile)
    target = _created(path, spec)
    try:
        done = target.write_image(np.ascontiguousarray(pixels))
    finally:
        done = target.close() and done
    if not done:
        raise CodecError(first_line(target.geterror()))
    boxes.append(str(path), carrier.metadata)
    _verify(path)


def hdr_writer(path: Path, height: int, width: int, note: str) -> Writer:
    """Begin an OpenEXR file of half floats that takes float32 H×W×3 scene-linear pixels.

    Values beyond the half-float range become its ends; `note` goes into the header.

    Raises:
        CodecError: OpenImageIO cannot write it.
    """
    half = np.dtype(np.float16)
    spec = _spec((height, width, 3), half)
    spec.attribute("compression", "zip")
    spec.attribute("comments", note)
    return _Changed(_Writer(path, spec, half), _clamped_half)


def _clamped_half(pixels: Pixels) -> Pixels:
    top = np.finfo(np.float16).max
    return np.clip(pixels, -top, top).astype(np.float16)


def _spec(shape: Shape, dtype: np.dtype[Any]) -> Any:
    height, width, channels = shape
    spec = oiio.ImageSpec(width, height, channels, _NAMES[dtype.name])
    if channels == 2:  # named R and G otherwise
        spec.channelnames = ("Y", "A")
        spec.alpha_channel = 1
    return spec


def _tiff_writer(path: Path, shape: Shape, dtype: np.dtype[Any], carrier: Carrier) -> Writer:
    same = carrier.coding if isinstance(carrier.coding, tiff.TiffCoding) else None
    coding = same or tiff.TiffCoding()
    tree = tiff.metadata_tree(carrier.metadata, same)
    tie = None
    if shape[2] in (2, 4):
        tree = tree.with_main({ifd.EXTRA_SAMPLES: ifd.short(coding.extra)})
        tie = _associated if coding.extra == _ASSOCIATED else None
    big = coding.big or math.prod(shape) * dtype.itemsize > BIG_TIFF_BYTES
    if coding.compression == "none":
        plain = _plain_tiff.PlainWriter(path, shape, dtype, tile=coding.tile, big=big, tree=tree)
        return _Changed(plain, tie) if tie else plain
    spec = _spec(shape, dtype)
    spec.attribute("compression", coding.compression)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("tiff:half", int(dtype == np.float16))
    spec.attribute("tiff:bigtiff", int(big))
    if coding.tile:
        spec.tile_width, spec.tile_height = coding.tile
    stored = _Writer(path, spec, dtype, lambda: ifd.append_to_tiff(str(path), tree))
    return _Changed(stored, tie) if tie else stored


def _associated(rows: Pixels) -> Pixels:
    return associated(rows).astype(rows.dtype)


def _linear_writer(
    path: Path, name: str, shape: Shape, dtype: np.dtype[Any], carrier: Carrier
) -> Writer:
    """Write OpenEXR or Radiance HDR, with the source's header where that was of the same kind."""
    stored, spec = dtype, _spec(shape, dtype)
    if isinstance(carrier.coding, SpecCoding):
        stored = np.dtype(carrier.coding.dtype)
        if carrier.format == name:
            spec = oiio.ImageSpec(carrier.coding.spec)

    def coded(rows: Pixels) -> Pixels:
        if shape[2] in (2, 4):
            rows = associated(rows)
        return as_half(rows) if stored == np.float16 else rows

    given = np.dtype(np.float32) if shape[2] in (2, 4) else dtype
    return _Changed(_Writer(path, spec, stored if stored == np.float16 else given), coded)


def _created(path: Path, spec: Any) -> Any:
    target: Any = oiio.ImageOutput.create(str(path))
    if target is None:
        raise CodecError(first_line(oiio.geterror()))
    if not target.open(str(path), spec):
        raise CodecError(first_line(target.geterror()))
    return target


class _Changed:
    """A writer that is given other values than those it stores."""

    def __init__(self, target: Writer, change: Callable[[Pixels], Pixels]) -> None:
        self._target, self._change = target, change
        self.finish, self.close = target.finish, target.close

    def write(self, rows: Pixels) -> None:
        """Take the next rows."""
        self._target.write(self._change(rows))


class _Writer(Regrouped):
    """Rows by OpenImageIO.

    Args:
        path: Of the new file.
        spec: OpenImageIO's description of it.
        dtype: Of the rows that are given.
        embed: What is done to the file when its pixels are stored.
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
        super().__init__(shape, dtype, spec.tile_height or _WRITTEN_BAND, self._store)
        self._target = _created(path, spec)

    def _store(self, top: int, rows: Pixels) -> None:
        spec = self._spec
        top += spec.y
        if spec.tile_width:
            right = spec.x + spec.width
            done = self._target.write_tiles(spec.x, right, top, top + len(rows), 0, 1, rows)
        else:
            done = self._target.write_scanlines(top, top + len(rows), 0, rows)
        if not done:
            raise CodecError(first_line(self._target.geterror()))

    def finish(self) -> None:
        """Close the file, give it its metadata, and see that it is whole."""
        target, self._target = self._target, None
        if not target.close():
            raise CodecError(first_line(target.geterror()))
        if self._embed is not None:
            self._embed()
        _verify(self._path)

    def close(self) -> None:
        """Let an unfinished file go."""
        target, self._target = self._target, None
        if target is not None:
            target.close()


def _verify(path: Path) -> None:
    """Decode a file that was just written, in bands, so that memory stays small."""
    source = _opened(path)
    try:
        spec = source.spec()
        step = spec.tile_height or _WRITTEN_BAND
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
                raise CodecError(f"not stored whole ({first_line(source.geterror())})")
    finally:
        source.close()
