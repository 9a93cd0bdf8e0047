"""Read the nclx box of AVIF and HEIC files, which libvips does not expose."""

import struct

from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer

_PROPERTIES = (b"meta", b"iprp", b"ipco")
_FULL_BOX = 4  # bytes of version and flags at the start of `meta`
_MIN_BYTES = 11


def read_nclx(buffer: Buffer) -> tuple[int, int] | None:
    """Return the code points of primaries and transfer in the first nclx box.

    Args:
        buffer: the file's bytes.

    Returns:
        ColourPrimaries and TransferCharacteristics of ITU-T H.273; None without nclx.
    """
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
        if kind == b"colr" and bytes(content[:4]) == b"nclx" and len(content) >= _MIN_BYTES:
            primaries, transfer = struct.unpack(">HH", content[4:8])
            return primaries, transfer
    return None
