"""Read the header of BMP files: what their pixels mean, their profile and their resolution."""

import struct
from dataclasses import dataclass

from drht_plugin.io._errors import CodecError
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata

_FILE_HEADER = 14
_MASKS = 54  # the header of 40 bytes is followed by the masks that larger headers hold
_ALPHA_HEADER, _LAST_HEADER = 56, 124
_PLAIN, _FIELDS, _ALPHA_FIELDS = 0, 3, 6
_EMBEDDED = b"DEBM"
_METRE = 0.0254
_USUAL = {16: (0x7C00, 0x3E0, 0x1F), 32: (0xFF0000, 0xFF00, 0xFF)}
_MOST_SIDE = 1 << 30


@dataclass(frozen=True)
class BmpContents:
    """What a BMP file's header states.

    Attributes:
        masks: of red, green, blue and alpha (0 for none) in pixels of 16 or 32 bits; None for
            palettes, 24 bits and compressed pixels.
        spare: mask of the byte that such pixels have beside these; 0 for none. The format says
            that it means nothing, but writers keep alpha in it.
        bits: of a pixel.
        height: in pixels.
        width: in pixels.
        top_down: whether the first row is the top one.
        pixels: where they start (bytes).
        metadata: what other formats can hold too.
    """

    masks: tuple[int, int, int, int] | None
    spare: int
    bits: int
    height: int
    width: int
    top_down: bool
    pixels: int
    metadata: Metadata


def parse(buffer: Buffer) -> BmpContents | None:
    """Read the header of a BMP file.

    Args:
        buffer: the file's bytes.

    Returns:
        None for the oldest kind, which states nothing of all that.

    Raises:
        CodecError: the header states what cannot be.
        struct.error: it is cut.
    """
    pixels, size = struct.unpack("<10xII", buffer[: _FILE_HEADER + 4])
    if size < 40:
        return None
    width, height, bits, compression, across, down = struct.unpack(
        "<ii2xHI4xii", buffer[_FILE_HEADER + 4 : _FILE_HEADER + 32]
    )
    if not 0 < width < _MOST_SIDE or not 0 < abs(height) < _MOST_SIDE:
        raise CodecError(f"its header declares {abs(height)}×{width} pixels")
    density = (across * _METRE, down * _METRE) if across > 0 and down > 0 else None
    masks, spare = None, 0
    if bits in _USUAL and compression in (_PLAIN, _FIELDS, _ALPHA_FIELDS):
        masks, spare = _masks(buffer, size, bits, compression)
    metadata = Metadata(icc=_profile(buffer, size), density=density)
    return BmpContents(masks, spare, bits, abs(height), width, height < 0, pixels, metadata)


def _masks(
    buffer: Buffer, size: int, bits: int, compression: int
) -> tuple[tuple[int, int, int, int], int]:
    """Return the masks of all channels, and that of the byte which has no meaning."""
    if compression == _PLAIN:
        return (*_USUAL[bits], 0), 0xFF000000 if bits == 32 else 0
    has_alpha = size >= _ALPHA_HEADER or compression == _ALPHA_FIELDS
    found = struct.unpack(f"<{3 + has_alpha}I", buffer[_MASKS : _MASKS + 4 * (3 + has_alpha)])
    for mask in found:
        ones = mask // (mask & -mask) if mask else 0
        if mask >> bits or ones & (ones + 1):
            raise CodecError(f"it has pixels of {bits} bits with a mask {mask:#x}")
    if not all(found[:3]):
        raise CodecError("it has no mask for one of its colours")
    red, green, blue, *alpha = found
    return (red, green, blue, alpha[0] if alpha else 0), 0


def _profile(buffer: Buffer, size: int) -> bytes | None:
    """Return the ICC profile that the largest header points to."""
    start = _FILE_HEADER
    if size < _LAST_HEADER or bytes(buffer[start + 56 : start + 60]) != _EMBEDDED:
        return None
    first, length = struct.unpack("<2I", buffer[start + 112 : start + 120])
    return bytes(buffer[start + first : start + first + length]) or None
