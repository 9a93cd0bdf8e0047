"""Read and write JPEG, PNG, WebP and AVIF, read GIF, and read some TIFF files, with libvips.

libvips codes pixels, and profiles and XMP of AVIF. It would pass EXIF through libexif, which adds,
moves and drops fields. The modules of `metadata` embed it byte for byte instead.
"""

import threading
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from drht_plugin.forks import require_own_process
from drht_plugin.io import _cmyk
from drht_plugin.io._decoders import HELD, require_room
from drht_plugin.io._encoder import Encoder
from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io._formats import FORMATS
from drht_plugin.io._jpeg_source import SplicedFile, clean_header
from drht_plugin.io._meaning import Meaning, with_meaning
from drht_plugin.io._pixels import Pixels, reduce_bits
from drht_plugin.io._plausible import require_jpeg_bytes, require_png_bytes
from drht_plugin.io._rows import Reader, Shape, Writer
from drht_plugin.io.metadata import heif, ifd, jpeg, png, webp
from drht_plugin.io.metadata.jpeg_scans import misses_scans
from drht_plugin.io.metadata.types import Carrier, Metadata, exif_with_density
from drht_plugin.libvips.said import said
from drht_plugin.libvips.smaller_copies import shrink_factor

_DEPTHS = ("uchar", "ushort")
_LOADERS = {"jpeg": "jpegload", "png": "pngload", "webp": "webpload", "tiff": "tiffload"}
_LOADERS |= {"gif": "gifload"}
_DEFAULT_QUALITY = 95
_MAX_HELD_PIXELS = 1 << 25
"""Larger JPEG files are written without progressive scans and optimised Huffman tables (pixels)."""

_ANY_EXIF = b"Exif\0\0II*\0\x08\0\0\0" + bytes(6)
"""What makes libvips keep a place for EXIF in an AVIF file."""


def undecoded(label: str) -> CodecError:
    """Return the error of data that libvips does not decode; see `libvips.said` for its words.

    Args:
        label: of the data's format.
    """
    return CodecError(f"its {label} data cannot be decoded")


def reader(path: Path, name: str, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    """Open a file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
    """
    carrier = _carrier_of(name, buffer)
    if name == "jpeg":
        missing = misses_scans(buffer)
        source = VipsReader(path, name, head=clean_header(buffer), misses_scans=missing)
    else:
        source = VipsReader(path, name)
    _require_plausible(source, name, carrier, len(buffer))
    if name == "gif" and source.frames > 1:
        carrier = Carrier(name, Metadata(dropped=(f"{source.frames - 1} further frames",)))
    if carrier:
        return source, _cmyk.without_inks(carrier) if source.inks else carrier
    stated = heif.read_properties(buffer)
    meaning = Meaning(premultiplied=stated.premultiplied, bits=source.bits)
    return with_meaning(source, meaning), source.heif_carrier(name, stated)


def _require_plausible(
    source: "VipsReader", name: str, carrier: Carrier | None, file_bytes: int
) -> None:
    """Refuse a file that declares more pixels than its bytes, or the memory, can hold.

    libvips has only read the header so far.
    """
    shape, itemsize = source.shape, source.dtype.itemsize
    if name == "png":
        require_png_bytes(shape, itemsize, file_bytes)
        if source.interlaced:
            require_room("interlaced png", shape, itemsize)
    elif carrier and isinstance(carrier.coding, jpeg.JpegCoding):
        require_jpeg_bytes(shape, file_bytes, arithmetic=carrier.coding.arithmetic)
        if carrier.coding.progressive:
            require_room("progressive jpeg", shape, itemsize)
    elif name in HELD:
        require_room(name, shape, itemsize)


class VipsReader:
    """Reader of rows by libvips, which decodes most formats on demand, from top to bottom.

    Args:
        path: of the file.
        name: key of its format.
        options: of libvips' loader, such as a shrink factor or a pyramid level.
        head: of a JPEG, to read in place of its own, and the offset of what follows.
        misses_scans: whether some of a JPEG's scans are missing.
        fail_on: what libvips stops at; None for warnings in JPEG, and errors in others.

    Attributes:
        inks: whether the file holds CMYK, which is read as sRGB.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
    """

    inks = False

    def __init__(
        self,
        path: Path,
        name: str,
        options: Mapping[str, int] | None = None,
        *,
        head: tuple[bytes, int] | None = None,
        misses_scans: bool = False,
        fail_on: str | None = None,
    ) -> None:
        self._path, self._name, self._options = path, name, dict(options or {})
        self._head, self._misses_scans = head, misses_scans
        self._files: list[SplicedFile] = []
        self._loader = _LOADERS.get(name, "heifload")
        # libjpeg only warns of most damage. For other formats, warnings are about metadata.
        self._fail_on = fail_on or ("warning" if name == "jpeg" else "error")
        self._image = image = self._open_image()
        self._region: pyvips.Region | None = None
        self._thread = self._row = 0
        self.shape = (image.height, image.width, image.bands)
        self.dtype = np.dtype({"uchar": np.uint8, "ushort": np.uint16}[image.format])

    @property
    def frames(self) -> int:
        """Pictures in the file."""
        return int(self._image.get_n_pages())

    @property
    def interlaced(self) -> bool:
        """Whether a PNG file holds its rows in several passes."""
        return bool(self._image.get_typeof("interlaced"))

    @property
    def bits(self) -> int:
        """Significant bits of the uint16 values of an AVIF or HEIC file, in the high bits; or 0."""
        deep = self._loader == "heifload" and self.dtype == np.uint16
        return heif_bits(self._image) if deep else 0

    def _open_image(self) -> pyvips.Image:
        require_own_process("libvips")
        try:
            options = {"fail_on": self._fail_on, "access": "sequential", **self._options}
            if self._head:
                image = self._open_spliced(self._head, options)
            else:
                # `revalidate`: libvips caches opened files by name.
                load = getattr(pyvips.Image, self._loader)
                image = load(str(self._path), revalidate=True, **options)
            self.inks = _cmyk.is_cmyk(image)
            if self.inks:
                image = _cmyk.to_srgb(image)
            _require_supported(image, whole=not self._options and self._name != "gif")
        except pyvips.Error as error:
            raise undecoded(FORMATS[self._name].label) from error
        return image

    def _open_spliced(self, head: tuple[bytes, int], options: dict[str, Any]) -> pyvips.Image:
        file = SplicedFile(self._path, *head)
        self._files.append(file)  # which the image does not keep alive
        return pyvips.Image.jpegload_source(file.source, **options)

    def reduced(self, max_factor: int) -> "VipsReader | None":
        """Open a JPEG shrunk by its decoder; None for other formats. See `_rows.Shrinkable`."""
        factor = shrink_factor(max_factor)
        if self._loader != "jpegload" or factor == 1:
            return None
        options, missing = {"shrink": factor}, self._misses_scans
        return VipsReader(self._path, self._name, options, head=self._head, misses_scans=missing)

    def tolerate(self) -> bool:
        """Take what the codec makes of damaged pixels; see `_rows.Tolerant`."""
        self._fail_on = "none"
        self._image, self._region, self._row = self._open_image(), None, 0
        return True

    def heif_carrier(self, name: str, stated: heif.HeifProperties) -> Carrier:
        """Return the metadata of an AVIF or HEIC file.

        Args:
            name: key of the format.
            stated: what libvips does not expose.
        """
        return _heif_carrier(name, self._image, stated)

    def read(self, top: int, bottom: int, step: int) -> Pixels:
        """Return rows ``top:bottom:step``."""
        if self._misses_scans and self._fail_on != "none":
            raise CodecError("some of its scans are missing")
        _, width, bands = self.shape
        wanted = range(top, bottom, step)
        if step == 1:
            pixels = self._fetch(top, bottom - top)
        else:
            pixels = np.empty((len(wanted), width, bands), self.dtype)
            for index, row in enumerate(wanted):
                pixels[index] = self._fetch(row, 1)
        return pixels

    def _fetch(self, top: int, rows: int) -> Pixels:
        require_own_process("libvips")
        if top < self._row:  # a sequential image cannot go back
            self._image, self._region = self._open_image(), None
        self._row = top + rows
        if self._region is None or self._thread != threading.get_ident():
            # A region belongs to the thread that made it.
            self._region, self._thread = pyvips.Region.new(self._image), threading.get_ident()
        try:
            data = self._region.fetch(0, top, self.shape[1], rows)
        except pyvips.Error as error:
            raise undecoded(FORMATS[self._name].label) from error
        if self._fail_on == "none":  # or the next error's message would begin with this damage
            pyvips.vips_lib.vips_error_clear()
        return np.frombuffer(data, self.dtype).reshape(rows, *self.shape[1:])

    def close(self) -> None:
        """Close the file."""
        self._image = self._region = None
        for file in self._files:
            file.close()


def _require_supported(image: pyvips.Image, *, whole: bool) -> None:
    if image.format not in _DEPTHS or image.bands > 4:
        raise UnsupportedError(
            f"has {image.bands} channels of type {image.format}, which is not read"
        )
    if whole and image.get_n_pages() > 1:
        raise UnsupportedError(f"has {image.get_n_pages()} pages; only single pictures are read")


def _carrier_of(name: str, buffer: ifd.Buffer) -> Carrier | None:
    if name == "jpeg":
        metadata, coding = jpeg.parse(buffer)
        if coding.bits != 8:
            raise UnsupportedError(f"has {coding.bits}-bit samples; only 8 bits are read in JPEG")
        if coding.predicted:
            raise UnsupportedError("is a JPEG-LS picture, which is not read")
        return Carrier(name, metadata, coding, lossless=False)
    if name == "png":
        metadata, animated = png.parse(buffer)
        if animated:
            raise UnsupportedError("is an animation; only single pictures are read")
        return Carrier(name, metadata)
    if name == "gif":
        return Carrier(name)
    if name == "webp":
        contents = webp.parse(buffer)
        if contents.animated:
            raise UnsupportedError("is an animation; only single pictures are read")
        return Carrier(name, contents.metadata, lossless=contents.lossless)
    if heif.is_animation(buffer):
        raise UnsupportedError("is an animation; only single pictures are read")
    return None


def _heif_carrier(name: str, image: pyvips.Image, stated: heif.HeifProperties) -> Carrier:
    """Return an AVIF or HEIC file's metadata."""

    def blob(key: str) -> bytes | None:
        return bytes(image.get(key)) if image.get_typeof(key) else None

    metadata = heif.metadata(stated, blob("icc-profile-data"), blob("exif-data"), blob("xmp-data"))
    return Carrier(name, metadata, stated.coding, lossless=False, bits=heif_bits(image))


def heif_bits(image: pyvips.Image) -> int:
    """Return the coded bits of a sample of an AVIF or HEIC file that libvips has opened."""
    return int(image.get("bits-per-sample")) if image.get_typeof("bits-per-sample") else 8


def writer(
    path: Path,
    name: str,
    shape: Shape,
    dtype: np.dtype[Any],
    carrier: Carrier,
    quality: int | None,
) -> Writer:
    """Start a JPEG or PNG file; see `_picture.Backend`.

    Raises:
        OSError: the file cannot be made.
        ValueError: some metadata is too large for the format.
    """
    same = carrier.format == name
    if name == "png":

        def save(image: pyvips.Image, target: Any) -> None:
            image.pngsave_target(target, keep="none")

        def embed(head: bytes) -> list[bytes]:
            return png.embed(head, carrier.metadata, same_format=same)

    else:
        options = _jpeg_options(carrier, quality, shape)
        jpeg.require_room(carrier.metadata)

        def save(image: pyvips.Image, target: Any) -> None:
            image.jpegsave_target(target, keep="none", **options)

        def embed(head: bytes) -> list[bytes]:
            return jpeg.embed(head, carrier.metadata, same_format=same)

    return Encoder(path, shape, dtype, save, embed)


def write(path: Path, name: str, pixels: Pixels, carrier: Carrier, quality: int | None) -> None:
    """Write a WebP or AVIF file; see `_picture.Backend`.

    Raises:
        CodecError: libvips cannot encode the pixels.
        OSError: the file cannot be written.
    """
    require_own_process("libvips")
    height, width, channels = pixels.shape
    try:
        if name == "webp":
            options = _quality_options(carrier, quality, exact=True)
            encoded = _image(pixels).webpsave_buffer(keep="none", **options)
            parts = webp.embed(
                encoded, carrier.metadata, width=width, height=height, alpha=channels == 4
            )
        else:
            parts = [_avif_bytes(pixels, carrier, quality)]
    except pyvips.Error as error:
        raise CodecError(said(error)) from error
    with open(path, "wb") as file:
        file.writelines(parts)


def _image(pixels: Pixels) -> pyvips.Image:
    deep = pixels.dtype == np.uint16
    gray, colour = ("grey16", "rgb16") if deep else ("b-w", "srgb")
    image = pyvips.Image.new_from_array(pixels)
    return image.copy(interpretation=gray if pixels.shape[2] < 3 else colour)


def _jpeg_options(carrier: Carrier, quality: int | None, shape: Shape) -> dict[str, Any]:
    coding = carrier.coding if isinstance(carrier.coding, jpeg.JpegCoding) else jpeg.JpegCoding()
    # Both options make the codec hold the whole picture, in up to 6 bytes a pixel.
    small = shape[0] * shape[1] <= _MAX_HELD_PIXELS
    return {
        "Q": quality or coding.quality,
        "subsample_mode": "on" if coding.halved else "off",
        "interlace": coding.progressive and small,
        "optimize_coding": small,
    }


def _quality_options(
    carrier: Carrier, quality: int | None, *, exact: bool = False
) -> dict[str, Any]:
    """Return the saver's options: lossless for lossless sources, unless a quality is given."""
    if quality is None and carrier.lossless:
        return {"lossless": True, **({"exact": True} if exact else {})}
    return {"Q": quality or _DEFAULT_QUALITY, **({"exact": True} if exact else {})}


def _avif_bytes(pixels: Pixels, carrier: Carrier, quality: int | None) -> bytes:
    bits = 8
    if pixels.dtype == np.uint16:
        bits = carrier.bits
        pixels = reduce_bits(pixels, bits)
    image = _image(pixels).copy()
    metadata = replace(carrier.metadata, exif=exif_with_density(carrier.metadata))
    for key, data in (
        ("icc-profile-data", metadata.icc),
        ("exif-data", metadata.exif and _ANY_EXIF),
        ("xmp-data", metadata.xmp),
    ):
        if data:
            image.set_type(pyvips.GValue.blob_type, key, data)
    options = _quality_options(carrier, quality)
    halved = getattr(carrier.coding, "halved", None)
    if halved is not None and "lossless" not in options:
        options["subsample_mode"] = "on" if halved else "off"
    # libvips would make up EXIF, with a resolution of 25.4 dpi, where there is none.
    options["keep"] = "all" if metadata.exif else "xmp|icc"
    encoded: bytes = image.heifsave_buffer(compression="av1", bitdepth=bits, **options)
    if metadata.exif:  # libvips passes EXIF through libexif, which changes it
        encoded = heif.with_exif(encoded, metadata.exif)
    lossless = "lossless" in options
    return heif.embed(encoded, metadata.cicp, metadata.aspect, lossless=lossless)
