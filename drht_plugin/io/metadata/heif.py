"""The nclx box of AVIF and HEIC files, of which libvips does not tell."""

import struct

from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer

_PROPERTIES = (b"meta", b"iprp", b"ipco")
_FULL_BOX = 4  # bytes of version and flags, which `meta` begins with
_LEAST = 11


def nclx(buffer: Buffer) -> tuple[int, int] | None:
    """Return the primaries and the transfer that a file's first nclx names, by code points."""
    start, end = 0, len(buffer)
    for wanted in _PROPERTIES:
        found = [
            (start + first, start + last)
            for _, kind, first, last in boxes(buffer[start:end])
            if kind == wanted
        ]
        if not found:
            return None
        start, end = found[0]
        if wanted == b"meta":
            start += _FULL_BOX
    for _, kind, first, last in boxes(buffer[start:end]):
        content = buffer[start + first : start + last]
        if kind == b"colr" and bytes(content[:4]) == b"nclx" and len(content) >= _LEAST:
            primaries, transfer = struct.unpack(">HH", content[4:8])
            return primaries, transfer
    return None
