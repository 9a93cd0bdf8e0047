"""Gain maps among the items of HEIC and AVIF files, and what they belong to.

ISO/IEC 23008-12 derives a picture for HDR screens, a tone-mapped item (`tmap`), from two others:
the base, which is the file's primary picture, and the map. The item's own data say what the map's
codes mean, and its colours are those of the derived picture. Older maps are auxiliary pictures:
Adobe's, which XMP describes, and Apple's.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass

from drht_plugin.io.metadata import gain_map, xmp
from drht_plugin.io.metadata.gain_map import Colours, GainMapValues
from drht_plugin.io.metadata.heif_extract import Standalone, standalone
from drht_plugin.io.metadata.heif_items import Items, Property

ADOBE_URN = "urn:com:photo:aux:hdrgainmap"
_KIND = b"tmap"
_MOST_VALUES, _MOST_XMP, _MOST_CODED = 1 << 12, 1 << 16, 64 << 20
_TURNS = (b"irot", b"imir")
_UNSPECIFIED = 2


@dataclass(frozen=True)
class ToneMap:
    """A gain map that belongs to a file's primary picture.

    Attributes:
        item: number of the map's item.
        values: what its codes mean.
        colours: in which the gain applies; None for the base's own.
    """

    item: int
    values: GainMapValues
    colours: Colours = None


def find(items: Items) -> ToneMap | None:
    """Return the first gain map by ISO 21496-1 of a file's primary picture, if it has one.

    Args:
        items: of the file.

    Raises:
        ValueError: its values are damaged, or cannot be used.
    """
    for number, kind in items.kinds.items():
        inputs = items.references(number, b"dimg")
        if kind == _KIND and len(inputs) == 2 and inputs[0] == items.primary:
            values = values_of(items.data(number, _MOST_VALUES))
            colours = None if values.in_base_colours else _colours(items.properties(number))
            return ToneMap(inputs[1], values, colours)
    return None


def is_for_others(items: Items) -> bool:
    """Return whether a file that `find` finds no map in has one of another picture, or of none."""
    return _KIND in items.kinds.values()


def values_of(data: bytes) -> GainMapValues:
    """Return what a map's codes mean.

    Args:
        data: of the item.

    Raises:
        ValueError: they are damaged, of a later version, or lead from HDR down.
    """
    if data[:1] != b"\0":
        raise ValueError("the gain map's item is of an unknown version")
    return gain_map.from_iso(data[1:])


def auxiliary(items: Items, urn: str) -> int | None:
    """Return the number of the auxiliary picture of a type that the primary one has, if any.

    Args:
        items: of the file.
        urn: the type's name.
    """
    for item in sorted(items.referring(b"auxl")):
        names = (each.data[4:] for each in items.properties(item) if each.kind == b"auxC")
        if items.primary in items.references(item, b"auxl") and any(
            name.split(b"\0")[0] == urn.encode() for name in names
        ):
            return item
    return None


def values_in_xmp(items: Items, item: int) -> GainMapValues:
    """Return what the codes of a map mean, by the XMP that describes it.

    Args:
        items: of the file.
        item: number of the map's item.

    Raises:
        ValueError: there is none, or it says so in no way that can be used.
    """
    for number, kind in items.kinds.items():
        if kind == b"mime" and item in items.references(number, b"cdsc"):
            return gain_map.from_xmp(xmp.as_utf8(items.data(number, _MOST_XMP)))
    raise ValueError("the gain map states no values")


def _colours(properties: tuple[Property, ...]) -> Colours:
    found = {each.data[:4]: each.data for each in properties if each.kind == b"colr"}
    for name in (b"prof", b"rICC"):
        if name in found:
            return found[name][4:]
    (primaries,) = struct.unpack_from(">H", found.get(b"nclx", b"").ljust(6, b"\0"), 4)
    return None if primaries in (0, _UNSPECIFIED) else primaries


def encoded(items: Items, item: int) -> Standalone:
    """Return a map as a file of its own that is turned as its base is.

    Args:
        items: of the file.
        item: number of the map's item.

    Raises:
        ValueError: it is damaged, or of an unknown kind.
    """
    own, base = items.properties(item), items.properties(items.primary)
    turned: tuple[Property, ...] = ()
    if not any(each.kind in _TURNS for each in own) and _lies_as_stored(own, base):
        turned = tuple(each for each in base if each.kind in _TURNS)
    return standalone(items, item, turned=turned, most=_MOST_CODED)


def _lies_as_stored(own: tuple[Property, ...], base: tuple[Property, ...]) -> bool:
    """Return whether a map without turns has the shape of a base before that is turned upright."""
    transposed = any(each.kind == b"irot" and each.data[0] & 1 for each in base if each.data)
    shapes = [_log_shape(each) for each in (own, base)]
    return transposed and abs(shapes[0] - shapes[1]) < abs(shapes[0] + shapes[1])


def _log_shape(properties: tuple[Property, ...]) -> float:
    """Return the log of a stored picture's width by its height; 0 where it states none."""
    width = height = 0.0
    for each in properties:
        if each.kind == b"ispe" and len(each.data) >= 12:
            width, height = struct.unpack_from(">II", each.data, 4)
        elif each.kind == b"clap" and len(each.data) >= 16:
            across, over, down, under = struct.unpack_from(">IIII", each.data)
            width, height = across / max(over, 1), down / max(under, 1)
    return math.log(width / height) if width and height else 0.0
