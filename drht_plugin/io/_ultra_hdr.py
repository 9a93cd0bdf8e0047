"""Write gain maps behind JPEG files, and read them from there: Ultra HDR.

The base is encoded by rows like any JPEG. Places for what is known only at the end are left in its
head, and filled in when the map has been appended.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyvips

from drht_plugin.forks import require_own_process
from drht_plugin.io._bytes import FileBytes
from drht_plugin.io._errors import CodecError
from drht_plugin.io._pixels import Pixels, turn_upright
from drht_plugin.io._plausible import require_jpeg_bytes
from drht_plugin.io._rows import Writer
from drht_plugin.io.metadata import apple_gain_map, ultra_hdr
from drht_plugin.io.metadata.gain_map import MOST_PIXELS, GainMap, MapMaker
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.libvips.said import said

_QUALITY = 95
_HEAD = 1 << 16
"""Bytes of a map's JPEG in which its XMP lies."""


class UltraHdrWriter:
    """Writer of a JPEG with a gain map; see `_rows.Writer`.

    Args:
        path: of the new file.
        base: writes the base, whose metadata `metadata.ultra_hdr.reserve` has prepared.
        maker: makes the map.
        turn: orientation of the rows, where the base is turned upright when it is written.
    """

    def __init__(self, path: Path, base: Writer, maker: MapMaker, turn: int = 1) -> None:
        self._path, self._base, self._maker, self._turn = path, base, maker, turn
        self._row = 0

    def write(self, rows: Pixels) -> None:
        """Write the next rows of the base."""
        self._base.write(rows)
        self._maker.take(self._row, rows)
        self._row += len(rows)

    def finish(self) -> None:
        """Complete the base, and append the map.

        Raises:
            CodecError: libvips cannot encode the base or the map.
            OSError: the file cannot be written.
        """
        self._base.finish()
        made = self._maker.make()
        codes = np.ascontiguousarray(turn_upright(made.codes, self._turn))
        encoded = _encode(replace(made, codes=codes))
        with FileBytes(self._path) as buffer:
            pieces = list(ultra_hdr.point_to_map(buffer, len(encoded)))
        with open(self._path, "r+b") as file:
            for at, data in pieces:
                file.seek(at)
                file.write(data)
            file.seek(0, 2)
            file.write(encoded)

    def close(self) -> None:
        """Close an unfinished file."""
        self._base.close()


def _encode(gain_map: GainMap) -> bytes:
    codes = gain_map.codes
    image = pyvips.Image.new_from_array(codes)
    image = image.copy(interpretation="b-w" if codes.shape[2] == 1 else "srgb")
    try:
        encoded = image.jpegsave_buffer(
            Q=_QUALITY, keep="none", optimize_coding=True, subsample_mode="off"
        )
    except pyvips.Error as error:
        raise CodecError(said(error)) from error
    parts = [encoded[:2], *ultra_hdr.map_segments(gain_map.values), encoded[2:]]
    return b"".join(parts)


def read_gain_map(buffer: Buffer, exif: bytes | None = None) -> GainMap | str | None:
    """Read the gain map of a JPEG file.

    Args:
        buffer: the file's bytes.
        exif: its EXIF block, which says how far a map of Apple's cameras leads.

    Returns:
        The map; or why it cannot be used, in plain words; or None where there is none.
    """
    require_own_process("libvips")
    found = ultra_hdr.find(buffer)
    if found is None:
        return None
    encoded, values = found
    stops = apple_gain_map.headroom(encoded[:_HEAD], exif) if _is_apples(encoded) else None
    if isinstance(values, str) and not stops:
        return values
    try:
        image = pyvips.Image.jpegload_buffer(encoded, fail_on="warning")
        height, width, bands = shape = image.height, image.width, image.bands
        if image.format != "uchar" or bands not in (1, 3) or width * height > MOST_PIXELS:
            return "of an unknown kind"
        require_jpeg_bytes(shape, len(encoded), arithmetic=False)
        codes = np.frombuffer(image.write_to_memory(), np.uint8).reshape(shape)
    except (pyvips.Error, CodecError):
        return "damaged"
    if not isinstance(values, str):
        return GainMap(codes, values, None if values.in_base_colours else _profile(image))
    return apple_gain_map.as_gain_map(codes[..., :1], stops) if stops else None


def _profile(image: pyvips.Image) -> bytes | None:
    key = "icc-profile-data"
    return bytes(image.get(key)) if image.get_typeof(key) else None


def _is_apples(encoded: bytes) -> bool:
    return apple_gain_map.URN.encode() in encoded[:_HEAD]
