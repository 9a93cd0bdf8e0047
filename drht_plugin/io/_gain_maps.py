"""Read the gain map of a picture file, whatever its format and whoever wrote it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

from drht_plugin.io._formats import Format
from drht_plugin.io.metadata import apple_gain_map, ultra_hdr
from drht_plugin.io.metadata.gain_map import GainMap
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import GAIN_MAP, Carrier

_HEIF = ("heic", "avif")


class Found(NamedTuple):
    """What a file has of gain maps.

    Attributes:
        gain_map: the one that counts; or why it cannot be used, in plain words; or None for none.
        dropped: others that should count, and cannot be used, in plain words.
    """

    gain_map: GainMap | str | None
    dropped: tuple[str, ...] = ()


def read(row: Format, path: Path, carrier: Carrier, buffer: Buffer) -> Found:
    """Read the gain map of a file whose metadata, as they were read, name one.

    Args:
        row: the file's format.
        path: of the file.
        carrier: its metadata.
        buffer: its bytes.
    """
    stored = carrier.metadata
    if row.name == "jpeg":
        named = ultra_hdr.is_claimed(stored)
        if not named and apple_gain_map.headroom(b"", stored.exif) is None:
            return Found(None)
        from drht_plugin.io._ultra_hdr import read_gain_map

        return Found(read_gain_map(buffer, stored.exif))
    if GAIN_MAP not in stored.dropped:
        return Found(None)
    return _of_heif(path, carrier, buffer) if row.name in _HEIF else Found(f"of {row.label}")


def _of_heif(path: Path, carrier: Carrier, buffer: Buffer) -> Found:
    """Read the map by ISO 21496-1 or, where there is none that can be used, Apple's."""
    from drht_plugin.io import _libheif, _tone_map

    try:
        found = _tone_map.read_gain_map(buffer)
    except (ValueError, struct.error):
        found = "damaged"
    if isinstance(found, GainMap):
        return Found(found)
    apples = _libheif.read_gain_map(path, buffer, carrier.metadata.exif)
    if isinstance(apples, GainMap):
        return Found(apples, (f"gain map by ISO 21496-1 ({found})",) if found else ())
    return Found(found or apples or "of a kind that is not read")
