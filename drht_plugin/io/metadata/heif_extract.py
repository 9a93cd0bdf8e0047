"""One picture of an AVIF or HEIC file as a file of its own, for decoders that show only the first.

Coded data are copied as they are: of the picture itself, or of the tiles of a grid.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace

from drht_plugin.io.metadata.heif_items import Items, Property

_GRID = b"grid"
_CODED = {b"av01": b"avif", b"hvc1": b"heic"}
"""Types of pictures that are copied, and the brand of files of them."""

_MOST_TILES = 1 << 10
_KEPT = (
    *(b"ispe", b"pixi", b"av1C", b"hvcC", b"irot", b"imir", b"clap"),
    *(b"a1op", b"a1lx", b"lsel"),
)
"""Properties that decoders need. Of colours only what leads from YCbCr to RGB is needed, too."""


_NCLX_RANGE, _FULL_RANGE = 10, 0x80
_AV1_GRAY = 0x10  # monochrome


@dataclass(frozen=True)
class Standalone:
    """One picture as a file of its own.

    Attributes:
        file: its bytes.
        kind: "avif" or "heic".
        gray: whether it has one channel.
        limited: whether gray codes have the range of video, which decoders do not widen. That of
            colours they do.
    """

    file: bytes
    kind: str
    gray: bool
    limited: bool


def standalone(
    items: Items, item: int, *, turned: tuple[Property, ...] = (), most: int
) -> Standalone:
    """Return a file of one picture.

    Args:
        items: of the file that it is in.
        item: its number.
        turned: properties that it gets beside its own.
        most: bytes of coded data that it may have.

    Raises:
        ValueError: the picture is damaged, too large, or of an unknown kind.
    """
    kind = items.kinds.get(item, b"")
    tiles = items.references(item, b"dimg") if kind == _GRID else ()
    if len(tiles) > _MOST_TILES:
        raise ValueError(f"item {item} has more than {_MOST_TILES} tiles")
    numbers = (item, *dict.fromkeys(tiles))
    kinds = [items.kinds.get(number, b"") for number in numbers]
    coding = kinds[-1]
    if coding not in _CODED or any(each != coding for each in kinds[1:]):
        raise ValueError(f"item {item} is no picture of a known kind")
    places = {number: at for at, number in enumerate(numbers, 1)}
    parts, left = [], most
    for number in numbers:
        parts.append(items.data(number, left))
        left -= len(parts[-1])
    if kind == _GRID and len(tiles) != _tile_count(parts[0]):
        raise ValueError(f"item {item} lacks tiles")
    listed = [_kept(items.properties(number)) for number in numbers]
    listed[0] += [each for each in turned if each not in listed[0]]
    gray = any(_is_gray(each) for each in listed[-1])
    ranges = [each.data for own in listed for each in own if each.kind == b"colr"]
    limited = gray and bool(ranges) and not ranges[0][_NCLX_RANGE] & _FULL_RANGE
    if gray:
        listed = [[_of_full_range(each) for each in own] for own in listed]
    references = [places[tile] for tile in tiles]
    file = _file(_CODED[coding], kinds, listed, references, parts)
    return Standalone(file, _CODED[coding].decode(), gray, limited)


def _tile_count(grid: bytes) -> int:
    """Return how many tiles a grid's data tell of."""
    _, _, rows, columns = struct.unpack_from("4B", grid)
    return (rows + 1) * (columns + 1)


def _is_gray(each: Property) -> bool:
    if each.kind == b"av1C":
        return len(each.data) > 2 and bool(each.data[2] & _AV1_GRAY)
    return each.kind == b"hvcC" and len(each.data) > 16 and not each.data[16] & 3


def _of_full_range(each: Property) -> Property:
    """Return a property so that no decoder widens the range of gray codes."""
    if each.kind != b"colr":
        return each
    return replace(each, data=each.data[:_NCLX_RANGE] + bytes([_FULL_RANGE]))


def _kept(properties: tuple[Property, ...]) -> list[Property]:
    return [
        each
        for each in properties
        if each.kind in _KEPT
        or (each.kind == b"colr" and each.data[:4] == b"nclx" and len(each.data) > _NCLX_RANGE)
        or (each.essential and each.kind != b"colr")  # decoders refuse what they do not know
    ]


def _file(
    brand: bytes,
    kinds: list[bytes],
    properties: list[list[Property]],
    tiles: list[int],
    parts: list[bytes],
) -> bytes:
    """Put a file together, whose items have the numbers from 1; the first is the primary one."""
    head = _box(b"ftyp", brand + bytes(4) + b"mif1miaf" + brand)
    table = [_full(b"hdlr", bytes(4) + b"pict" + bytes(13)), _full(b"pitm", struct.pack(">H", 1))]
    entries = (
        _full(b"infe", struct.pack(">HH", number, 0) + kind + b"\0", version=2)
        for number, kind in enumerate(kinds, 1)
    )
    table.append(_full(b"iinf", struct.pack(">H", len(kinds)) + b"".join(entries)))
    table.append(_box(b"iprp", _properties(properties)))
    if tiles:
        links = struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *tiles)
        table.append(_full(b"iref", _box(b"dimg", links)))
    fixed = b"".join(table)
    start = len(head) + len(_full(b"meta", fixed + _locations(parts, 0))) + 8
    meta = _full(b"meta", fixed + _locations(parts, start))
    return head + meta + _box(b"mdat", b"".join(parts))


def _properties(properties: list[list[Property]]) -> bytes:
    """Return the boxes of all properties, each once, and of which item has which."""
    known: dict[tuple[bytes, bytes], int] = {}
    links = struct.pack(">I", len(properties))
    for number, listed in enumerate(properties, 1):
        links += struct.pack(">HB", number, len(listed))
        for each in listed:
            place = known.setdefault((each.kind, each.data), len(known) + 1)
            links += struct.pack(">H", place | (0x8000 if each.essential else 0))
    held = b"".join(_box(kind, data) for kind, data in known)
    return _box(b"ipco", held) + _full(b"ipma", links, flags=1)


def _locations(parts: list[bytes], start: int) -> bytes:
    """Return the box of where each item's data are, one after the other from a place on."""
    made = struct.pack(">BBH", 0x44, 0, len(parts))
    for number, part in enumerate(parts, 1):
        made += struct.pack(">HHHII", number, 0, 1, start, len(part))
        start += len(part)
    return _full(b"iloc", made)


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def _full(kind: bytes, data: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24 | flags) + data)
