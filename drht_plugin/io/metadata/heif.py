"""Read and write the properties of AVIF and HEIC pictures that libvips does not expose."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from drht_plugin.io.metadata import exif_edit
from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.heif_items import (
    FULL_BOX,
    Items,
    associations,
    children,
    items_of,
    primary_of,
)
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import GAIN_MAP, Metadata, whole_ratio
from drht_plugin.io.metadata.xmp import reset_orientation

_ANIMATION_BRANDS = (b"avis", b"msf1", b"hevc", b"hevx")
_MOST_HEAD = 1 << 24
_PREMULTIPLIED, _FULL_RANGE = b"prem", 0x80
_PICTURES = frozenset(b"av01 avc1 grid hvc1 iden iovl j2k1 jpeg unci vvc1".split())
_AV1_HALVED = 0x0C  # chroma_subsampling_x and chroma_subsampling_y
_ALPHA_NAMES = (b"alpha", b"hevc:2015:auxid:1")
_MATRIX_RGB, _MATRIX_BT601 = 0, 6
_MOST_SPACING = (1 << 32) - 1
_SIGNATURE = b"Exif\0\0"


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
    items = items_of(buffer)
    cicp = aspect = coding = None
    quarter_turns = 0
    for each in items.properties(items.primary):
        kind, data = each.kind, each.data
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
    premultiplied = items.primary in items.referring(_PREMULTIPLIED)
    return HeifProperties(cicp, aspect, premultiplied, tuple(_further_pictures(items)), coding)


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
    block, dropped = (exif or b"").removeprefix(_SIGNATURE) or None, stated.dropped
    try:
        block = exif_edit.reset_orientation(block) if block else None
    except ValueError:
        block, dropped = None, (*dropped, "EXIF (damaged)")
    cicp = None if icc else stated.cicp
    packet = reset_orientation(xmp) if xmp else None
    return Metadata(icc or None, block, packet, cicp=cicp, aspect=stated.aspect, dropped=dropped)


def is_animation(buffer: Buffer) -> bool:
    """Return whether a file holds a sequence, of which decoders show the cover only."""
    return bytes(buffer[8:12]) in _ANIMATION_BRANDS


def _further_pictures(items: Items) -> dict[str, None]:
    """Name the pictures beside the primary one, except its alpha."""
    found = {"HEIF thumbnail": None} if items.referring(b"thmb") else {}
    for kind, data in items.all_properties:
        if kind == b"auxC":
            name = data[FULL_BOX:].split(b"\0")[0].lower()
            if b"gainmap" in name:
                found[GAIN_MAP] = None
            elif not any(word in name for word in _ALPHA_NAMES):
                found["auxiliary pictures"] = None
    if b"tmap" in items.kinds.values():
        found[GAIN_MAP] = None
    if count := _stand_alone(items):
        found[f"{count} further pictures"] = None
    return found


def _stand_alone(items: Items) -> int:
    """Return how many pictures are neither the primary one nor a part of another."""
    parts = items.referring(b"thmb") | items.referring(b"auxl")
    for item in items.referring(b"dimg"):
        parts.update(items.references(item, b"dimg"))
    pictures = {item for item, kind in items.kinds.items() if kind in _PICTURES}
    return len(pictures - parts - {items.primary}) if items.primary else 0


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
        at = encoded.find(b"colrnclx", 0, _MOST_HEAD)
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


def with_exif(encoded: bytes, exif: bytes) -> bytes:
    """Put an EXIF block, byte for byte, in the place of the one in a file that libvips has made.

    Args:
        encoded: the file; it has an EXIF block, of whatever content.
        exif: the block, without the leading ``Exif`` signature.

    Raises:
        ValueError: the file's structure is another one than expected.
    """
    meta = next(first for _, kind, first, _ in boxes(encoded) if kind == b"meta") + FULL_BOX
    start, end = next(
        (meta + first, meta + last)
        for _, kind, first, last in boxes(encoded[meta:])
        if kind == b"iloc"
    )
    iloc = bytearray(encoded[start:end])
    blocks = {item for item, kind in items_of(encoded).kinds.items() if kind == b"Exif"}
    found = [extent for extent in _extents(bytes(iloc)) if extent.item in blocks]
    if len(found) != 1 or found[0].method != 0 or found[0].length.stop == found[0].length.start:
        raise ValueError("the encoder stored EXIF in an unknown way")
    [extent] = found
    data = struct.pack(">I", len(_SIGNATURE)) + _SIGNATURE + exif
    base = _number(iloc, extent.base)
    old, size = base + _number(iloc, extent.place), _number(iloc, extent.length)
    for field, value in ((extent.place, len(encoded) + 8 - base), (extent.length, len(data))):
        iloc[field] = value.to_bytes(field.stop - field.start, "big")
    made = bytearray(encoded)
    made[start:end] = iloc
    made[old : old + size] = bytes(size)
    return bytes(made) + _box(b"mdat", data)


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def _with_properties(encoded: bytes, added: list[bytes]) -> bytes:
    """Add properties to the primary picture of a file whose pixels follow its metadata."""
    at, first, last = next(
        (at, first, last) for at, kind, first, last in boxes(encoded) if kind == b"meta"
    )
    meta = encoded[first:last]
    grown = _grown_meta(meta, primary_of(meta), added, 0)
    moved = len(grown) - len(meta)
    made = _box(b"meta", _grown_meta(meta, primary_of(meta), added, moved))
    return encoded[:at] + made + encoded[last:]


def _grown_meta(meta: bytes, primary: int, added: list[bytes], moved: int) -> bytes:
    parts = [meta[:FULL_BOX]]
    for at, kind, first, last in boxes(meta[FULL_BOX:]):
        data = meta[FULL_BOX + first : FULL_BOX + last]
        if kind == b"iprp":
            parts.append(_box(kind, _grown_properties(data, primary, added)))
        elif kind == b"iloc":
            parts.append(_box(kind, _moved_locations(data, moved)))
        else:
            parts.append(meta[FULL_BOX + at : FULL_BOX + last])
    return b"".join(parts)


def _grown_properties(iprp: bytes, primary: int, added: list[bytes]) -> bytes:
    tables = children(iprp)
    held, linked = tables[b"ipco"], tables[b"ipma"]
    count = sum(1 for _ in boxes(held))
    numbers = range(count + 1, count + 1 + len(added))
    every = dict(associations(linked))
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
    for extent in _extents(iloc):
        if extent.method == 0:  # from the start of the file
            made[extent.place] = (_number(iloc, extent.place) + moved).to_bytes(
                extent.place.stop - extent.place.start, "big"
            )
    return bytes(made)


@dataclass(frozen=True)
class _Extent:
    """Where a table of locations says where a part of an item is.

    Attributes:
        item: the item's number.
        method: what offsets count from; 0 for the start of the file.
        base: bytes of the table with what is added to the offset.
        place: those with the offset.
        length: those with the length.
    """

    item: int
    method: int
    base: slice
    place: slice
    length: slice


def _extents(iloc: bytes) -> Iterator[_Extent]:
    """Yield the parts of all items in a table that libvips has made."""
    version, sizes = iloc[0], iloc[4:6]
    offset, length, base = sizes[0] >> 4, sizes[0] & 15, sizes[1] >> 4
    if version > 1 or offset not in (4, 8):
        raise ValueError("the encoder located its data in an unknown way")
    (count,) = struct.unpack_from(">H", iloc, 6)
    at = 8
    for _ in range(count):
        (item,) = struct.unpack_from(">H", iloc, at)
        method = _number(iloc, slice(at + 2, at + 4)) & 15 if version else 0
        at += 4 + (2 if version else 0) + base
        (extents,) = struct.unpack_from(">H", iloc, at)
        at, based = at + 2, slice(at - base, at)
        for _ in range(extents):
            end = at + offset
            yield _Extent(item, method, based, slice(at, end), slice(end, end + length))
            at = end + length


def _number(data: bytes | bytearray, place: slice) -> int:
    return int.from_bytes(data[place], "big")
