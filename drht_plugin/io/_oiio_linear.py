"""Read and write scene-linear pictures, OpenEXR, Radiance HDR and PFM, with OpenImageIO."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from drht_plugin.colour.primaries import apply_matrix, to_d50, to_srgb
from drht_plugin.io import _old_rle
from drht_plugin.io._meaning import Meaning, with_meaning
from drht_plugin.io._oiio_rows import (
    OIIO_NAMES,
    ConvertingWriter,
    OiioReader,
    OiioWriter,
    spec_for,
)
from drht_plugin.io._pixels import Pixels, as_half
from drht_plugin.io._rows import Reader, Shape, TurningWriter, Writer
from drht_plugin.io.metadata import exr, ifd, radiance
from drht_plugin.io.metadata.types import Carrier, Metadata
from drht_plugin.orientation import upright_size

NAMES = ("exr", "hdr", "pfm")
"""Keys of the formats that this module reads and writes."""

_EXR_HEADER = 1 << 16
_TEXTURE_ATTRIBUTES = (
    "textureformat",
    "oiio:miplevels",
    "openexr:levelmode",
    "openexr:roundingmode",
    "oiio:AverageColor",
    "oiio:ConstantColor",
    "oiio:ConstantAlpha",
    "oiio:SHA-1",
)

_PREMULTIPLIED = Meaning(premultiplied=True)  # OpenEXR's convention


@dataclass(frozen=True)
class SpecCoding:
    """How an OpenEXR file is stored.

    Attributes:
        spec: OpenImageIO's description of the file.
        dtype: name of the stored pixel type.
    """

    spec: Any
    dtype: str


def with_dtype(coding: object, dtype: np.dtype[Any]) -> object:
    """Return how an OpenEXR file is stored, for pixels of another type.

    Args:
        coding: of the source; anything but a `SpecCoding` is returned as it is.
        dtype: float16 or float32.
    """
    if not isinstance(coding, SpecCoding):
        return coding
    spec = oiio.ImageSpec(coding.spec)
    spec.set_format(OIIO_NAMES[dtype.name])
    spec.channelformats = ()
    return SpecCoding(spec, dtype.name)


def reader(
    path: Path, name: str, buffer: ifd.Buffer, *, layer: str | None = None
) -> tuple[Reader, Carrier]:
    """Open a file, or one layer of an OpenEXR file; see `_picture.Backend`.

    Raises:
        CodecError: the file is damaged.
        UnsupportedError: the file is of an unsupported kind.
    """
    if name == "hdr":
        return _radiance_reader(path, buffer)
    if name == "exr":
        exr.require_sane(buffer)
    source = OiioReader(path, name, layer=layer)
    if name == "pfm":
        return source, Carrier(name)
    coding = SpecCoding(source.spec, source.dtype.name)
    dropped = (*_dropped(source.spec, buffer), *source.left_out)
    metadata = replace(_exr_metadata(source.spec), dropped=dropped)
    return with_meaning(source, _PREMULTIPLIED), Carrier(name, metadata, coding)


def _radiance_reader(path: Path, buffer: ifd.Buffer) -> tuple[Reader, Carrier]:
    header = radiance.parse(buffer)
    stored: Reader
    if _old_rle.is_used(buffer, header):
        stored = _old_rle.OldRleReader(path, header)
    else:
        stored = OiioReader(path, "hdr")
    return stored, Carrier("hdr", radiance.metadata(header), header)


def _exr_metadata(spec: Any) -> Metadata:
    places = spec.getattribute("chromaticities")
    pixel = float(spec.get_float_attribute("PixelAspectRatio", 1.0))
    return Metadata(
        chromaticities=tuple(zip(places[::2], places[1::2], strict=True)) if places else None,
        aspect=(1.0, pixel) if pixel > 0 and pixel != 1 else None,
    )


def _dropped(spec: Any, buffer: ifd.Buffer) -> tuple[str, ...]:
    """Name what an OpenEXR file holds that no new file gets."""
    texture = str(spec.getattribute("textureformat") or "")
    found = {
        "OpenEXR preview": b"preview\0preview\0" in bytes(buffer[:_EXR_HEADER]),
        "reduced copies": (spec.getattribute("oiio:miplevels") or 1) > 1,
        "mark of an environment map": "Environment" in texture,
    }
    return tuple(name for name, there in found.items() if there)


def _writable(spec: Any) -> Any:
    """Return the layout nearest to a file's that can be written: one level, no texture.

    What a texture's header says of its pixels does not hold for others.
    """
    nearest = oiio.ImageSpec(spec)
    for name in _TEXTURE_ATTRIBUTES:
        nearest.erase_attribute(name)
    return nearest


def writer(path: Path, name: str, shape: Shape, dtype: np.dtype[Any], carrier: Carrier) -> Writer:
    """Start a file that is written by rows; see `_picture.Backend`.

    Raises:
        CodecError: OpenImageIO cannot write such a file.
    """
    if name == "hdr":
        return _radiance_writer(path, shape, dtype, carrier)
    if name == "exr":
        return _exr_writer(path, shape, dtype, carrier)
    plain = OiioWriter(path, spec_for(shape, dtype), dtype)
    return ConvertingWriter(plain, _obeying(carrier, colours=True))


def hdr_writer(path: Path, height: int, width: int, note: str, turn: int = 1) -> Writer:
    """Start a half-float OpenEXR file that takes float32 R×W×3 rows of scene-linear pixels.

    Args:
        path: of the new file.
        height: of the rows given, in pixels.
        width: likewise.
        note: comment for the header.
        turn: orientation of the rows given, 1 to 8 as in EXIF. The file is upright: it is held in
            memory as a whole unless this is 1.

    Returns:
        A writer that clips values to the half-float range, ±65504.

    Raises:
        CodecError: OpenImageIO cannot write the file.
    """
    half = np.dtype(np.float16)
    spec = spec_for((*upright_size(height, width, turn), 3), half)
    spec.attribute("compression", "zip")
    spec.attribute("comments", note)
    target: Writer = OiioWriter(path, spec, half)
    if turn != 1:
        target = TurningWriter(target, (height, width, 3), half, turn)
    return ConvertingWriter(target, _clamped_half)


def _clamped_half(pixels: Pixels) -> Pixels:
    top = np.finfo(np.float16).max
    return np.clip(pixels, -top, top).astype(np.float16)


def _exr_writer(path: Path, shape: Shape, dtype: np.dtype[Any], carrier: Carrier) -> Writer:
    """Start an OpenEXR file, with the source's header if that is one too."""
    stored, spec = dtype, spec_for(shape, dtype)
    if isinstance(carrier.coding, SpecCoding):
        stored, spec = np.dtype(carrier.coding.dtype), _writable(carrier.coding.spec)
    else:
        described = carrier.metadata
        if described.chromaticities:
            places = np.array(described.chromaticities, np.float32).ravel()
            spec.attribute("chromaticities", "float[8]", places)
        if described.aspect:
            spec.attribute("PixelAspectRatio", described.aspect[1] / described.aspect[0])

    obey = _obeying(carrier)

    def convert(rows: Pixels) -> Pixels:
        rows = _PREMULTIPLIED.encode(obey(rows))
        return as_half(rows) if stored == np.float16 else rows

    given = np.dtype(np.float32) if shape[2] in (2, 4) else dtype
    return ConvertingWriter(
        OiioWriter(path, spec, stored if stored == np.float16 else given), convert
    )


def _obeying(carrier: Carrier, *, colours: bool = False) -> Callable[[Pixels], Pixels]:
    """Return a function that obeys what a target cannot keep of a scene-linear source.

    Args:
        carrier: of the source. Its factors are divided out.
        colours: whether its primaries have to become sRGB's, too.
    """
    described = carrier.metadata
    matrix = np.diag([1 / factor for factor in described.factors or (1.0, 1.0, 1.0)])
    if colours and described.chromaticities:
        matrix = to_srgb(to_d50(described.chromaticities)) @ matrix
    if np.array_equal(matrix, np.eye(3)):
        return lambda rows: rows

    def convert(rows: Pixels) -> Pixels:
        if rows.shape[2] < 3:
            return rows
        made = apply_matrix(matrix, rows[..., :3]).astype(np.float32)
        return np.concatenate([made, rows[..., 3:]], -1)

    return convert


def _radiance_writer(path: Path, shape: Shape, dtype: np.dtype[Any], carrier: Carrier) -> Writer:
    """Start a Radiance HDR file, with the source's header if that is one too."""
    source = carrier.coding if isinstance(carrier.coding, radiance.RadianceHeader) else None
    header = radiance.header_for(carrier.metadata, source)
    embed = (lambda: radiance.replace_header(path, header)) if header else None
    return OiioWriter(path, spec_for(shape, dtype), dtype, embed)
