"""PNG files of any colour type and depth, written byte by byte."""

import struct
import zlib
from typing import Any

from numpy.typing import NDArray
from tiff_bytes import packed

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk's bytes."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_bytes(
    samples: NDArray[Any], *, colour_type: int, bits: int, chunks: list[tuple[bytes, bytes]]
) -> bytes:
    """Return a PNG file.

    Args:
        samples: H×W×C, as they are to be stored.
        colour_type: of the header: 0 gray, 2 RGB, 3 palette, 4 gray + alpha, 6 RGB + alpha.
        bits: per sample.
        chunks: type and data of those between header and pixels.
    """
    height, width, channels = samples.shape
    lines = packed(samples.reshape(height, width * channels), bits, ">")
    step = len(lines) // height
    rows = b"".join(b"\0" + lines[at : at + step] for at in range(0, len(lines), step))
    head = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    middle = b"".join(chunk(kind, data) for kind, data in chunks)
    return (
        SIGNATURE
        + chunk(b"IHDR", head)
        + middle
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def pixel_aspect(across: int, down: int, unit: int = 0) -> tuple[bytes, bytes]:
    """Return a pHYs chunk."""
    return b"pHYs", struct.pack(">IIB", across, down, unit)


def primaries(*places: float) -> tuple[bytes, bytes]:
    """Return a cHRM chunk of x and y of white, red, green and blue."""
    return b"cHRM", struct.pack(">8I", *(round(place * 100_000) for place in places))


def gamma(exponent: float) -> tuple[bytes, bytes]:
    """Return a gAMA chunk for codes of light to the power 1 / exponent."""
    return b"gAMA", struct.pack(">I", round(100_000 / exponent))
