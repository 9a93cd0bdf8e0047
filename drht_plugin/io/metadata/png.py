"""Read and embed metadata in the chunks of PNG files."""

import struct
import zlib
from collections.abc import Iterator

from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata

_XMP = b"XML:com.adobe.xmp\0"
_INCH = 0.0254
_TEXTS = (b"iTXt", b"zTXt", b"tEXt")  # libvips writes XMP as zTXt
# Chunks that are valid for any colour type.
_KEPT = {*_TEXTS, b"tIME", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}


def _chunks(buffer: Buffer) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and data of each chunk; data is empty for pixels."""
    at = 8
    while at + 8 <= len(buffer):
        size, kind = struct.unpack(">I4s", buffer[at : at + 8])
        yield kind, b"" if kind == b"IDAT" else bytes(buffer[at + 8 : at + 8 + size])
        at += 12 + size


def parse(buffer: Buffer) -> tuple[Metadata, bool]:
    """Read the metadata of a PNG file, and whether it is animated.

    Args:
        buffer: the file's bytes.
    """
    icc = exif = xmp = density = cicp = None
    private = []
    animated = False
    for kind, data in _chunks(buffer):
        if kind == b"iCCP":
            try:
                icc = zlib.decompress(data[data.index(b"\0") + 2 :])
            except (zlib.error, ValueError):
                icc = None
        elif kind == b"eXIf":
            exif = data.removeprefix(b"Exif\0\0")
        elif kind in _TEXTS and data.startswith(_XMP):
            xmp = _text(kind, data[len(_XMP) :])
        elif kind == b"pHYs" and len(data) == 9 and data[8] == 1:
            across, down = struct.unpack(">II", data[:8])
            density = (across * _INCH, down * _INCH) if across and down else None
        elif kind == b"acTL":
            animated = True
        elif kind in _KEPT:
            if kind == b"cICP" and len(data) == 4:
                cicp = (data[0], data[1])
            private.append(_chunk(kind, data))
    return Metadata(icc, exif, xmp, None, density, cicp, tuple(private)), animated


def _text(kind: bytes, data: bytes) -> bytes | None:
    """Return the text of a text chunk of any type, given its data after the keyword."""
    if kind == b"iTXt":
        packed, text = data[:1] == b"\1", data[2:].split(b"\0", 2)[-1]
    else:
        packed, text = kind == b"zTXt", data[kind == b"zTXt" :]
    try:
        return zlib.decompress(text) if packed else text
    except zlib.error:
        return None


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def embed(encoded: bytes, metadata: Metadata, *, same_format: bool) -> list[bytes]:
    """Embed metadata in a PNG file.

    Args:
        encoded: the file without metadata, or its first bytes up to the first pixels.
        metadata: to embed.
        same_format: whether the source is a PNG too, so that private chunks are kept.

    Returns:
        The new bytes, in parts.
    """
    parts = [encoded[:33]]  # signature and header
    if metadata.icc:
        parts.append(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if same_format:
        parts.extend(metadata.private)
    if metadata.density:
        across, down = (round(value / _INCH) for value in metadata.density)
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        parts.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        parts.append(_chunk(b"iTXt", _XMP + b"\0\0\0\0" + metadata.xmp))
    return [*parts, encoded[_first_pixels(encoded) :]]


def _first_pixels(encoded: bytes) -> int:
    at = 8
    while encoded[at + 4 : at + 8] != b"IDAT":
        at += 12 + int(struct.unpack_from(">I", encoded, at)[0])
    return at
