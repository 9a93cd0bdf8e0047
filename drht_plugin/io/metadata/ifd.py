"""TIFF directories: the structure of an EXIF block and of a TIFF file's metadata.

libvips drops EXIF when it writes TIFF; OpenImageIO rewrites it and damages some of it (lens
specification, colour space, maker notes). This module moves the fields byte for byte instead.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

Order = Literal["<", ">"]

EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
ORIENTATION, XMP, IPTC, PHOTOSHOP, ICC = 274, 700, 33723, 34377, 34675
EXTRA_SAMPLES = 338
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296

# How the pixels are stored: belongs to a file, never to the picture.
# fmt: off
_STRUCTURE = frozenset({
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288,
    289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330,
    338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
})
# fmt: on

# Size of the words that a byte order applies to, and of one value, by field type.
_WORD = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_WORD |= {16: 8, 17: 8, 18: 8}
_VALUE = _WORD | {5: 8, 10: 8}
_INTEGER = {1: "u1", 3: "<u2", 4: "<u4", 13: "<u4", 16: "<u8", 18: "<u8"}


class Buffer(Protocol):
    """Bytes, or a memory map of a file."""

    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Field:
    """One field: its TIFF type, how many values, and their little-endian bytes."""

    type: int
    count: int
    data: bytes

    def integers(self) -> tuple[int, ...]:
        """Return the values of an integer field; none for other types."""
        return tuple(int(v) for v in self.numbers())

    def numbers(self) -> NDArray[np.unsignedinteger[Any]]:
        """Return the values of an integer field as an array; none for other types."""
        kind = _INTEGER.get(self.type)
        return np.frombuffer(self.data, kind) if kind else np.empty(0, np.uint8)

    def ratio(self) -> float:
        """Return the first value of a rational field; 0 where it is not one."""
        if self.type != 5 or len(self.data) < 8:
            return 0.0
        top, bottom = struct.unpack("<II", self.data[:8])
        return float(top / bottom) if bottom else 0.0


Fields = Mapping[int, Field]


@dataclass(frozen=True)
class Tree:
    """The directories that describe one picture, pointers left out."""

    main: Fields = field(default_factory=dict)
    exif: Fields = field(default_factory=dict)
    gps: Fields = field(default_factory=dict)
    interop: Fields = field(default_factory=dict)
    order: Order = "<"

    def with_main(self, fields: Fields) -> "Tree":
        """Return a copy with fields added to, or replaced in, the main directory."""
        return replace(self, main={**self.main, **fields})


def short(value: int) -> Field:
    """Return a field of one 16-bit integer."""
    return Field(3, 1, struct.pack("<H", value))


def numbers(kind: int, values: ArrayLike) -> Field:
    """Return a field of integers of a TIFF type."""
    packed = np.asarray(values).astype(_INTEGER[kind])
    return Field(kind, packed.size, packed.tobytes())


def opaque(data: bytes, kind: int = 7) -> Field:
    """Return a field of bytes."""
    return Field(kind, len(data), data)


@dataclass(frozen=True)
class _Layout:
    order: Order
    big: bool
    first: int

    def number(self, buffer: Buffer, at: int, size: int) -> int:
        raw = buffer[at : at + size]
        if len(raw) != size:
            raise ValueError("a directory lies outside the file")
        return int.from_bytes(raw, "little" if self.order == "<" else "big")


def _layout(buffer: Buffer) -> _Layout:
    head = bytes(buffer[:16])
    order: Order = ">" if head[:2] == b"MM" else "<"
    try:
        (version,) = struct.unpack_from(order + "H", head, 2)
        big = version == 43
        (first,) = struct.unpack_from(order + ("Q" if big else "I"), head, 8 if big else 4)
    except struct.error as error:
        raise ValueError("the header is cut off") from error
    if head[:2] not in (b"II", b"MM") or version not in (42, 43):
        raise ValueError("no TIFF header")
    return _Layout(order, big, first)


def _swapped(data: bytes, kind: int, order: Order) -> bytes:
    size = _WORD[kind]
    if order == "<" or size == 1:
        return data
    return np.frombuffer(data, f"u{size}").byteswap().tobytes()


def _directory(buffer: Buffer, at: int, layout: _Layout) -> tuple[dict[int, Field], int]:
    """Read one directory; returns its fields and the offset of the next one."""
    wide, narrow = (8, 8) if layout.big else (4, 2)
    entry = 20 if layout.big else 12
    count = layout.number(buffer, at, narrow)
    start = at + narrow
    if start + count * entry > len(buffer):
        raise ValueError("a directory lies outside the file")
    fields = {}
    for position in range(start, start + count * entry, entry):
        tag, kind = layout.number(buffer, position, 2), layout.number(buffer, position + 2, 2)
        values = layout.number(buffer, position + 4, wide)
        size = values * _VALUE.get(kind, 0)
        inline = position + 4 + wide
        source = inline if size <= wide else layout.number(buffer, inline, wide)
        if size and source + size <= len(buffer):
            data = bytes(buffer[source : source + size])
            fields[tag] = Field(kind, values, _swapped(data, kind, layout.order))
    end = start + count * entry
    # EXIF blocks that were cut short lack the link to the next directory.
    return fields, layout.number(buffer, end, wide) if end + wide <= len(buffer) else 0


def _branch(buffer: Buffer, parent: Fields, pointer: int, layout: _Layout) -> dict[int, Field]:
    offsets = parent[pointer].integers() if pointer in parent else ()
    if not offsets:
        return {}
    try:
        return _directory(buffer, offsets[0], layout)[0]
    except ValueError:
        return {}


def _without(fields: Fields, *tags: int) -> dict[int, Field]:
    return {tag: value for tag, value in fields.items() if tag not in tags}


def parse(buffer: Buffer) -> Tree:
    """Read the directories of an EXIF block or of a TIFF file's first picture.

    Raises:
        ValueError: The structure is damaged.
    """
    layout = _layout(buffer)
    main, _ = _directory(buffer, layout.first, layout)
    exif = _branch(buffer, main, EXIF_POINTER, layout)
    gps = _branch(buffer, main, GPS_POINTER, layout)
    interop = _branch(buffer, exif, INTEROP_POINTER, layout)
    return Tree(
        _without(main, EXIF_POINTER, GPS_POINTER),
        _without(exif, INTEROP_POINTER),
        gps,
        interop,
        layout.order,
    )


def directories(buffer: Buffer) -> list[dict[int, Field]]:
    """Read all directories on a TIFF file's main chain.

    Raises:
        ValueError: The structure is damaged.
    """
    layout = _layout(buffer)
    found, seen, at = [], set(), layout.first
    while at and at not in seen:
        seen.add(at)
        fields, at = _directory(buffer, at, layout)
        found.append(fields)
    return found


def is_big(buffer: Buffer) -> bool:
    """Say whether a TIFF file has 64-bit offsets."""
    return _layout(buffer).big


def descriptive(fields: Fields) -> dict[int, Field]:
    """Return the fields of a main directory that describe the picture, not its storage."""
    return {tag: value for tag, value in fields.items() if tag not in _STRUCTURE}


def structural(fields: Fields) -> dict[int, Field]:
    """Return the fields of a main directory that say how the pixels are stored."""
    return {tag: value for tag, value in fields.items() if tag in _STRUCTURE}


def _written(fields: Fields, base: int, order: Order, big: bool) -> bytes:
    """Lay out one directory, followed by its long values, for the offset `base`."""
    wide, head = ("Q", "Q") if big else ("I", "H")
    room = 8 if big else 4
    # 64-bit values do not exist in a classic file.
    usable = {tag: item for tag, item in fields.items() if big or item.type < 16}
    table = bytearray(struct.pack(order + head, len(usable)))
    values = bytearray()
    size = len(table) + len(usable) * (4 + 2 * room) + room
    for tag in sorted(usable):
        item = usable[tag]
        data = _swapped(item.data, item.type, order)
        table += struct.pack(order + "HH" + wide, tag, item.type, item.count)
        if len(data) <= room:
            table += data.ljust(room, b"\0")
        else:
            table += struct.pack(order + wide, base + size + len(values))
            values += data + b"\0" * (len(data) % 2)
    return bytes(table + b"\0" * room + values)


def serialised(tree: Tree, base: int, order: Order, big: bool) -> bytes:
    """Lay out a tree's directories for the offset `base` of a file, the main one first."""

    def pointer(offset: int) -> Field:
        kind, size = (16, 8) if big else (4, 4)
        return Field(kind, 1, offset.to_bytes(size, "little"))

    def linked(at: Mapping[int, int]) -> list[bytes]:
        exif = {**tree.exif, **({INTEROP_POINTER: pointer(at[2])} if tree.interop else {})}
        main = {
            **tree.main,
            **({EXIF_POINTER: pointer(at[1])} if exif else {}),
            **({GPS_POINTER: pointer(at[3])} if tree.gps else {}),
        }
        parts = (main, exif, tree.interop, tree.gps)
        return [
            _written(fields, at[index], order, big) if fields or index == 0 else b""
            for index, fields in enumerate(parts)
        ]

    # Sizes do not depend on offsets: lay out once to learn them, once for good.
    sizes = [len(part) for part in linked(dict.fromkeys(range(4), 0))]
    return b"".join(linked({index: base + sum(sizes[:index]) for index in range(4)}))


def block(tree: Tree) -> bytes:
    """Return an EXIF block that holds the tree."""
    return head(8, tree.order, big=False) + serialised(tree, 8, tree.order, big=False)


def head(directory: int, order: Order, big: bool) -> bytes:
    """Return the first bytes of a file whose main directory is at an offset."""
    mark = b"II" if order == "<" else b"MM"
    if big:
        return struct.pack(order + "2sHHHQ", mark, 43, 8, 0, directory)
    return struct.pack(order + "2sHI", mark, 42, directory)


def append_to_tiff(path: str, tree: Tree) -> None:
    """Give a TIFF file new metadata: its own storage fields, and all of the tree's.

    The new directory goes to the end; the old one stays as a few unused bytes.

    Raises:
        OSError: The file cannot be written.
        ValueError: The file's structure is damaged.
    """
    with open(path, "r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            layout = _layout(buffer)
            own, _ = _directory(buffer, layout.first, layout)
            end = len(buffer) + len(buffer) % 2
        merged = replace(tree, main={**structural(own), **tree.main})
        data = serialised(merged, end, layout.order, layout.big)
        if not layout.big and end + len(data) > 0xFFFFFFFF:
            raise ValueError("the file outgrew 4 GB")
        file.seek(end)
        file.write(data)
        file.seek(8 if layout.big else 4)
        file.write(struct.pack(layout.order + ("Q" if layout.big else "I"), end))


def orientation(exif: bytes) -> int:
    """Return the orientation that an EXIF block gives, 1 to 8; 1 where it gives none."""
    try:
        values = parse(exif).main[ORIENTATION].integers()
    except (ValueError, KeyError):
        return 1
    return values[0] if values and 1 <= values[0] <= 8 else 1


def upright(exif: bytes) -> bytes:
    """Return an EXIF block with orientation 1, and all else, offsets included, as it was."""
    start, count, layout = _entries(exif)
    patched = bytearray(exif)
    for at in range(start, start + 12 * count, 12):
        if layout.number(exif, at, 2) == ORIENTATION:
            struct.pack_into(layout.order + "HIHH", patched, at + 2, 3, 1, 1, 0)
    return bytes(patched)


def without_thumbnail(exif: bytes) -> bytes:
    """Return an EXIF block whose thumbnail, which shows the picture as it was, is not linked.

    Everything else stays where it is: maker notes may hold offsets into the block.
    """
    start, count, _ = _entries(exif)
    end = start + 12 * count
    return exif[:end] + b"\0\0\0\0" + exif[end + 4 :]


def _entries(exif: bytes) -> tuple[int, int, _Layout]:
    """Return where a block's main directory has its entries, and how many."""
    layout = _layout(exif)
    count = layout.number(exif, layout.first, 2)
    start = layout.first + 2
    if layout.big or start + 12 * count > len(exif):
        raise ValueError("a directory lies outside the block")
    return start, count, layout


def density(fields: Fields) -> tuple[float, float] | None:
    """Return the pixels per inch that a main directory gives, if it does."""
    unit = (fields[_RESOLUTION_UNIT].integers() if _RESOLUTION_UNIT in fields else ()) or (2,)
    if _X_RESOLUTION not in fields or unit[0] not in (2, 3):
        return None
    scale = 1.0 if unit[0] == 2 else 2.54
    across = fields[_X_RESOLUTION].ratio() * scale
    down = fields[_Y_RESOLUTION].ratio() * scale if _Y_RESOLUTION in fields else across
    return (across, down) if across > 0 and down > 0 else None


def density_fields(pixels_per_inch: tuple[float, float]) -> dict[int, Field]:
    """Return the fields of a main directory that give a density."""

    def ratio(value: float) -> Field:
        exact = Fraction(value).limit_denominator(10_000)
        return Field(5, 1, struct.pack("<II", exact.numerator, exact.denominator))

    across, down = pixels_per_inch
    return {_X_RESOLUTION: ratio(across), _Y_RESOLUTION: ratio(down), _RESOLUTION_UNIT: short(2)}
