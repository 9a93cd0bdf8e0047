"""Read and write TIFF, JPEG XL, JPEG 2000 and PNM, and read BMP and PSD, with OpenImageIO."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from drht_plugin.colour import icc
from drht_plugin.colour.curves import SRGB_PARAMETERS
from drht_plugin.errors import first_line
from drht_plugin.io import _bit_digits, _bmp, _deflate_tiles, _oiio_linear, _plain_tiff, _psd
from drht_plugin.io._decoders import require_room
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._meaning import Meaning, MeantReader, with_meaning
from drht_plugin.io._oiio_rows import (
    ConvertingWriter,
    OiioReader,
    OiioWriter,
    create_file,
    spec_for,
    verify,
)
from drht_plugin.io._pixels import Pixels, premultiply
from drht_plugin.io._plausible import require_tiff_bytes
from drht_plugin.io._pyramid import Pyramid
from drht_plugin.io._rows import Reader, Shape, Writer
from drht_plugin.io.metadata import bmp, boxes, exif_edit, ifd, jp2, jxl, tiff, xmp
from drht_plugin.io.metadata.tiff_layout import written_tile
from drht_plugin.io.metadata.types import Carrier

BIG_TIFF_BYTES = 0xF0000000
"""Pixels larger than this get 64-bit offsets, so that metadata still ends below 4 GB (bytes)."""

_ASSOCIATED_ALPHA = 1
_LOSSLESS = 100  # as a quality
_INKS = 4
_SILENT = (1, 5, 8, 32946)
"""TIFF compressions whose decoders end with an error where data are damaged."""


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
    """
    if name in _oiio_linear.NAMES:
        return _oiio_linear.reader(path, name, buffer)
    contents = tiff.parse(buffer) if name == "tiff" else None
    if contents:
        carrier = Carrier(name, contents.metadata, contents.coding)
        if contents.inks:
            return _inks_reader(path, carrier, contents)
        return _tiff_reader(path, contents, buffer), carrier
    if name == "psd":
        return _psd.reader(path, buffer)
    if name == "bmp":
        return _bmp_reader(path, buffer)
    if name == "pnm" and bytes(buffer[:2]) == _bit_digits.MAGIC:
        return _bit_digits.DigitReader(path), Carrier(name)
    if name == "jxl" and jxl.read_header(buffer).animated:
        raise UnsupportedError("is an animation; only single pictures are read")
    if name == "jp2":
        _require_plain_samples(buffer)
    if stated := stated_size(name, buffer):
        require_room(name, *stated)
    source = OiioReader(path, name)
    profile = source.spec.getattribute("ICCProfile")
    metadata = boxes.parse(buffer)
    if profile is not None:
        metadata = replace(metadata, icc=bytes(profile))
    if metadata.exif:
        metadata = replace(metadata, exif=exif_edit.reset_orientation(metadata.exif))
    if metadata.xmp:
        metadata = replace(metadata, xmp=xmp.reset_orientation(metadata.xmp))
    premultiplied = lossy = False
    if name == "jxl":
        header = jxl.read_header(buffer)
        premultiplied, lossy = header.premultiplied, header.lossy
    if name == "jp2":
        found = jp2.read_header(buffer)
        if found.unread:
            source.close()
            raise UnsupportedError(f"is a {found.unread} picture; only gray and RGB are read")
        metadata = replace(metadata, density=found.density)
        premultiplied = found.premultiplied
    carrier = Carrier(name, metadata, lossless=not lossy)
    return with_meaning(source, Meaning(premultiplied=premultiplied)), carrier


def _bmp_reader(path: Path, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    contents = bmp.parse(buffer)
    if contents is None:
        return OiioReader(path, "bmp"), Carrier("bmp")
    carrier = Carrier("bmp", contents.metadata)
    if contents.masks:
        return _bmp.MaskedReader(path, contents, buffer), carrier
    return OiioReader(path, "bmp"), carrier


def _require_plain_samples(buffer: ifd.Buffer) -> None:
    """Refuse JPEG 2000 samples that OpenImageIO reads wrong, or calls damaged."""
    samples = jp2.read_samples(buffer)
    if samples is None:
        return
    if samples.signed:
        raise UnsupportedError("has signed integer samples, which are not read")
    if samples.deepest > 16:
        raise UnsupportedError(f"has {samples.deepest}-bit samples; at most 16 bits are read")
    if samples.shape[2] not in (1, 3, 4):
        raise UnsupportedError(f"has {samples.shape[2]} channels; 1, 3 and 4 are read")


def stated_size(name: str, buffer: ifd.Buffer) -> tuple[Shape, int] | None:
    """Return H×W×C of a picture that is decoded when it is opened, and the bytes of a sample.

    Returns:
        What its header states; None for other formats, and where it states nothing.

    Raises:
        ValueError: the header is damaged.
    """
    if name == "jxl":
        header = jxl.read_header(buffer)
        return header.shape, header.itemsize
    samples = jp2.read_samples(buffer) if name == "jp2" else None
    return (samples.shape, samples.itemsize) if samples else None


def _inks_reader(
    path: Path, carrier: Carrier, contents: tiff.TiffContents
) -> tuple[Reader, Carrier]:
    from drht_plugin.io import _cmyk
    from drht_plugin.io._vips import VipsReader

    if contents.coding.extra == _ASSOCIATED_ALPHA and contents.block.shape[2] > _INKS:
        raise UnsupportedError("is a CMYK picture with premultiplied alpha, which is not read")
    if contents.block.planar and contents.coding.tile:
        raise UnsupportedError("is a CMYK picture in tiles of one ink each, which is not read")
    return VipsReader(path, "tiff"), _cmyk.without_inks(carrier)


def _tiff_reader(path: Path, contents: tiff.TiffContents, buffer: ifd.Buffer) -> Reader:
    if contents.narrow_palette:
        from drht_plugin.io._vips import VipsReader

        return VipsReader(path, "tiff")
    meaning = Meaning(
        white_is_zero=contents.white_is_zero,
        premultiplied=contents.coding.extra == _ASSOCIATED_ALPHA,
    )
    blocks = _plain_tiff.find_pixels(buffer, contents.dtype)
    block = contents.block
    require_tiff_bytes(block.shape, block.picture, block.bits, block.stored, block.compression)
    stored: Reader
    giant = _deflate_tiles.find_tiles(buffer, contents.dtype, block)
    if blocks is not None:
        stored = _plain_tiff.PlainReader(path, blocks)
    elif giant is not None:
        stored = _deflate_tiles.DeflatedTilesReader(path, giant)
    else:
        stored = OiioReader(path, "tiff", contents.dtype, white_is_zero=contents.white_is_zero)
        if block.compression not in _SILENT:
            from drht_plugin.io._tiff_warnings import with_warnings

            stored = with_warnings(stored, path, buffer)
    # Levels of a pyramid are read by libvips, which knows nothing of the meaning.
    return Pyramid(stored, path) if meaning.plain else MeantReader(stored, meaning)


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
    if name in _oiio_linear.NAMES:
        return _oiio_linear.writer(path, name, shape, dtype, carrier)
    return OiioWriter(path, spec_for(shape, dtype), dtype)


def write(path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None) -> None:
    """Write a JPEG XL or JPEG 2000 file; see `_picture.Backend`.

    It is lossless, but for JPEG XL of a quality below 100.

    Raises:
        CodecError: OpenImageIO cannot write the file, or not completely.
        OSError: the file cannot be written.
    """
    height, width, channels = pixels.shape
    spec = spec_for((height, width, channels), pixels.dtype)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    if name == "jxl" and quality is not None and quality < _LOSSLESS:
        spec.attribute("compression", f"jpegxl:{quality}")
    stated = carrier.metadata.icc
    if name == "jxl" and pixels.dtype.kind == "f" and not stated:
        # Or floats would be stated to be linear. OpenImageIO has no name for gray of sRGB's curve.
        spec.attribute("oiio:ColorSpace", "sRGB")
        stated = icc.gray_profile(icc.parametric_tag(*SRGB_PARAMETERS)) if channels == 1 else None
    if stated:
        profile = np.frombuffer(stated, np.uint8)
        spec.attribute("ICCProfile", f"uint8[{profile.size}]", profile)
    target = create_file(path, spec)
    try:
        succeeded = target.write_image(np.ascontiguousarray(pixels))
    finally:
        succeeded = target.close() and succeeded
    if not succeeded:
        raise CodecError(first_line(target.geterror()))
    boxes.append(str(path), carrier.metadata)
    verify(path)


def _tiff_writer(path: Path, shape: Shape, dtype: np.dtype[Any], carrier: Carrier) -> Writer:
    same = carrier.coding if isinstance(carrier.coding, tiff.TiffCoding) else None
    coding = same or tiff.TiffCoding()
    tree = tiff.metadata_tree(carrier.metadata, same)
    convert = None
    if shape[2] in (2, 4):
        tree = tree.with_main({ifd.EXTRA_SAMPLES: ifd.short_field(coding.extra)})
        convert = _premultiply_rows if coding.extra == _ASSOCIATED_ALPHA else None
    big = coding.big or math.prod(shape) * dtype.itemsize > BIG_TIFF_BYTES
    tile = written_tile(coding.tile, shape[1], shape[0]) if coding.tile else None
    if coding.compression == "none":
        plain = _plain_tiff.PlainWriter(path, shape, dtype, tile=tile, big=big, tree=tree)
        return ConvertingWriter(plain, convert) if convert else plain
    spec = spec_for(shape, dtype)
    spec.attribute("compression", coding.compression)
    spec.attribute("oiio:UnassociatedAlpha", 1)
    spec.attribute("tiff:half", int(dtype == np.float16))
    spec.attribute("tiff:bigtiff", int(big))
    if tile:
        spec.tile_width, spec.tile_height = tile
    stored = OiioWriter(path, spec, dtype, lambda: ifd.append_to_tiff(str(path), tree))
    return ConvertingWriter(stored, convert) if convert else stored


def _premultiply_rows(rows: Pixels) -> Pixels:
    return premultiply(rows).astype(rows.dtype)
