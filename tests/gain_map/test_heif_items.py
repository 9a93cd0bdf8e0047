"""Items of HEIC and AVIF files: read within bounds, and copied into files of their own."""

from __future__ import annotations

import struct

import heif_muxer as made
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drht_plugin.io.metadata import gain_map, heif, heif_extract, tone_map
from drht_plugin.io.metadata.boxes import boxes
from drht_plugin.io.metadata.heif_items import Items, items_of

VALUES = made.values((0.0,) * 3, (3.0, 2.8, 2.6))


@given(st.binary(max_size=300))
def test_any_data_is_values_or_refused(data: bytes) -> None:
    """No data of a tone-mapped item raise anything but ValueError."""
    for each in (data, b"\0" + data, b"\0" + gain_map.ISO_VERSION + data):
        try:
            tone_map.values_of(each)
        except ValueError:
            continue


TABLES = (b"iinf", b"iref", b"iprp", b"ipco", b"ipma", b"iloc", b"idat", b"pitm", b"infe", b"dimg")
PLAIN = made.tone_mapped(
    made.Item(b"av01", b"base", [(b"ispe", bytes(12)), (b"irot", b"\1")]),
    made.Item(b"av01", b"gain", [(b"ispe", bytes(12)), (b"av1C", b"\x81\x20\2\0")]),
    VALUES,
)


@given(
    table=st.sampled_from(TABLES),
    at=st.integers(0, 60),
    new=st.binary(min_size=1, max_size=8),
    cut=st.integers(0, 40),
)
def test_any_tables_are_read_or_refused(table: bytes, at: int, new: bytes, cut: int) -> None:
    """No change of a file's tables raises anything but ValueError and struct.error."""
    place = PLAIN.index(table) + 4 + at
    data = PLAIN[:place] + new + PLAIN[place + len(new) : len(PLAIN) - cut]
    for read in (heif.read_properties, lambda each: read_all(items_of(each))):
        try:
            read(data)
        except (ValueError, struct.error):
            continue


def read_all(items: Items) -> None:
    """Read a file's map, and each of its items, as far as decoders."""
    found = tone_map.find(items)
    if found:
        tone_map.encoded(items, found.item)
    for item in items.kinds:
        heif_extract.standalone(items, item, most=1 << 20)


def test_copy_of_an_item_is_its_own_file() -> None:
    """The file of one picture has its coded data and properties, and no other's."""
    copied = tone_map.encoded(items_of(PLAIN), 3)
    again = items_of(copied.file)
    assert copied.kind == "avif"
    assert again.kinds == {1: b"av01"}
    assert again.data(1, 100) == b"gain"
    kinds = [each.kind for each in again.properties(again.primary)]
    assert kinds == [b"ispe", b"av1C"]
    assert [kind for _, kind, _, _ in boxes(copied.file)] == [b"ftyp", b"meta", b"mdat"]
    with pytest.raises(ValueError, match="too much"):
        heif_extract.standalone(items_of(PLAIN), 3, most=3)


def test_many_empty_parts_are_not_listed() -> None:
    """A table of locations whose parts take no bytes is not followed for ever."""
    entry = struct.pack(">HHH", 3, 0, 0xFFFF)
    table = made.full(b"iloc", struct.pack(">BBH", 0, 0, 0xFFFF) + entry * 0xFFFF)
    items = Items(b"", bytes(4) + table)
    with pytest.raises(ValueError, match="no data"):
        items.data(3, 1 << 20)
