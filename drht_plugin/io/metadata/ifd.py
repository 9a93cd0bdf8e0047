"""Read and write TIFF directories, which hold EXIF and the metadata of TIFF files.

libvips drops EXIF when it writes TIFF. OpenImageIO rewrites it and damages some of it (lens
specification, colour space, maker notes). This module copies the fields byte for byte instead.
"""

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal, Protocol, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from drht_plugin.io.metadata.bounds import DirectoryBounds

Order = Literal["<", ">"]

EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
ORIENTATION, XMP, IPTC, PHOTOSHOP, ICC = 274, 700, 33723, 34377, 34675
EXTRA_SAMPLES = 338
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_WHITE, _PRIMARIES, _INTEROP_INDEX = 318, 319, 1

# Fields that say how pixels are stored in one file. They are never copied to another.
# fmt: off
_STORAGE_TAGS = frozenset({
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288,
    289, 290, 291, 292, 293, 301, 317, 320, 321, 322, 323, 324, 325, 326, 327, 328, 330,
    338, 339, 340, 341, 342, 347, 512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532,
})
# fmt: on

# By field type: size of the words that are byte-swapped, and of one value.
_WORD = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}
_WORD |= {16: 8, 17: 8, 18: 8}
_VALUE = _WORD | {5: 8, 10: 8}
_INTEGER = {1: "u1", 3: "<u2", 4: "<u4", 13: "<u4", 16: "<u8", 18: "<u8"}


class Buffer(Protocol):
    """Sliceable bytes: `bytes`, a memory map, or `_bytes.FileBytes`."""

    @overload
    def __getitem__(self, at: int, /) -> int: ...
    @overload
    def __getitem__(self, at: slice, /) -> bytes: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Field:
    """Field of a directory.

    Attributes:
        type: TIFF type.
        count: number of values.
        data: bytes of the values, little-endian.
    """

    type: int
    count: int
    data: bytes

    def integers(self) -> tuple[int, ...]:
        """Return the values of an integer field; empty for other types."""
        return tuple(int(v) for v in self.numbers())

    def numbers(self) -> NDArray[np.unsignedinteger[Any]]:
        """Return the values of an integer field as an array; empty for other types."""
        kind = _INTEGER.get(self.type)
        return np.frombuffer(self.data, kind) if kind else np.empty(0, np.uint8)

    def ratio(self) -> float:
        """Return the first value of a rational field; 0 for other types."""
        if self.type != 5 or len(self.data) < 8:
            return 0.0
        top, bottom = struct.unpack("<II", self.data[:8])
        return float(top / bottom) if bottom else 0.0


Fields = Mapping[int, Field]


@dataclass(frozen=True)
class Tree:
    """Directories that describe one picture, without the pointers between them.

    Attributes:
        main: fields of the main directory, by tag.
        exif: fields of the EXIF directory.
        gps: fields of the GPS directory.
        interop: fields of the interoperability directory.
        order: byte order for writing, "<" or ">".
    """

    main: Fields = field(default_factory=dict)
    exif: Fields = field(default_factory=dict)
    gps: Fields = field(default_factory=dict)
    interop: Fields = field(default_factory=dict)
    order: Order = "<"

    def with_main(self, fields: Fields) -> "Tree":
        """Return a copy with `fields` added to, or replaced in, the main directory."""
        return replace(self, main={**self.main, **fields})


def short_field(value: int) -> Field:
    """Return a field of one 16-bit integer."""
    return Field(3, 1, struct.pack("<H", value))


def integer_field(kind: int, values: ArrayLike) -> Field:
    """Return a field of integers; `kind` is their TIFF type."""
    packed = np.asarray(values).astype(_INTEGER[kind])
    return Field(kind, packed.size, packed.tobytes())


def bytes_field(data: bytes, kind: int = 7) -> Field:
    """Return a field of bytes; `kind` is its TIFF type, by default UNDEFINED."""
    return Field(kind, len(data), data)


@dataclass(frozen=True)
class Header:
    """Start of a TIFF structure.

    Attributes:
        order: byte order.
        big: whether offsets have 64 bits.
        first: offset of the main directory.
    """

    order: Order
    big: bool
    first: int

    def number(self, buffer: Buffer, at: int, size: int) -> int:
        """Return the integer of `size` bytes at an offset; a ValueError beyond the end."""
        raw = buffer[at : at + size]
        if len(raw) != size:
            raise ValueError("a directory lies outside the file")
        return int.from_bytes(raw, "little" if self.order == "<" else "big")


def read_header(buffer: Buffer) -> Header:
    """Read the start of a TIFF structure.

    Raises:
        ValueError: it is none.
    """
    start = bytes(buffer[:16])
    order: Order = ">" if start[:2] == b"MM" else "<"
    try:
        (version,) = struct.unpack_from(order + "H", start, 2)
        big = version == 43
        (first,) = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)
    except struct.error as error:
        raise ValueError("the header is cut off") from error
    if start[:2] not in (b"II", b"MM") or version not in (42, 43):
        raise ValueError("no TIFF header")
    return Header(order, big, first)


def _swap_bytes(data: bytes, kind: int, order: Order) -> bytes:
    size = _WORD[kind]
    if order == "<" or size == 1:
        return data
    return np.frombuffer(data, f"u{size}").byteswap().tobytes()


def read_directory(
    buffer: Buffer, at: int, header: Header, bounds: DirectoryBounds | None = None
) -> tuple[dict[int, Field], int]:
    """Read the directory at an offset; return its fields and the offset of the next one.

    Fields that lie outside the file, or over what was read before, are left out.
    """
    bounds = bounds or DirectoryBounds(len(buffer))
    wide, narrow = (8, 8) if header.big else (4, 2)
    entry = struct.Struct(header.order + ("HHQ8s" if header.big else "HHI4s"))
    count = header.number(buffer, at, narrow)
    start = at + narrow
    end = start + count * entry.size
    if end > len(buffer):
        raise ValueError("a directory lies outside the file")
    if not (bounds.fields.take(count) and bounds.tables.take(end - start)):
        raise ValueError("its directories have too many fields, or lie over one another")
    fields = {}
    for tag, kind, values, content in entry.iter_unpack(buffer[start:end]):
        size = values * _VALUE.get(kind, 0)
        if size <= wide:
            data = content[:size]
        else:
            source = int.from_bytes(content, "little" if header.order == "<" else "big")
            if source + size > len(buffer) or not bounds.values.take(size):
                continue
            data = buffer[source : source + size]
        if len(data) == size and size:
            fields[tag] = Field(kind, values, _swap_bytes(bytes(data), kind, header.order))
    # Truncated EXIF blocks lack the link to the next directory.
    return fields, header.number(buffer, end, wide) if end + wide <= len(buffer) else 0


def _read_branch(
    buffer: Buffer, parent: Fields, pointer: int, header: Header, bounds: DirectoryBounds
) -> dict[int, Field]:
    offsets = parent[pointer].integers() if pointer in parent else ()
    if not offsets:
        return {}
    try:
        return read_directory(buffer, offsets[0], header, bounds)[0]
    except ValueError:
        return {}


def _without(fields: Fields, *tags: int) -> dict[int, Field]:
    return {tag: value for tag, value in fields.items() if tag not in tags}


def parse(buffer: Buffer) -> Tree:
    """Read the directories of an EXIF block or of a TIFF file's first picture.

    Args:
        buffer: bytes of the block or file.

    Raises:
        ValueError: the structure is damaged.
    """
    header, bounds = read_header(buffer), DirectoryBounds(len(buffer))
    main, _ = read_directory(buffer, header.first, header, bounds)
    exif = _read_branch(buffer, main, EXIF_POINTER, header, bounds)
    gps = _read_branch(buffer, main, GPS_POINTER, header, bounds)
    interop = _read_branch(buffer, exif, INTEROP_POINTER, header, bounds)
    return Tree(
        _without(main, EXIF_POINTER, GPS_POINTER),
        _without(exif, INTEROP_POINTER),
        gps,
        interop,
        header.order,
    )


def directories(buffer: Buffer) -> list[dict[int, Field]]:
    """Read all directories of a TIFF file's main chain, one per page.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: the structure is damaged.
    """
    header, bounds = read_header(buffer), DirectoryBounds(len(buffer))
    found, seen, at = [], set(), header.first
    while at and at not in seen:
        seen.add(at)
        fields, at = read_directory(buffer, at, header, bounds)
        found.append(fields)
    return found


def is_big(buffer: Buffer) -> bool:
    """Return whether a TIFF file has 64-bit offsets."""
    return read_header(buffer).big


def descriptive_fields(fields: Fields) -> dict[int, Field]:
    """Select the fields of a main directory that describe the picture."""
    return {tag: value for tag, value in fields.items() if tag not in _STORAGE_TAGS}


def storage_fields(fields: Fields) -> dict[int, Field]:
    """Select the fields of a main directory that say how the pixels are stored."""
    return {tag: value for tag, value in fields.items() if tag in _STORAGE_TAGS}


def _serialise_directory(fields: Fields, base: int, order: Order, big: bool) -> bytes:
    """Serialise one directory, followed by its long values, for the offset `base`."""
    wide, counter = ("Q", "Q") if big else ("I", "H")
    room = 8 if big else 4
    # 64-bit values do not exist in a classic file.
    usable = {tag: item for tag, item in fields.items() if big or item.type < 16}
    table = bytearray(struct.pack(order + counter, len(usable)))
    values = bytearray()
    size = len(table) + len(usable) * (4 + 2 * room) + room
    for tag in sorted(usable):
        item = usable[tag]
        data = _swap_bytes(item.data, item.type, order)
        table += struct.pack(order + "HH" + wide, tag, item.type, item.count)
        if len(data) <= room:
            table += data.ljust(room, b"\0")
        else:
            table += struct.pack(order + wide, base + size + len(values))
            values += data + b"\0" * (len(data) % 2)
    return bytes(table + b"\0" * room + values)


def serialise(tree: Tree, base: int, order: Order, big: bool) -> bytes:
    """Serialise a tree's directories, the main one first.

    Args:
        tree: the directories.
        base: offset in the file at which the bytes will lie.
        order: byte order, "<" or ">".
        big: whether offsets have 64 bits.
    """

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
            _serialise_directory(fields, at[index], order, big) if fields or index == 0 else b""
            for index, fields in enumerate(parts)
        ]

    # Sizes do not depend on offsets: the first pass yields the sizes, the second the bytes.
    sizes = [len(part) for part in linked(dict.fromkeys(range(4), 0))]
    return b"".join(linked({index: base + sum(sizes[:index]) for index in range(4)}))


def exif_block(tree: Tree) -> bytes:
    """Serialise a tree as an EXIF block."""
    return tiff_header(8, tree.order, big=False) + serialise(tree, 8, tree.order, big=False)


def tiff_header(directory: int, order: Order, big: bool) -> bytes:
    """Return the header of a TIFF file.

    Args:
        directory: offset of the main directory.
        order: byte order, "<" or ">".
        big: whether offsets have 64 bits.
    """
    mark = b"II" if order == "<" else b"MM"
    if big:
        return struct.pack(order + "2sHHHQ", mark, 43, 8, 0, directory)
    return struct.pack(order + "2sHI", mark, 42, directory)


def append_to_tiff(path: str, tree: Tree) -> None:
    """Replace the metadata of a TIFF file, keeping its own storage fields.

    The new directory is appended. The old one stays as a few unused bytes.

    Args:
        path: of the file, which is changed in place.
        tree: the new metadata.

    Raises:
        OSError: the file cannot be written.
        ValueError: the file's structure is damaged, or the file is too large for 32-bit offsets.
    """
    with open(path, "r+b") as file:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            header = read_header(buffer)
            own, _ = read_directory(buffer, header.first, header)
            end = len(buffer) + len(buffer) % 2
        merged = replace(tree, main={**storage_fields(own), **tree.main})
        data = serialise(merged, end, header.order, header.big)
        if not header.big and end + len(data) > 0xFFFFFFFF:
            raise ValueError("the file outgrew 4 GB")
        file.seek(end)
        file.write(data)
        file.seek(8 if header.big else 4)
        file.write(struct.pack(header.order + ("Q" if header.big else "I"), end))


def orientation(exif: bytes) -> int:
    """Return the orientation in an EXIF block, 1 to 8; 1 where it has none."""
    try:
        values = parse(exif).main[ORIENTATION].integers()
    except (ValueError, KeyError):
        return 1
    return values[0] if values and 1 <= values[0] <= 8 else 1


def density(fields: Fields) -> tuple[float, float] | None:
    """Return the density in a main directory, across and down in pixels per inch; or None."""
    unit = (fields[_RESOLUTION_UNIT].integers() if _RESOLUTION_UNIT in fields else ()) or (2,)
    if _X_RESOLUTION not in fields or unit[0] not in (2, 3):
        return None
    scale = 1.0 if unit[0] == 2 else 2.54
    across = fields[_X_RESOLUTION].ratio() * scale
    down = fields[_Y_RESOLUTION].ratio() * scale if _Y_RESOLUTION in fields else across
    return (across, down) if across > 0 and down > 0 else None


def primaries(fields: Fields) -> tuple[tuple[float, float], ...] | None:
    """Return x and y of red, green, blue and white in a main directory; None without them."""
    pairs = []
    for tag, count in ((_PRIMARIES, 6), (_WHITE, 2)):
        found = fields.get(tag)
        if found is None or found.type != 5 or len(found.data) != 8 * count:
            return None
        numbers = np.frombuffer(found.data, "<u4").reshape(-1, 2, 2).astype(np.float64)
        if not numbers.all():
            return None
        pairs += [(float(x), float(y)) for x, y in numbers[..., 0] / numbers[..., 1]]
    return tuple(pairs)


def states_adobe_rgb(exif: bytes) -> bool:
    """Return whether an EXIF block names DCF's optional colour space, which is Adobe RGB."""
    try:
        index = parse(exif).interop.get(_INTEROP_INDEX)
    except ValueError:
        return False
    return index is not None and index.data[:3] == b"R03"


def aspect(fields: Fields) -> tuple[float, float] | None:
    """Return the pixels across and down on a length without a unit; None for square pixels."""
    unit = fields[_RESOLUTION_UNIT].integers() if _RESOLUTION_UNIT in fields else ()
    if unit[:1] != (1,) or _X_RESOLUTION not in fields or _Y_RESOLUTION not in fields:
        return None
    across, down = fields[_X_RESOLUTION].ratio(), fields[_Y_RESOLUTION].ratio()
    return (across, down) if across > 0 and down > 0 and across != down else None


def aspect_fields(pair: tuple[float, float]) -> dict[int, Field]:
    """Return the fields of a main directory for pixels that are not square; see `aspect`."""
    return density_fields(pair) | {_RESOLUTION_UNIT: short_field(1)}


def density_fields(pixels_per_inch: tuple[float, float]) -> dict[int, Field]:
    """Return the fields of a main directory for a density across and down."""

    def ratio(value: float) -> Field:
        exact = Fraction(value).limit_denominator(10_000)
        return Field(5, 1, struct.pack("<II", exact.numerator, exact.denominator))

    across, down = pixels_per_inch
    return {
        _X_RESOLUTION: ratio(across),
        _Y_RESOLUTION: ratio(down),
        _RESOLUTION_UNIT: short_field(2),
    }
