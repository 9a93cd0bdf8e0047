"""Photoshop files byte by byte, by Adobe's specification."""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

GRAY, INDEXED, RGB, CMYK, LAB = 1, 2, 3, 4, 9


def psd_bytes(
    pixels: NDArray[Any],
    mode: int = RGB,
    *,
    packed: bool = False,
    wide: bool = False,
    palette: bytes = b"",
    resources: bytes = b"",
    layers: int = 0,
    deep_layers: int = 0,
) -> bytes:
    """Return a file with H×W×C stored values; `layers` is negative for a transparent composite.

    `deep_layers` stand in a block of their own, after another one.
    """
    planes = np.moveaxis(pixels, -1, 0)
    count, height, width = planes.shape
    depth = 8 * pixels.dtype.itemsize
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1 + wide, count, height, width, depth, mode)
    size = ">Q" if wide else ">I"
    info = struct.pack(">h", layers)
    section = struct.pack(size, len(info)) + info if layers else b""
    if deep_layers:
        info = struct.pack(">h", deep_layers)
        deep = b"8BIMLr16" + struct.pack(size, len(info)) + info + b"\0\0"
        section = struct.pack(size, 0) + struct.pack(">I", 0)
        section += b"8BIMPatt" + struct.pack(">I", 3) + b"abc\0" + deep
    rows = [row.astype(row.dtype.newbyteorder(">")).tobytes() for p in planes for row in p]
    if packed:
        rows = [pack_bits(row) for row in rows]
        sizes = b"".join(struct.pack(">I" if wide else ">H", len(row)) for row in rows)
    return b"".join(
        [
            head,
            *(struct.pack(">I", len(part)) + part for part in (palette, resources)),
            struct.pack(size, len(section)) + section,
            struct.pack(">H", packed) + (sizes if packed else b""),
            *rows,
        ]
    )


def resource(number: int, data: bytes) -> bytes:
    """Return an image resource without a name."""
    return b"8BIM" + struct.pack(">H2xI", number, len(data)) + data + b"\0" * (len(data) % 2)


def pack_bits(row: bytes) -> bytes:
    """Compress a row: runs of three and more, and the bytes between them."""
    out, at = bytearray(), 0
    while at < len(row):
        run = 1
        while run < 128 and row[at : at + 1] == row[at + run : at + run + 1]:
            run += 1
        if run > 2:
            out += bytes([257 - run, row[at]])
            at += run
            continue
        end = at
        while end < len(row) and end - at < 128 and len(set(row[end : end + 3])) != 1:
            end += 1
        end = max(end, at + 1)
        out += bytes([end - at - 1]) + row[at:end]
        at = end
    return bytes(out)
