"""HEIC and AVIF files put together of pictures that encoders have made, with a tone-mapped item."""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pillow_heif
import pyvips
from PIL import Image

from drht_plugin.io.metadata.heif_items import items_of

Codes = npt.NDArray[Any]
Box = tuple[bytes, bytes]


def box(kind: bytes, data: bytes) -> bytes:
    """A box."""
    return struct.pack(">I4s", len(data) + 8, kind) + data


def full(kind: bytes, data: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags) + data)


@dataclass
class Item:
    """An item of a file, whose number is its place from 1 on.

    Attributes:
        kind: its type.
        data: its coded data.
        properties: type and content of its properties; those in capitals of `ESSENTIAL` are so.
        references: type of each reference, and the numbers that it names.
        in_meta: whether its data lie in the box `meta` itself.
    """

    kind: bytes
    data: bytes
    properties: list[Box] = field(default_factory=list)
    references: list[tuple[bytes, list[int]]] = field(default_factory=list)
    in_meta: bool = False


ESSENTIAL = (b"hvcC", b"av1C", b"irot", b"imir", b"clap")


def coded(codes: Codes, kind: str, *, bits: int = 8) -> Item:
    """Codes, h×w×1 or h×w×3, as an encoder stores them: "heic" or "avif", without loss of note."""
    channels = codes.shape[2]
    if kind == "heic":
        mode = "L" if channels == 1 else "RGB"
        stream = io.BytesIO()
        picture = Image.fromarray(codes[..., 0] if channels == 1 else codes, mode)
        pillow_heif.from_pillow(picture).save(stream, quality=-1, chroma=444)
        return taken(stream.getvalue())
    name = {1: "b-w", 3: "srgb"}[channels] if bits == 8 else {1: "grey16", 3: "rgb16"}[channels]
    image = pyvips.Image.new_from_array(codes).copy(interpretation=name)
    encoded = image.heifsave_buffer(
        compression="av1", Q=100, lossless=bits == 8, bitdepth=bits, subsample_mode="off"
    )
    return taken(encoded)


def taken(encoded: bytes) -> Item:
    """The primary picture of a file."""
    items = items_of(encoded)
    properties = [(each.kind, each.data) for each in items.properties(items.primary)]
    kept = [each for each in properties if each[0] != b"colr" or each[1].startswith(b"nclx")]
    return Item(items.kinds[items.primary], items.data(items.primary, len(encoded)), kept)


def mux(items: list[Item], primary: int = 1) -> bytes:
    """A file of items."""
    brand = b"avif" if any(each.kind == b"av01" for each in items) else b"heic"
    head = box(b"ftyp", brand + bytes(4) + b"mif1miaftmap" + brand)
    info = b"".join(
        full(b"infe", struct.pack(">HH", number, 0) + each.kind + b"\0", 2, int(number != primary))
        for number, each in enumerate(items, 1)
    )
    every = [each for item in items for each in item.properties]
    held, linked = b"".join(box(*each) for each in every), b""
    place = 0
    for number, item in enumerate(items, 1):
        linked += struct.pack(">HB", number, len(item.properties))
        for kind, _ in item.properties:
            place += 1
            linked += bytes([place | (0x80 if kind in ESSENTIAL else 0)])
    assert place < 0x80
    links = b"".join(
        box(kind, struct.pack(f">HH{len(to)}H", number, len(to), *to))
        for number, item in enumerate(items, 1)
        for kind, to in item.references
    )
    inner = b"".join(item.data for item in items if item.in_meta)
    parts = [
        full(b"hdlr", bytes(4) + b"pict" + bytes(13)),
        full(b"pitm", struct.pack(">H", primary)),
        full(b"iinf", struct.pack(">H", len(items)) + info),
        full(b"iref", links),
        box(b"iprp", box(b"ipco", held) + full(b"ipma", struct.pack(">I", len(items)) + linked)),
        box(b"idat", inner),
    ]
    size = len(full(b"meta", b"".join(parts) + located(items, 0)))
    meta = full(b"meta", b"".join(parts) + located(items, len(head) + size + 8))
    outer = b"".join(item.data for item in items if not item.in_meta)
    return head + meta + box(b"mdat", outer)


def located(items: list[Item], start: int) -> bytes:
    """The box of where each item's data lie."""
    made, inner = struct.pack(">BBH", 0x44, 0, len(items)), 0
    for number, item in enumerate(items, 1):
        place = inner if item.in_meta else start
        made += struct.pack(">HHHHII", number, int(item.in_meta), 0, 1, place, len(item.data))
        if item.in_meta:
            inner += len(item.data)
        else:
            start += len(item.data)
    return full(b"iloc", made, version=1)


def grid(rows: int, columns: int, height: int, width: int, tiles: list[int]) -> Item:
    """A picture of tiles."""
    data = bytes([0, 0, rows - 1, columns - 1]) + struct.pack(">HH", width, height)
    shape = (b"ispe", bytes(4) + struct.pack(">II", width, height))
    return Item(b"grid", data, [shape], [(b"dimg", tiles)], in_meta=True)


def values(
    least: tuple[float, ...],
    most: tuple[float, ...],
    *,
    gamma: float = 1.0,
    offset: float = 1 / 64,
    headrooms: tuple[float, float] | None = None,
    in_base_colours: bool = True,
) -> bytes:
    """The data of a tone-mapped item, of one channel or of three."""
    low, high = headrooms or (0.0, max(most))
    flags = (0x80 if len(most) == 3 else 0) | (0x40 if in_base_colours else 0)
    made = struct.pack(">BHHB", 0, 0, 0, flags) + ratio(low) + ratio(high)
    for a, b in zip(least, most, strict=True):
        made += ratio(a) + ratio(b) + ratio(gamma) + ratio(offset) * 2
    return made


def ratio(value: float) -> bytes:
    """A ratio of ten thousands."""
    return struct.pack(">iI", round(value * 64_000), 64_000)


def tone_mapped(base: Item, gain: Item, data: bytes, *, colours: bytes = b"") -> bytes:
    """A file of a base and a map: items 1 and 3."""
    shape = [each for each in base.properties if each[0] == b"ispe"]
    item = Item(b"tmap", data, shape, [(b"dimg", [1, 3])], in_meta=True)
    if colours:
        item.properties.append((b"colr", colours))
    return mux([base, item, gain])


def turned(item: Item, quarters: int, mirror: int | None = None) -> Item:
    """The item, which viewers turn by 90° counterclockwise so often, and mirror at an axis."""
    turns = [(b"irot", bytes([quarters]))] if quarters else []
    turns += [] if mirror is None else [(b"imir", bytes([mirror]))]
    return Item(item.kind, item.data, [*item.properties, *turns], item.references, item.in_meta)


def upright(values_: Codes, quarters: int, mirror: int | None = None) -> Codes:
    """What viewers show of values, H×W×C, whose item says so."""
    shown = np.rot90(values_, quarters)
    return shown if mirror is None else (shown[:, ::-1] if mirror else shown[::-1])
