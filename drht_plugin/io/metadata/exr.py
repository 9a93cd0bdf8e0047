"""Walk over the headers of OpenEXR files, which libraries do without bounds.

See "OpenEXR File Layout" (openexr.com).
"""

import struct
from collections.abc import Iterator

from drht_plugin.io.metadata.ifd import Buffer

_MOST_ATTRIBUTES = 4000
"""Attributes of a file; the library takes time by the square of their number."""

_LONGEST_NAME = 256  # bytes, with its end
_VERSION = 8


def require_sane(buffer: Buffer) -> None:
    """Refuse headers of absurdly many attributes, or of attributes larger than the file.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: the headers are damaged.
    """
    for number, (start, size) in enumerate(_attributes(buffer)):
        if number == _MOST_ATTRIBUTES:
            raise ValueError(f"it has more than {_MOST_ATTRIBUTES} attributes")
        if start + size > len(buffer):
            raise ValueError(f"an attribute of {size} bytes lies outside the file")


def _attributes(buffer: Buffer) -> Iterator[tuple[int, int]]:
    """Yield where the value of each attribute of all headers lies, and its size (bytes)."""
    flags = int.from_bytes(buffer[4:_VERSION], "little")
    parts, at = bool(flags & 0x1000), _VERSION
    while at < len(buffer):
        head = buffer[at : at + 2 * _LONGEST_NAME + 4]
        name = head.find(b"\0")
        if name == 0:  # the end of a header; of all, where another follows it at once
            at += 1
            if not parts or buffer[at : at + 1] == b"\0":
                return
            continue
        kind = head.find(b"\0", name + 1)
        if name < 0 or kind < 0 or kind + 5 > len(head):
            raise ValueError("its header has no end")
        (size,) = struct.unpack_from("<I", head, kind + 1)
        yield at + kind + 5, size
        at += kind + 5 + size
