"""The items of an AVIF or HEIC file: their types, properties, references and data."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.ifd import Buffer

FULL_BOX = 4
"""Bytes of version and flags."""

_MOST_META = 1 << 24
_MOST_ITEMS = 1 << 16
_MOST_EXTENTS = 1 << 16
"""Parts that all items' data may be in together."""

_IN_FILE, _IN_META = 0, 1


@dataclass(frozen=True)
class Property:
    """A property of an item.

    Attributes:
        kind: type of its box, four bytes.
        data: content of its box.
        essential: whether a reader that does not know it must not show the item.
    """

    kind: bytes
    data: bytes
    essential: bool = False


@dataclass(frozen=True)
class Items:
    """The items of a file; all that is malformed reads as missing, but for `data`.

    Attributes:
        buffer: the file's bytes.
        meta: content of its box `meta`; empty for none.
    """

    buffer: Buffer
    meta: bytes

    @cached_property
    def _tables(self) -> dict[bytes, bytes]:
        return children(self.meta, FULL_BOX)

    @cached_property
    def primary(self) -> int:
        """Number of the primary item; 0 where none is named."""
        return primary_of(self.meta)

    @cached_property
    def kinds(self) -> dict[int, bytes]:
        """Each item's type, four bytes, by its number."""
        table = self._tables.get(b"iinf", b"")
        start = FULL_BOX + (4 if table[:1] != b"\0" else 2)
        found = {}
        for _, kind, first, last in boxes(table[start:]):
            entry = table[start + first : start + last]
            wide = 2 if entry[:1] == b"\2" else 4
            at = FULL_BOX + wide + 2
            if kind == b"infe" and len(entry) >= at + 4:
                number = int.from_bytes(entry[FULL_BOX : FULL_BOX + wide], "big")
                found[number] = entry[at : at + 4]
        return found

    @cached_property
    def all_properties(self) -> tuple[tuple[bytes, bytes], ...]:
        """Type and content of every property, whatever items have it."""
        held = children(self._tables.get(b"iprp", b"")).get(b"ipco", b"")
        return tuple((kind, held[first:last]) for _, kind, first, last in boxes(held))

    def properties(self, item: int) -> tuple[Property, ...]:
        """Return the properties of an item, in order."""
        known = self.all_properties
        links, size = self._links
        top = 1 << (8 * size - 1)
        numbers = ((value & (top - 1), bool(value & top)) for value in links.get(item, ()))
        return tuple(
            Property(*known[number - 1], essential)
            for number, essential in numbers
            if 0 < number <= len(known)
        )

    @cached_property
    def _links(self) -> tuple[dict[int, tuple[int, ...]], int]:
        """Each item's entries in the table of properties, and how many bytes an entry has."""
        linked = children(self._tables.get(b"iprp", b"")).get(b"ipma", b"")
        return dict(associations(linked)), _entry_size(linked)

    def references(self, item: int, kind: bytes) -> tuple[int, ...]:
        """Return the numbers of the items that an item refers to, in order."""
        data = self._references.get((kind, item), b"")
        wide, count = self._reference_size, int.from_bytes(data[:2], "big")
        ends = range(2, min(2 + count * wide, len(data) - wide + 1), wide)
        return tuple(int.from_bytes(data[at : at + wide], "big") for at in ends)

    def referring(self, kind: bytes) -> set[int]:
        """Return the numbers of the items that refer to others."""
        return {number for found, number in self._references if found == kind}

    @property
    def _reference_size(self) -> int:
        return 4 if self._tables.get(b"iref", b"")[:1] == b"\1" else 2

    @cached_property
    def _references(self) -> dict[tuple[bytes, int], bytes]:
        """How many items each item refers to by references of a type, and their numbers."""
        table, wide = self._tables.get(b"iref", b""), self._reference_size
        found = {}
        for _, kind, first, last in boxes(table[FULL_BOX:]):
            data = table[FULL_BOX + first : FULL_BOX + last]
            found[kind, int.from_bytes(data[:wide], "big")] = data[wide:]
        return found

    def data(self, item: int, most: int) -> bytes:
        """Return the data of an item.

        Args:
            item: its number.
            most: bytes that it may have.

        Raises:
            ValueError: it is missing, cut off, larger, or not in this file.
        """
        method, extents = self._located.get(item, (_IN_FILE, ()))
        held: Buffer = self.buffer if method == _IN_FILE else self._tables.get(b"idat", b"")
        size = sum(length for _, length in extents)
        if method not in (_IN_FILE, _IN_META) or not 0 < size <= most:
            raise ValueError(f"item {item} has no data, or too much")
        if any(start + length > len(held) for start, length in extents):
            raise ValueError(f"item {item} is cut off")
        return b"".join(bytes(held[start : start + length]) for start, length in extents)

    @cached_property
    def _located(self) -> dict[int, tuple[int, tuple[tuple[int, int], ...]]]:
        table = self._tables.get(b"iloc", b"")
        try:
            return dict(_locations(table))
        except struct.error:
            return {}


def items_of(buffer: Buffer) -> Items:
    """Return the items of a file.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: it has absurdly many boxes.
    """
    for _, kind, first, last in boxes(buffer):
        if kind == b"meta" and last - first <= _MOST_META:
            return Items(buffer, bytes(buffer[first:last]))
    return Items(buffer, b"")


def children(data: bytes, start: int = 0) -> dict[bytes, bytes]:
    """Return the content of the first box of each type."""
    found: dict[bytes, bytes] = {}
    for _, kind, first, last in boxes(data[start:]):
        found.setdefault(kind, data[start + first : start + last])
    return found


def primary_of(meta: bytes) -> int:
    """Return the number of the primary item of a box `meta`; 0 where none is named."""
    data = children(meta, FULL_BOX).get(b"pitm", b"")
    return int.from_bytes(data[4:8] if data[:1] == b"\1" else data[4:6], "big")


def associations(ipma: bytes) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield each item's number and its entries: numbers of properties, from 1.

    The highest bit of an entry, of one byte or two, says that the property is essential.
    """
    if len(ipma) < 8:
        return
    wide, size = (4 if ipma[0] else 2), _entry_size(ipma)
    (count,) = struct.unpack_from(">I", ipma, 4)
    at = 8
    for _ in range(min(count, _MOST_ITEMS)):
        if at + wide >= len(ipma):
            return
        item, listed = int.from_bytes(ipma[at : at + wide], "big"), ipma[at + wide]
        at += wide + 1
        held = min(listed, (len(ipma) - at) // size)
        yield item, struct.unpack_from(f">{held}{'BH'[size - 1]}", ipma, at)
        at += size * listed


def _entry_size(ipma: bytes) -> int:
    return 2 if ipma[3:4] and ipma[3] & 1 else 1


def _locations(iloc: bytes) -> Iterator[tuple[int, tuple[int, tuple[tuple[int, int], ...]]]]:
    """Yield each item's number, and how it is stored: method, and start and length of its parts."""
    version, sizes, more = struct.unpack_from(">B3xBB", iloc)
    offset, length, base, index = sizes >> 4, sizes & 15, more >> 4, more & 15
    if version > 2 or any(size not in (0, 4, 8) for size in (offset, length, base)):
        return
    index = index if version else 0
    wide = 4 if version == 2 else 2
    at, left = FULL_BOX + 2, _MOST_EXTENTS

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(iloc):
            raise struct.error("it is cut off")
        at += size
        return int.from_bytes(iloc[at - size : at], "big")

    for _ in range(min(number(wide), _MOST_ITEMS)):
        item = number(wide)
        method = number(2) & 15 if version else _IN_FILE
        elsewhere = number(2)
        start, extents = number(base), []
        count = number(2)
        left -= count
        if left < 0:
            return
        for _ in range(count):
            number(index)
            place = start + number(offset)
            extents.append((place, number(length)))
        yield item, (-1 if elsewhere else method, tuple(extents))
