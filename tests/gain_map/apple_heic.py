"""HEIC files with a gain map as Apple's cameras write them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
from PIL import Image

from drht_plugin.io.metadata.boxes import boxes

URN = b"urn:com:apple:photo:2020:aux:hdrgainmap"


def box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def maker_exif(headroom: float, gain: float) -> bytes:
    """An EXIF block whose maker note has Apple's two numbers."""
    ratios = b"".join(struct.pack(">ii", round(value * 1000), 1000) for value in (headroom, gain))
    entries = [struct.pack(">HHII", tag, 10, 1, at) for tag, at in ((0x21, 44), (0x30, 52))]
    note = b"Apple iOS\0\0\1MM" + struct.pack(">H", 2) + b"".join(entries) + bytes(4) + ratios
    directory = struct.pack("<HHHIII", 1, 0x927C, 7, len(note), 44, 0)
    main = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    return b"II*\0" + struct.pack("<I", 8) + main + directory + note


def write(
    path: Path,
    base: npt.NDArray[Any],
    codes: npt.NDArray[np.uint8],
    *,
    exif: bytes | None = None,
    xmp: bytes | None = None,
) -> None:
    """Write a base of RGB codes and a map of gray ones."""
    file = pillow_heif.from_pillow(Image.fromarray(base))
    file.add_from_pillow(Image.fromarray(codes))
    more = {"exif": exif} if exif else {}
    if xmp:
        file[0].info["xmp"] = xmp
    file.save(str(path), quality=-1, chroma=444, primary_index=0, **more)
    path.write_bytes(_as_auxiliary(path.read_bytes()))


def _as_auxiliary(encoded: bytes) -> bytes:
    """Make the second picture the gain map of the first."""
    at, first, last = next((a, f, e) for a, kind, f, e in boxes(encoded) if kind == b"meta")
    meta = encoded[first:last]
    moved = len(_linked(meta, 0)) - len(meta)
    return encoded[:at] + box(b"meta", _linked(meta, moved)) + encoded[last:]


def _linked(meta: bytes, moved: int) -> bytes:
    parts = {kind: meta[4 + f : 4 + e] for _, kind, f, e in boxes(meta[4:])}
    items = [parts[b"iinf"][6 + f : 6 + e] for _, _, f, e in boxes(parts[b"iinf"][6:])]
    numbers = [struct.unpack_from(">H", item, 4)[0] for item in items if item[8:12] == b"hvc1"]
    base, gain = numbers
    tables = {kind: parts[b"iprp"][f:e] for _, kind, f, e in boxes(parts[b"iprp"])}
    held = tables[b"ipco"] + box(b"auxC", bytes(4) + URN + b"\0")
    count = sum(1 for _ in boxes(held))
    linked, at = tables[b"ipma"][:8], 8
    while at < len(tables[b"ipma"]):
        item, listed = struct.unpack_from(">HB", tables[b"ipma"], at)
        own = tables[b"ipma"][at + 3 : at + 3 + listed]
        at += 3 + listed
        own += bytes([0x80 | count]) if item == gain else b""
        linked += struct.pack(">HB", item, len(own)) + own
    parts[b"iprp"] = box(b"ipco", held) + box(b"ipma", linked)
    reference = box(b"auxl", struct.pack(">HHH", gain, 1, base))
    parts[b"iref"] = parts.get(b"iref", bytes(4)) + reference
    parts[b"iloc"] = _moved(parts[b"iloc"], moved)
    return meta[:4] + b"".join(box(kind, data) for kind, data in parts.items())


def _moved(iloc: bytes, moved: int) -> bytes:
    made, version = bytearray(iloc), iloc[0]
    offset, length, base = iloc[4] >> 4, iloc[4] & 15, iloc[5] >> 4
    at = 8
    for _ in range(struct.unpack_from(">H", iloc, 6)[0]):
        method = struct.unpack_from(">H", iloc, at + 2)[0] & 15 if version else 0
        at += (6 if version else 4) + base
        (extents,) = struct.unpack_from(">H", iloc, at)
        at += 2
        for _ in range(extents):
            place = int.from_bytes(iloc[at : at + offset], "big")
            if method == 0:
                made[at : at + offset] = (place + moved).to_bytes(offset, "big")
            at += offset + length
    return bytes(made)
