"""Read and embed metadata in the chunks of WebP files."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from drht_plugin.io.metadata.bounds import bounded
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata, exif_with_density

_ICC, _ALPHA, _EXIF, _XMP = 0x20, 0x10, 0x08, 0x04


@dataclass(frozen=True)
class WebpContents:
    """What a WebP file holds beside its pixels.

    Attributes:
        metadata: of the file.
        lossless: whether its pixels are stored exactly.
        animated: whether it is an animation.
    """

    metadata: Metadata
    lossless: bool
    animated: bool


def _chunks(buffer: Buffer) -> Iterator[tuple[bytes, bytes]]:
    at = 12
    while at + 8 <= len(buffer):
        kind, size = struct.unpack("<4sI", buffer[at : at + 8])
        yield kind, bytes(buffer[at + 8 : at + 8 + size])
        at += 8 + size + size % 2


def parse(buffer: Buffer) -> WebpContents:
    """Read the metadata and coding of a WebP file.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: the file has absurdly many chunks.
    """
    found = dict(bounded(_chunks(buffer), len(buffer), "chunks"))
    exif = found.get(b"EXIF", b"").removeprefix(b"Exif\0\0") or None
    metadata = Metadata(found.get(b"ICCP"), exif, found.get(b"XMP "))
    return WebpContents(metadata, b"VP8L" in found, b"ANIM" in found)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack("<4sI", kind, len(data)) + data + b"\0" * (len(data) % 2)


def embed(
    encoded: bytes, metadata: Metadata, *, width: int, height: int, alpha: bool
) -> list[bytes]:
    """Embed metadata in a WebP file.

    Args:
        encoded: the file without metadata.
        metadata: to embed.
        width: in pixels.
        height: in pixels.
        alpha: whether the picture has an alpha channel.

    Returns:
        The new bytes, in parts.
    """
    exif = exif_with_density(metadata)
    pixels = [(k, d) for k, d in _chunks(encoded) if k in (b"ALPH", b"VP8 ", b"VP8L")]
    flags = (
        (_ICC if metadata.icc else 0)
        | (_ALPHA if alpha else 0)
        | (_EXIF if exif else 0)
        | (_XMP if metadata.xmp else 0)
    )
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    chunks = [
        (b"VP8X", struct.pack("<I", flags) + canvas),
        (b"ICCP", metadata.icc or b""),
        *pixels,
        (b"EXIF", exif or b""),
        (b"XMP ", metadata.xmp or b""),
    ]
    body = [_chunk(kind, data) for kind, data in chunks if data]
    return [struct.pack("<4sI4s", b"RIFF", 4 + sum(map(len, body)), b"WEBP"), *body]
