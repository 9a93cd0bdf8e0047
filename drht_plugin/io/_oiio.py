"""TIFF, OpenEXR, Radiance HDR, JPEG XL, JPEG 2000 and PNM pixels, by OpenImageIO.

OpenImageIO does not notice a disk that fills up as a file is closed (measured for every one of
these formats), so what was written is read once more before it counts.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from drht_plugin.io import _boxes, _ifd, _tiff
from drht_plugin.io._codec import CodecError, UnsupportedError, one_line
from drht_plugin.io._metadata import Carrier
from drht_plugin.io._pixels import Pixels, as_half, associated, straight

BIG_TIFF_BYTES = 0xF0000000
"""Pixels above this size get 64-bit offsets, so that metadata too ends below 4 GB."""

_NAMES = {"uint8": "uint8", "uint16": "uint16", "float16": "half", "float32": "float"}
_DTYPES = {name: dtype for dtype, name in _NAMES.items()}
_EXR_CHANNELS = (("Y",), ("Y", "A"), ("R", "G", "B"), ("R", "G", "B", "A"))
_ASSOCIATED = 1
_BAND = 256
_JP2_SIDE = 32  # below, OpenImageIO writes a file without pixels and calls it done


@dataclass(frozen=True)
class SpecCoding:
    """The header of an OpenEXR or Radiance file, and the pixel type that is stored."""

    spec: Any
    dtype: str


def read(path: Path, name: str, buffer: _ifd.Buffer) -> tuple[Pixels, Carrier]:
    """Read a file whose format, by content, is `name`; `buffer` holds its bytes.

    Raises:
        CodecError: The file is damaged.
        UnsupportedError: The file is of a kind that is not read.
    """
    facts = _tiff.parse(buffer) if name == "tiff" else None
    if name == "hdr" and b"32-bit_rle_xyze" in bytes(buffer[:4096]):
        raise UnsupportedError("is an XYZ picture; only RGB is read")
    source = _opened(path)
    try:
        spec = source.spec()
        dtype = facts.dtype if facts else _DTYPES.get(str(spec.format), str(spec.format))
        _check(source, name, dtype)
        pixels = source.read_image(0, 0, 0, spec.nchannels, _NAMES[dtype])
        if pixels is None or source.has_error:
            raise CodecError(one_line(source.geterror()))
    finally:
        source.close()
    if facts:
        if spec.nchannels in (2, 4) and facts.coding.extra == _ASSOCIATED:
            pixels = straight(pixels)
        return pixels, Carrier(name, facts.metadata, facts.coding)
    if name in ("exr", "hdr"):
        # Alpha is associated in OpenEXR, by convention.
        pixels = straight(pixels) if spec.nchannels in (2, 4) else pixels
        return pixels, Carrier(name, coding=SpecCoding(spec, dtype))
    profile = spec.getattribute("ICCProfile")
    metadata = _boxes.parse(buffer)
    if profile is not None:
        metadata = replace(metadata, icc=bytes(profile))
    if metadata.exif:
        metadata = replace(metadata, exif=_ifd.upright(metadata.exif))
    return pixels, Carrier(name, metadata)


def _opened(path: Path) -> Any:
    config = oiio.ImageSpec()
    config.attribute("oiio:UnassociatedAlpha", 1)  # alpha as the file has it
    source = oiio.ImageInput.open(str(path), config)
    if source is None:
        raise CodecError(one_line(oiio.geterror()))
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


def write(path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None) -> None:
    """Write H×W×C pixels to `path` in the format `name`, exactly: `quality` is not used.

    JPEG XL could be lossy, but then does not keep a profile's bytes.

    Raises:
        CodecError: OpenImageIO could not write them, or not whole.
        OSError: The file could not be written.
        ValueError: The metadata does not fit.
    """
    if name == "tiff":
        _write_tiff(path, pixels, carrier)
    elif name in ("exr", "hdr"):
        _write_linear(path, name, pixels, carrier)
    else:
        if name == "jp2" and min(pixels.shape[:2]) < _JP2_SIDE:
            raise CodecError(f"JPEG 2000 is written from {_JP2_SIDE}×{_JP2_SIDE} pixels on")
        spec = _spec(pixels)
        if name in ("jxl", "jp2"):
            spec.attribute("oiio:UnassociatedAlpha", 1)
            if carrier.metadata.icc:
                profile = np.frombuffer(carrier.metadata.icc, np.uint8)
                spec.attribute("ICCProfile", f"uint8[{profile.size}]", profile)
        _store(path, spec, pixels)
        if name in ("jxl", "jp2"):
            _boxes.append(str(path), carrier.metadata)
    _verify(path)


def write_hdr(path: Path, hdr: Pixels, note: str) -> None:
    """Write float16 H×W×3 scene-linear pixels as OpenEXR, with a note.

    Raises:
        CodecError: OpenImageIO could not write them, or not whole.
    """
    spec = _spec(hdr)
    spec.attribute("compression", "zip")
    spec.attribute("comments", note)
    _store(path, spec, hdr)
    _verify(path)


def _spec(pixels: Pixels) -> Any:
    height, width, channels = pixels.shape
    spec = oiio.ImageSpec(width, height, channels, _NAMES[pixels.dtype.name])
    if channels == 2:  # named R and G otherwise
        spec.channelnames = ("Y", "A")
        spec.alpha_channel = 1
    return spec


def _write_tiff(path: Path, pixels: Pixels, carrier: Carrier) -> None:
    same = carrier.coding if isinstance(carrier.coding, _tiff.Coding) else None
    coding = same or _tiff.Coding()
    has_alpha = pixels.shape[2] in (2, 4)
    spec = _spec(pixels)
    spec.attribute("compression", coding.compression)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("tiff:half", int(pixels.dtype == np.float16))
    spec.attribute("tiff:bigtiff", int(coding.big or pixels.nbytes > BIG_TIFF_BYTES))
    if coding.tile:
        spec.tile_width, spec.tile_height = coding.tile
    tree = _tiff.dressing(carrier.metadata, same)
    if has_alpha:
        tree = tree.with_main({_ifd.EXTRA_SAMPLES: _ifd.short(coding.extra)})
        if coding.extra == _ASSOCIATED:
            pixels = associated(pixels).astype(pixels.dtype)
    _store(path, spec, pixels)
    _ifd.append_to_tiff(str(path), tree)


def _write_linear(path: Path, name: str, pixels: Pixels, carrier: Carrier) -> None:
    """Write OpenEXR or Radiance HDR, with the source's header where that was of the same kind."""
    dtype = pixels.dtype.name
    spec = _spec(pixels)
    if isinstance(carrier.coding, SpecCoding):
        dtype = carrier.coding.dtype
        if carrier.format == name:
            spec = oiio.ImageSpec(carrier.coding.spec)
    if pixels.shape[2] in (2, 4):
        pixels = associated(pixels)
    _store(path, spec, as_half(pixels) if dtype == "float16" else pixels)


def _store(path: Path, spec: Any, pixels: Pixels) -> None:
    target = oiio.ImageOutput.create(str(path))
    if target is None:
        raise CodecError(one_line(oiio.geterror()))
    try:
        done = target.open(str(path), spec) and target.write_image(np.ascontiguousarray(pixels))
    finally:
        done = target.close() and done
    if not done:
        raise CodecError(one_line(target.geterror()))


def _verify(path: Path) -> None:
    """Decode a file that was just written, in bands, so that memory stays small."""
    source = _opened(path)
    try:
        spec = source.spec()
        step = spec.tile_height or _BAND
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
                raise CodecError(f"not stored whole ({one_line(source.geterror())})")
    finally:
        source.close()
