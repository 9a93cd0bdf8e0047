"""JPEG, PNG, WebP, AVIF and HEIC pixels, and levels of TIFF pyramids, by libvips.

libvips only codes pixels here (except for AVIF): it would pass EXIF through libexif, which adds
and moves fields; the modules of the formats put metadata in byte for byte.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from drht_plugin.errors import first_line
from drht_plugin.io._codec import CodecError, UnsupportedError
from drht_plugin.io._encoder import Encoder
from drht_plugin.io._pixels import Pixels, narrowed, widened
from drht_plugin.io._rows import Reader, Shape, Writer
from drht_plugin.io.metadata import heif, ifd, jpeg, png, webp
from drht_plugin.io.metadata.types import Carrier, Metadata, exif_with_density
from drht_plugin.libvips.smaller import shrink_factor

_DEPTHS = ("uchar", "ushort")
_LOADERS = {"jpeg": "jpegload", "png": "pngload", "webp": "webpload", "tiff": "tiffload"}
_DEFAULT_QUALITY = 95
_HELD_PIXELS = 1 << 25
"""Larger JPEG files are neither progressive nor of optimised Huffman codes."""

_SEQUENCES = (b"avis", b"msf1", b"hevc", b"hevx")


def _said(error: pyvips.Error) -> str:
    return first_line(getattr(error, "detail", "") or str(error))


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file whose format, by content, is `name`; `buffer` holds its bytes.

    Raises:
        CodecError: The file is damaged.
        UnsupportedError: The file is of a kind that is not read.
    """
    carrier = _described(name, buffer)
    source = VipsReader(path, name)
    return source, carrier or source.heif_carrier(name, heif.nclx(buffer))


class VipsReader:
    """Rows by libvips, which decodes most formats as they are asked for, from top to bottom."""

    def __init__(self, path: Path, name: str, options: Mapping[str, int] | None = None) -> None:
        self._path, self._name, self._options = path, name, dict(options or {})
        self._loader = _LOADERS.get(name, "heifload")
        self._image = image = self._opened()
        self._region: pyvips.Region | None = None
        self._thread = self._row = 0
        self.shape = (image.height, image.width, image.bands)
        self.dtype = np.dtype({"uchar": np.uint8, "ushort": np.uint16}[image.format])
        self._bits = 0
        if self._loader == "heifload" and self.dtype == np.uint16:
            self._bits = _heif_bits(image)

    def _opened(self) -> pyvips.Image:
        try:
            # Sequential, and not what libvips remembers of a file of that name.
            image = getattr(pyvips.Image, self._loader)(
                str(self._path),
                fail_on="error",
                access="sequential",
                revalidate=True,
                **self._options,
            )
            _check(image, whole=not self._options)
        except pyvips.Error as error:
            raise CodecError(_said(error)) from error
        return image

    def reduced(self, most: int) -> "VipsReader | None":
        """A reader of a JPEG made smaller by its decoder; None for other formats."""
        factor = shrink_factor(most)
        if self._loader != "jpegload" or factor == 1:
            return None
        return VipsReader(self._path, self._name, {"shrink": factor})

    def heif_carrier(self, name: str, cicp: tuple[int, int] | None) -> Carrier:
        """Describe an AVIF or HEIC file; cicp: its colour by code points, if it has them."""
        return _heif_carrier(name, self._image, cicp)

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        _, width, bands = self.shape
        wanted = range(top, bottom, step)
        if step == 1:
            pixels = self._fetched(top, bottom - top)
        else:
            pixels = np.empty((len(wanted), width, bands), self.dtype)
            for index, row in enumerate(wanted):
                pixels[index] = self._fetched(row, 1)
        return widened(pixels, self._bits) if self._bits else pixels

    def _fetched(self, top: int, rows: int) -> Pixels:
        if top < self._row:  # it cannot go back
            self._image, self._region = self._opened(), None
        self._row = top + rows
        if self._region is None or self._thread != threading.get_ident():
            # A region belongs to the thread that made it.
            self._region, self._thread = pyvips.Region.new(self._image), threading.get_ident()
        try:
            data = self._region.fetch(0, top, self.shape[1], rows)
        except pyvips.Error as error:
            raise CodecError(_said(error)) from error
        return np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])

    def close(self) -> None:
        """Let the file go."""
        self._image = self._region = None


def _check(image: pyvips.Image, *, whole: bool) -> None:
    if image.interpretation == "cmyk":
        raise UnsupportedError("is a CMYK picture; only gray and RGB are read")
    if image.format not in _DEPTHS or image.bands > 4:
        raise UnsupportedError(
            f"has {image.bands} channels of type {image.format}, which is not read"
        )
    if whole and image.get_n_pages() > 1:
        raise UnsupportedError(f"has {image.get_n_pages()} pages; only single pictures are read")


def _described(name: str, buffer: ifd.Buffer) -> Carrier | None:
    if name == "jpeg":
        metadata, coding = jpeg.parse(buffer)
        return Carrier(name, metadata, coding, lossless=False)
    if name == "png":
        metadata, animated = png.parse(buffer)
        if animated:
            raise UnsupportedError("is an animation; only single pictures are read")
        return Carrier(name, metadata)
    if name == "webp":
        facts = webp.parse(buffer)
        if facts.animated:
            raise UnsupportedError("is an animation; only single pictures are read")
        return Carrier(name, facts.metadata, lossless=facts.lossless)
    if buffer[8:12] in _SEQUENCES:  # libvips would show the cover only
        raise UnsupportedError("is an animation; only single pictures are read")
    return None


def _heif_carrier(name: str, image: pyvips.Image, cicp: tuple[int, int] | None) -> Carrier:
    """Describe an AVIF or HEIC file; its pixels come out upright, so its EXIF must say so."""

    def blob(key: str) -> bytes | None:
        return bytes(image.get(key)) if image.get_typeof(key) else None

    exif = (blob("exif-data") or b"").removeprefix(b"Exif\0\0") or None
    try:
        exif = ifd.upright(exif) if exif else None
    except ValueError:
        exif = None
    icc = blob("icc-profile-data")
    # Beside a profile, code points say how to decode only.
    metadata = Metadata(icc, exif, blob("xmp-data"), cicp=None if icc else cicp)
    return Carrier(name, metadata, lossless=False, bits=_heif_bits(image))


def _heif_bits(image: pyvips.Image) -> int:
    return int(image.get("bits-per-sample")) if image.get_typeof("bits-per-sample") else 8


def writer(
    path: Path,
    name: str,
    shape: Shape,
    dtype: np.dtype[Any],
    carrier: Carrier,
    quality: int | None,
) -> Writer:
    """Begin a JPEG or PNG file.

    Raises:
        OSError: The file cannot be made.
        ValueError: The format has no room for some metadata.
    """
    same = carrier.format == name
    if name == "png":

        def save(image: pyvips.Image, target: Any) -> None:
            image.pngsave_target(target, keep="none")

        def embed(head: bytes) -> list[bytes]:
            return png.embedded(head, carrier.metadata, same_format=same)

    else:
        options = _jpeg_options(carrier, quality, shape)
        jpeg.require_room(carrier.metadata)

        def save(image: pyvips.Image, target: Any) -> None:
            image.jpegsave_target(target, keep="none", **options)

        def embed(head: bytes) -> list[bytes]:
            return jpeg.embedded(head, carrier.metadata, same_format=same)

    return Encoder(path, shape, dtype, save, embed)


def write(path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None) -> None:
    """Write H×W×C pixels to `path` as WebP or AVIF.

    Raises:
        CodecError: libvips could not code the pixels.
        OSError: The file could not be written.
    """
    height, width, channels = pixels.shape
    try:
        if name == "webp":
            strength = _strength(carrier, quality, exact=True)
            encoded = _image(pixels).webpsave_buffer(keep="none", **strength)
            parts = webp.embedded(
                encoded, carrier.metadata, width=width, height=height, alpha=channels == 4
            )
        else:
            parts = [_avif_bytes(pixels, carrier, quality)]
    except pyvips.Error as error:
        raise CodecError(_said(error)) from error
    with open(path, "wb") as file:
        file.writelines(parts)


def _image(pixels: Pixels) -> pyvips.Image:
    deep = pixels.dtype == np.uint16
    gray, colour = ("grey16", "rgb16") if deep else ("b-w", "srgb")
    image = pyvips.Image.new_from_array(pixels)
    return image.copy(interpretation=gray if pixels.shape[2] < 3 else colour)


def _jpeg_options(carrier: Carrier, quality: int | None, shape: Shape) -> dict[str, Any]:
    coding = carrier.coding if isinstance(carrier.coding, jpeg.JpegCoding) else jpeg.JpegCoding()
    # Either way of storing has the codec hold the whole picture, in up to 6 bytes a pixel.
    small = shape[0] * shape[1] <= _HELD_PIXELS
    return {
        "Q": quality or coding.quality,
        "subsample_mode": "on" if coding.halved else "off",
        "interlace": coding.progressive and small,
        "optimize_coding": small,
    }


def _strength(carrier: Carrier, quality: int | None, *, exact: bool = False) -> dict[str, Any]:
    """Return the options for formats that can be lossless: so from lossless sources, unasked."""
    if quality is None and carrier.lossless:
        return {"lossless": True, **({"exact": True} if exact else {})}
    return {"Q": quality or _DEFAULT_QUALITY, **({"exact": True} if exact else {})}


def _avif_bytes(pixels: Pixels, carrier: Carrier, quality: int | None) -> bytes:
    bits = 8
    if pixels.dtype == np.uint16:
        bits = carrier.bits
        pixels = narrowed(pixels, bits)
    image = _image(pixels).copy()
    metadata = replace(carrier.metadata, exif=exif_with_density(carrier.metadata))
    for key, data in (
        ("icc-profile-data", metadata.icc),
        ("exif-data", metadata.exif and b"Exif\0\0" + metadata.exif),
        ("xmp-data", metadata.xmp),
    ):
        if data:
            image.set_type(pyvips.GValue.blob_type, key, data)
    encoded: bytes = image.heifsave_buffer(
        compression="av1", bitdepth=bits, **_strength(carrier, quality)
    )
    return encoded
