"""Read from the header of JPEG 2000 files what OpenImageIO does not tell, or too late.

It decodes the picture to open the file.
"""

import struct
from dataclasses import dataclass

from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer

_MOST_HEADER = 1 << 24
_CODESTREAM = bytes.fromhex("ff4fff51")
_SIZE = struct.Struct(">4s2H8IHB")
"""Start of a codestream: two marks, length, profile, far corner, near corner, of tiles, the
number of components, and the depth less one of the first."""

_MOST_COMPONENTS = 16384
_METRE = 0.0254
_ENUMERATED, _PREMULTIPLIED_OPACITY, _WHOLE_PICTURE = 1, 2, 0
_UNREAD = {12: "CMYK", 13: "YCCK", 14: "CIE Lab", 19: "CIE Jab", 20: "e-sRGB", 24: "e-sYCC"}


@dataclass(frozen=True)
class Jp2Header:
    """What the header of a JPEG 2000 file states.

    Attributes:
        unread: name of a colour space that is not read; None for others.
        premultiplied: whether colours are multiplied by alpha.
        density: pixels per inch across and down; None where it is not stated.
    """

    unread: str | None = None
    premultiplied: bool = False
    density: tuple[float, float] | None = None


@dataclass(frozen=True)
class Jp2Samples:
    """What a JPEG 2000 codestream states of its samples.

    Attributes:
        shape: H×W×C, palettes applied.
        deepest: bits of the deepest component.
        itemsize: bytes of a sample as it is read.
        signed: whether a component has samples below 0.
    """

    shape: tuple[int, int, int]
    deepest: int
    itemsize: int
    signed: bool


def read_samples(buffer: Buffer) -> Jp2Samples | None:
    """Return what the codestream of a JPEG 2000 picture states of its samples.

    Args:
        buffer: the file's bytes.

    Returns:
        None where there is no codestream.
    """
    start, channels = 0, 0
    if buffer[4:8] == b"jP  ":
        found = {kind: (first, last) for _, kind, first, last in boxes(buffer)}
        if b"jp2c" not in found:
            return None
        start = found[b"jp2c"][0]
        first, last = found.get(b"jp2h", (0, 0))
        if last - first <= _MOST_HEADER:
            palette = _children(bytes(buffer[first:last])).get(b"pclr", b"")
            channels = palette[2] if len(palette) > 2 else 0
    data = bytes(buffer[start : start + _SIZE.size])
    if len(data) < _SIZE.size:
        return None
    mark, _, _, right, bottom, left, top, _, _, _, _, count, depth = _SIZE.unpack(data)
    if mark != _CODESTREAM:
        return None
    first = start + _SIZE.size - 1
    stated = bytes(buffer[first : first + 3 * min(count, _MOST_COMPONENTS)])
    depths = [(each & 0x7F) + 1 for each in stated[::3]]
    return Jp2Samples(
        (max(bottom - top, 0), max(right - left, 0), max(count, channels)),
        max(depths),
        1 if depth & 0x7F < 8 else 2,
        any(each & 0x80 for each in stated[::3]),
    )


def read_header(buffer: Buffer) -> Jp2Header:
    """Read the header of a JPEG 2000 file; a bare codestream has none.

    Args:
        buffer: the file's bytes.
    """
    found: dict[bytes, bytes] = {}
    if buffer[4:8] == b"jP  ":
        for _, kind, first, last in boxes(buffer):
            if kind == b"jp2h" and last - first <= _MOST_HEADER:
                found = _children(bytes(buffer[first:last]))
    colour = found.get(b"colr", b"")
    unread = None
    if colour[:1] == bytes((_ENUMERATED,)) and len(colour) >= 7:
        unread = _UNREAD.get(int.from_bytes(colour[3:7], "big"))
    channels = found.get(b"cdef", b"")
    kinds = [channels[at : at + 6] for at in range(2, len(channels) - 5, 6)]
    wanted = struct.pack(">HH", _PREMULTIPLIED_OPACITY, _WHOLE_PICTURE)
    return Jp2Header(
        unread,
        any(kind[2:] == wanted for kind in kinds),
        _density(_children(found.get(b"res ", b""))),
    )


def _children(data: bytes) -> dict[bytes, bytes]:
    """Return the content of the first box of each type."""
    found: dict[bytes, bytes] = {}
    for _, kind, first, last in boxes(data):
        found.setdefault(kind, data[first:last])
    return found


def _density(resolutions: dict[bytes, bytes]) -> tuple[float, float] | None:
    """Return the density of display, or else of capture."""
    data = resolutions.get(b"resd") or resolutions.get(b"resc") or b""
    if len(data) < 10:
        return None
    down, under_down, across, under_across, tens_down, tens_across = struct.unpack(
        ">4H2b", data[:10]
    )
    if not (down and across and under_down and under_across):
        return None
    return (
        across / under_across * 10.0**tens_across * _METRE,
        down / under_down * 10.0**tens_down * _METRE,
    )
