"""Read from the header of JPEG 2000 files what OpenImageIO does not tell."""

import struct
from dataclasses import dataclass

from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer

_MOST_HEADER = 1 << 24
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
