"""Read and write the properties of AVIF and HEIC pictures that libvips does not expose."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from drht_plugin.io.metadata import exif_edit
from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata, whole_ratio

_FULL_BOX = 4  # bytes of version and flags
_ANIMATION_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")
_MOST_META = 1 << 24
_MOST_ITEMS = 1 << 16
_PREMULTIPLIED, _FULL_RANGE = b"prem", 0x80
_AV1_HALVED = 0x0C  # chroma_subsampling_x and chroma_subsampling_y
_ALPHA_NAMES = (b"alpha", b"hevc:2015:auxid:1")
_MATRIX_RGB, _MATRIX_BT601 = 0, 6
_MOST_SPACING = (1 << 32) - 1

Part = tuple[int, int]
"""Where a box's content starts and ends (bytes)."""


@dataclass(frozen=True)
class HeifCoding:
    """How an AVIF or HEIC file is compressed.

    Attributes:
        halved: whether chroma is subsampled by two in both directions (4:2:0).
    """

    halved: bool


@dataclass(frozen=True)
class HeifProperties:
    """What an AVIF or HEIC file states of its picture.

    Attributes:
        cicp: code points of primaries and transfer (ITU-T H.273), of the box nclx; or None.
        aspect: pixels across and down on the same length; None for square pixels.
        premultiplied: whether colours are multiplied by alpha.
        dropped: further pictures that are not read, in plain words.
        coding: how the picture is compressed; None where that is not stated.
    """

    cicp: tuple[int, int] | None = None
    aspect: tuple[float, float] | None = None
    premultiplied: bool = False
    dropped: tuple[str, ...] = ()
    coding: HeifCoding | None = None


def read_properties(buffer: Buffer) -> HeifProperties:
    """Read the properties of a file's primary picture.

    Args:
        buffer: the file's bytes.
    """
    meta = _meta(buffer)
    if meta is None:
        return HeifProperties()
    primary = _primary(meta)
    cicp = aspect = coding = None
    quarter_turns = 0
    for kind, data in _properties_of(meta, primary):
        if kind == b"colr" and data[:4] == b"nclx" and len(data) >= 11 and cicp is None:
            cicp = (int.from_bytes(data[4:6], "big"), int.from_bytes(data[6:8], "big"))
        elif kind == b"pasp" and len(data) >= 8:
            wide, high = struct.unpack(">II", data[:8])
            aspect = (float(high), float(wide)) if wide and high and wide != high else None
        elif kind == b"av1C" and len(data) > 2:
            coding = HeifCoding(data[2] & _AV1_HALVED == _AV1_HALVED)
        elif kind == b"hvcC" and len(data) > 16:
            coding = HeifCoding(data[16] & 3 == 1)
        elif kind == b"irot" and data:
            quarter_turns = data[0] & 3
    if aspect and quarter_turns % 2:  # the decoder turns the pixels
        aspect = aspect[::-1]
    premultiplied = primary in _references(meta, _PREMULTIPLIED)
    return HeifProperties(cicp, aspect, premultiplied, tuple(_further_pictures(meta)), coding)


def metadata(
    stated: HeifProperties, icc: bytes | None, exif: bytes | None, xmp: bytes | None
) -> Metadata:
    """Return a file's metadata; decoders turn pixels upright, so EXIF says so too.

    Args:
        stated: its properties.
        icc: profile, which takes precedence over code points.
        exif: with or without the leading ``Exif`` signature.
        xmp: packet.
    """
    block, dropped = (exif or b"").removeprefix(b"Exif\0\0") or None, stated.dropped
    try:
        block = exif_edit.reset_orientation(block) if block else None
    except ValueError:
        block, dropped = None, (*dropped, "EXIF (damaged)")
    cicp = None if icc else stated.cicp
    return Metadata(
        icc or None, block, xmp or None, cicp=cicp, aspect=stated.aspect, dropped=dropped
    )


def is_animation(buffer: Buffer) -> bool:
    """Return whether a file holds a sequence, of which decoders show the cover only."""
    return bytes(buffer[8:12]) in _ANIMATION_BRANDS


def _further_pictures(meta: bytes) -> dict[str, None]:
    """Name the pictures beside the primary one, except its alpha."""
    found = {"HEIF thumbnail": None} if _references(meta, b"thmb") else {}
    properties = _children(_children(meta, _FULL_BOX).get(b"iprp", b"")).get(b"ipco", b"")
    for _, kind, first, last in boxes(properties):
        if kind == b"auxC":
            name = properties[first + _FULL_BOX : last].split(b"\0")[0].lower()
            if b"gainmap" in name:
                found["gain map"] = None
            elif not any(word in name for word in _ALPHA_NAMES):
                found["auxiliary pictures"] = None
    items = _children(meta, _FULL_BOX).get(b"iinf", b"")
    start = _FULL_BOX + (4 if items[:1] != b"\0" else 2)
    for _, kind, first, last in boxes(items[start:]):
        entry = items[start + first : start + last]
        number = 2 if entry[:1] == b"\2" else 4
        at = _FULL_BOX + number + 2
        if kind == b"infe" and entry[at : at + 4] == b"tmap":
            found["gain map"] = None
    return found


def _children(data: bytes, start: int = 0) -> dict[bytes, bytes]:
    """Return the content of the first box of each type."""
    found: dict[bytes, bytes] = {}
    for _, kind, first, last in boxes(data[start:]):
        found.setdefault(kind, data[start + first : start + last])
    return found


def _meta(buffer: Buffer) -> bytes | None:
    for _, kind, first, last in boxes(buffer):
        if kind == b"meta" and last - first <= _MOST_META:
            return bytes(buffer[first:last])
    return None


def _primary(meta: bytes) -> int:
    """Return the number of the primary item; 0 where none is named."""
    data = _children(meta, _FULL_BOX).get(b"pitm", b"")
    return int.from_bytes(data[4:8] if data[:1] == b"\1" else data[4:6], "big")


def _properties_of(meta: bytes, item: int) -> list[tuple[bytes, bytes]]:
    """Return type and content of the properties of an item."""
    tables = _children(_children(meta, _FULL_BOX).get(b"iprp", b""))
    held = tables.get(b"ipco", b"")
    listed = [(kind, held[first:last]) for _, kind, first, last in boxes(held)]
    numbers = dict(_associations(tables.get(b"ipma", b""))).get(item, ())
    return [listed[number - 1] for number in numbers if 0 < number <= len(listed)]


def _associations(ipma: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield each item's number and the numbers of its properties, from 1."""
    if len(ipma) < 8:
        return
    wide, long = (4 if ipma[0] else 2), ipma[3] & 1
    (count,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(count, _MOST_ITEMS)):
        if at + wide >= len(ipma):
            return
        item, listed = int.from_bytes(ipma[at : at + wide], "big"), ipma[at + wide]
        at += wide + 1
        size = 2 if long else 1
        entries = (ipma[at + size * n : at + size * n + size] for n in range(listed))
        mask = 0x7FFF if long else 0x7F
        yield item, tuple(int.from_bytes(entry, "big") & mask for entry in entries)
        at += size * listed


def _references(meta: bytes, kind: bytes) -> set[int]:
    """Return the numbers of the items that refer to others by references of a type."""
    data = _children(meta, _FULL_BOX).get(b"iref", b"")
    wide = 4 if data[:1] == b"\1" else 2
    return {
        int.from_bytes(data[_FULL_BOX + first : _FULL_BOX + first + wide], "big")
        for _, found, first, _ in boxes(data[_FULL_BOX:])
        if found == kind
    }


def embed(
    encoded: bytes,
    cicp: tuple[int, int] | None,
    aspect: tuple[float, float] | None,
    *,
    lossless: bool,
) -> bytes:
    """State code points and the shape of pixels in a file that libvips has made.

    Args:
        encoded: the file.
        cicp: code points of primaries and transfer; None leaves what is stated.
        aspect: pixels across and down on the same length; None for square pixels.
        lossless: whether it is stored exactly. libvips codes RGB then, and YCbCr otherwise.

    Raises:
        ValueError: the file's structure is another one than expected.
    """
    added = []
    if cicp:
        points = struct.pack(">HH", *cicp)
        at = encoded.find(b"colrnclx", 0, _MOST_META)
        if at >= 0:
            encoded = encoded[: at + 8] + points + encoded[at + 12 :]
        else:
            matrix = _MATRIX_RGB if lossless else _MATRIX_BT601
            rest = struct.pack(">HB", matrix, _FULL_RANGE)
            added.append(_box(b"colr", b"nclx" + points + rest))
    if aspect:
        high, wide = whole_ratio(aspect, _MOST_SPACING)
        added.append(_box(b"pasp", struct.pack(">II", wide, high)))
    return _with_properties(encoded, added) if added else encoded


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def _with_properties(encoded: bytes, added: list[bytes]) -> bytes:
    """Add properties to the primary picture of a file whose pixels follow its metadata."""
    at, first, last = next(
        (at, first, last) for at, kind, first, last in boxes(encoded) if kind == b"meta"
    )
    meta = encoded[first:last]
    grown = _grown_meta(meta, _primary(meta), added, 0)
    moved = len(grown) - len(meta)
    made = _box(b"meta", _grown_meta(meta, _primary(meta), added, moved))
    return encoded[:at] + made + encoded[last:]


def _grown_meta(meta: bytes, primary: int, added: list[bytes], moved: int) -> bytes:
    parts = [meta[:_FULL_BOX]]
    for at, kind, first, last in boxes(meta[_FULL_BOX:]):
        data = meta[_FULL_BOX + first : _FULL_BOX + last]
        if kind == b"iprp":
            parts.append(_box(kind, _grown_properties(data, primary, added)))
        elif kind == b"iloc":
            parts.append(_box(kind, _moved_locations(data, moved)))
        else:
            parts.append(meta[_FULL_BOX + at : _FULL_BOX + last])
    return b"".join(parts)


def _grown_properties(iprp: bytes, primary: int, added: list[bytes]) -> bytes:
    tables = _children(iprp)
    held, linked = tables[b"ipco"], tables[b"ipma"]
    count = sum(1 for _ in boxes(held))
    numbers = range(count + 1, count + 1 + len(added))
    every = dict(_associations(linked))
    if linked[3] & 1 or linked[0] or count + len(added) > 0x7F or primary not in every:
        raise ValueError("the encoder linked properties in an unknown way")
    table, at = linked[:8], 8
    for item, listed in every.items():
        end = at + 3 + len(listed)
        own = bytes(numbers) if item == primary else b""
        table += linked[at : at + 2] + bytes((len(listed) + len(own),)) + linked[at + 3 : end] + own
        at = end
    return _box(b"ipco", held + b"".join(added)) + _box(b"ipma", table)


def _moved_locations(iloc: bytes, moved: int) -> bytes:
    """Return the table of locations after all that is located has moved."""
    made = bytearray(iloc)
    version, sizes = iloc[0], iloc[4:6]
    offset, length, base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    if version > 1 or offset not in (4, 8):
        raise ValueError("the encoder located its data in an unknown way")
    (count,) = struct.unpack_from(">H", iloc, 6)
    at = 8
    for _ in range(count):
        method = int.from_bytes(iloc[at + 2 : at + 4], "big") & 15 if version else 0
        at += 4 + (2 if version else 0) + base
        (extents,) = struct.unpack_from(">H", iloc, at)
        at += 2
        for _ in range(extents):
            place = int.from_bytes(iloc[at : at + offset], "big")
            if method == 0:  # from the start of the file
                made[at : at + offset] = (place + moved).to_bytes(offset, "big")
            at += offset + length
    return bytes(made)
