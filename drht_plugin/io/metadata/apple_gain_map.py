"""Gain maps of Apple's cameras: what they mean, by "Applying Apple HDR effect to your photos".

The map is an auxiliary picture of one channel, in the transfer curve of Rec. 709. In linear light,
HDR = base · (1 + (headroom − 1) · map). The headroom stands in the map's XMP, or follows from two
numbers of the camera's maker note.
"""

from __future__ import annotations

import math
import re
import struct

import numpy as np
import numpy.typing as npt

from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.exif_edit import APPLE, APPLE_DIRECTORY, APPLE_GAIN, MAKER_NOTE
from drht_plugin.io.metadata.gain_map import GainMap, GainMapValues

URN = "urn:com:apple:photo:2020:aux:hdrgainmap"

_IN_XMP = re.compile(rb"""HDRGainMapHeadroom\s*(?:=\s*["']|>)\s*([0-9]{1,6}(?:\.[0-9]{1,12})?)""")
_MOST_HEADROOM = 1 << 16
_SIGNED_RATIO = 10
_LINEAR_END = 0.081


def headroom(file: bytes, exif: bytes | None) -> float | None:
    """Return the log2 of the headroom that a file's map leads to; None where it tells none.

    Args:
        file: the file's bytes, in which XMP is stored as it is.
        exif: its EXIF block, from the TIFF header on.
    """
    stated = _IN_XMP.search(file)
    if stated:
        ratio = float(stated[1])
        return math.log2(ratio) if 1 <= ratio <= _MOST_HEADROOM else None
    numbers = _maker_numbers(exif) if exif else None
    return max(_stops(*numbers), 0.0) if numbers else None


def as_gain_map(codes: npt.NDArray[np.uint8], stops: float) -> GainMap:
    """Return a map in the terms of ISO 21496-1, to within half a code.

    Args:
        codes: h×w×1, as the file has them.
        stops: log2 of the headroom, more than 0.
    """
    coded = np.arange(256) / 255
    linear = np.where(coded < _LINEAR_END, coded / 4.5, ((coded + 0.099) / 1.099) ** (1 / 0.45))
    share = np.log2(1 + (2**stops - 1) * linear) / stops
    table = np.rint(share * 255).astype(np.uint8)
    values = GainMapValues(
        most=(stops,) * 3, base_offset=(0.0,) * 3, hdr_offset=(0.0,) * 3, most_headroom=stops
    )
    return GainMap(table[codes], values)


def _stops(headroom_tag: float, gain_tag: float) -> float:
    """Return the stops of a maker note's two numbers, by Apple's piecewise lines."""
    if headroom_tag < 1:
        return 1.8 - 20 * gain_tag if gain_tag <= 0.01 else 1.601 - 0.101 * gain_tag
    return 3.0 - 70 * gain_tag if gain_tag <= 0.01 else 2.303 - 0.303 * gain_tag


def _maker_numbers(exif: bytes) -> tuple[float, float] | None:
    """Return the two numbers of a maker note, headroom and gain; None where one is missing."""
    try:
        note = ifd.parse(exif).exif.get(MAKER_NOTE)
        if note is None or not note.data.startswith(APPLE):
            return None
        found = _ratios(note.data)
    except (ValueError, struct.error):
        return None
    first, second = (found.get(tag, math.nan) for tag in APPLE_GAIN)
    return (first, second) if math.isfinite(first) and math.isfinite(second) else None


def _ratios(note: bytes) -> dict[int, float]:
    """Return the signed ratios of an Apple maker note, by tag; offsets count from its start."""
    order = "<" if note[12:14] == b"II" else ">"
    (count,) = struct.unpack_from(order + "H", note, APPLE_DIRECTORY)
    found = {}
    for number in range(count):
        entry = struct.unpack_from(order + "HHII", note, APPLE_DIRECTORY + 2 + 12 * number)
        tag, kind, values, at = entry
        if kind == _SIGNED_RATIO and values == 1:
            top, bottom = struct.unpack_from(order + "ii", note, at)
            found[tag] = top / bottom if bottom else math.nan
    return found
