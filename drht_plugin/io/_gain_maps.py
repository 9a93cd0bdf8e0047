"""Read the gain map of a picture file, whatever its format and whoever wrote it."""

from __future__ import annotations

from typing import NamedTuple

from drht_plugin.io._formats import Format
from drht_plugin.io._rows import Shape
from drht_plugin.io.metadata import apple_gain_map, ultra_hdr
from drht_plugin.io.metadata.gain_map import GainMap
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import GAIN_MAP, Metadata

_HEIF = ("heic", "avif")


class Found(NamedTuple):
    """What a file has of gain maps.

    Attributes:
        gain_map: the one that counts; or why it cannot be used, in plain words; or None for none.
        dropped: others that should count, and cannot be used, in plain words.
    """

    gain_map: GainMap | str | None
    dropped: tuple[str, ...] = ()


def read(row: Format, stored: Metadata, buffer: Buffer, shape: Shape) -> Found:
    """Read the gain map of a file whose metadata name one.

    Args:
        row: the file's format.
        stored: its metadata, as they were read.
        buffer: its bytes.
        shape: H×W×C of the picture.
    """
    if row.name == "jpeg":
        named = ultra_hdr.is_claimed(stored)
        if not named and apple_gain_map.headroom(b"", stored.exif) is None:
            return Found(None)
        from drht_plugin.io import _ultra_hdr

        return Found(_ultra_hdr.read_gain_map(buffer, stored.exif))
    if GAIN_MAP not in stored.dropped:
        return Found(None)
    if row.name not in _HEIF:
        return Found(f"of {row.label}")
    from drht_plugin.io import _heif_maps

    return Found(*_heif_maps.read_gain_map(buffer, shape, stored.exif))
