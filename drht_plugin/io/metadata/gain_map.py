"""Gain maps: what their values mean, as ISO 21496-1 and the hdrgm XMP of older readers state it.

A gain map leads from a base picture for ordinary screens to a picture for HDR screens, in linear
light where base white is 1: HDR = (base + base_offset) · 2^(w·g) − hdr_offset. g is the gain in
stops, stored as ((g − least) / (most − least))^gamma. w is the share of it that a screen shows: 0
up to `least_headroom`, 1 from `most_headroom` on.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
ISO_NAME = b"urn:iso:std:iso:ts:21496:-1\0"
ISO_VERSION = struct.pack(">HH", 0, 0)
"""Least version that reads the block, and version of its writer."""

OFFSET = 1 / 64
"""Offset of both pictures where a file states none."""

MOST_PIXELS = 1 << 26
"""Pixels beyond which a map is not read."""

_MANY_CHANNELS, _BASE_COLOURS, _COMMON_DENOMINATOR = 0x80, 0x40, 0x08
_BASE_IS_HDR = 0x04
_MOST_STOPS = 32.0
"""Larger gains, in stops, are taken for damage."""
_DENOMINATOR = 1 << 20

Channels = tuple[float, ...]
Colours = bytes | int | None
"""A colour space: ICC profile, code point of primaries (ITU-T H.273), or None for the base's."""

FloatArray = npt.NDArray[np.float32]


class HdrBaseError(ValueError):
    """The base is the HDR picture, so that the map tells of no light that it lacks."""


def why_unusable(error: ValueError) -> str:
    """Return why the values of a gain map cannot be used, in plain words."""
    down = isinstance(error, HdrBaseError)
    return "leading from HDR down" if down else "without its values"


@dataclass(frozen=True)
class GainMapValues:
    """What the codes of a gain map mean; each field of three is of red, green and blue.

    Attributes:
        least: log2 of the gain at code 0.
        most: log2 of the gain at the largest code.
        gamma: exponent of the stored codes.
        base_offset: added to the base's light before it is multiplied.
        hdr_offset: taken from the product.
        least_headroom: log2 of the headroom up to which a screen shows the base.
        most_headroom: log2 of the headroom from which a screen shows all of the gain.
        in_base_colours: whether the gain applies to the base's primaries, and not to those of the
            HDR picture.
    """

    least: Channels = (0.0, 0.0, 0.0)
    most: Channels = (1.0, 1.0, 1.0)
    gamma: Channels = (1.0, 1.0, 1.0)
    base_offset: Channels = (OFFSET,) * 3
    hdr_offset: Channels = (OFFSET,) * 3
    least_headroom: float = 0.0
    most_headroom: float = 1.0
    in_base_colours: bool = True

    @classmethod
    def up_to(cls, stops: float) -> GainMapValues:
        """Return the values of a map of one channel from no gain to a gain in stops."""
        return cls(most=(stops,) * 3, most_headroom=stops)

    def __post_init__(self) -> None:
        numbers = [*self.least, *self.most, self.least_headroom, self.most_headroom]
        others = [*self.base_offset, *self.hdr_offset]
        if not all(math.isfinite(value) for value in [*numbers, *others, *self.gamma]):
            raise ValueError("a value of the gain map is no number")
        if max(map(abs, numbers)) > _MOST_STOPS or max(map(abs, others)) > 1:
            raise ValueError("a value of the gain map is out of range")
        if min(self.gamma) <= 0 or any(a > b for a, b in zip(self.least, self.most, strict=True)):
            raise ValueError("a value of the gain map is out of range")

    def is_neutral(self, channels: int) -> bool:
        """Return whether a map of so many channels brightens every colour alike."""
        return channels == 1 and _are_alike(self)

    def stops(self, share: FloatArray) -> FloatArray:
        """Return log2 of the gain of stored codes.

        Args:
            share: h×w×C float32, codes in 0..1, of one channel or three.

        Returns:
            h×w×C float32, or h×w×3 where the channels of a gray map mean different gains.
        """
        fields = (self.least, self.most, self.gamma)
        least, most, gamma = (np.array(field, np.float32) for field in fields)
        if (
            share.shape[-1] == 1
            and len({*zip(self.least, self.most, self.gamma, strict=True)}) == 1
        ):
            least, most, gamma = least[:1], most[:1], gamma[:1]
        if (gamma != 1).any():
            share = np.power(share, 1 / gamma)
        return (least + (most - least) * share).astype(np.float32)


@dataclass(frozen=True)
class GainMap:
    """A gain map as it is stored.

    Attributes:
        codes: h×w×1 or h×w×3, uint8 or uint16, of any size and in all of their range; it covers
            the picture as that is stored.
        values: what the codes mean.
        colours: in which the gain applies, where that is not the base's own.
    """

    codes: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
    values: GainMapValues
    colours: Colours = None


class MapMaker(Protocol):
    """Makes the gain map of a picture that is being written."""

    def take(self, top: int, rows: npt.NDArray[Any]) -> None:
        """Take rows of the base, R×W×C uint8, as they are stored but for their orientation.

        Args:
            top: row of the picture that they start at.
            rows: the codes.
        """
        ...

    def make(self) -> GainMap:
        """Return the map, when all rows have been taken."""
        ...


def to_iso(values: GainMapValues) -> bytes:
    """Return the block of ISO 21496-1 that the map's JPEG holds after `ISO_NAME`."""
    channels = 1 if _are_alike(values) else 3
    flags = _BASE_COLOURS if values.in_base_colours else 0
    flags |= _MANY_CHANNELS if channels == 3 else 0
    parts = [ISO_VERSION, bytes([flags])]
    parts += [_fraction(v, "II") for v in (values.least_headroom, values.most_headroom)]
    for c in range(channels):
        parts += [_fraction(values.least[c], "iI"), _fraction(values.most[c], "iI")]
        parts += [_fraction(values.gamma[c], "II")]
        parts += [_fraction(values.base_offset[c], "iI"), _fraction(values.hdr_offset[c], "iI")]
    return b"".join(parts)


def from_iso(block: bytes) -> GainMapValues:
    """Read the block of ISO 21496-1.

    Args:
        block: what follows `ISO_NAME`.

    Raises:
        ValueError: it is damaged, of a later version, or its base is the HDR picture; for which
            `HdrBaseError` is raised.
    """
    try:
        least_version, _, flags = struct.unpack_from(">HHB", block)
        if least_version > 0:
            raise ValueError(f"the gain map's block is of version {least_version}")
        if flags & _BASE_IS_HDR:
            raise HdrBaseError
        channels = 3 if flags & _MANY_CHANNELS else 1
        signs = [False, False] + channels * [True, True, False, True, True]
        numbers = _fractions(block, 5, signs, common=bool(flags & _COMMON_DENOMINATOR))
    except (struct.error, ZeroDivisionError) as error:
        raise ValueError("the gain map's block is damaged") from error
    if numbers[0] > numbers[1]:
        raise HdrBaseError
    rows = [numbers[2 + 5 * c : 7 + 5 * c] for c in range(channels)] * (3 // channels)
    least, most, gamma, base, hdr = (tuple(column) for column in zip(*rows, strict=True))
    in_base_colours = bool(flags & _BASE_COLOURS)
    return GainMapValues(
        least, most, gamma, base, hdr, numbers[0], numbers[1], in_base_colours=in_base_colours
    )


def _fractions(block: bytes, at: int, signs: list[bool], *, common: bool) -> list[float]:
    """Read fractions, each with its denominator, or all after a common one."""
    if common:
        (below,) = struct.unpack_from(">I", block, at)
        form = ">" + "".join("i" if signed else "I" for signed in signs)
        return [value / below for value in struct.unpack_from(form, block, at + 4)]
    numbers = []
    for signed in signs:
        above, below = struct.unpack_from(">iI" if signed else ">II", block, at)
        numbers.append(above / below)
        at += 8
    return numbers


def _fraction(value: float, form: str) -> bytes:
    return struct.pack(">" + form, round(value * _DENOMINATOR), _DENOMINATOR)


def _are_alike(values: GainMapValues) -> bool:
    fields = (values.least, values.most, values.gamma, values.base_offset, values.hdr_offset)
    return all(len(set(field)) == 1 for field in fields)


_XMP_FIELDS = ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR")


def to_xmp(values: GainMapValues) -> bytes:
    """Return the XMP packet of the map's JPEG, for readers that do not know ISO 21496-1."""
    fields = (values.least, values.most, values.gamma, values.base_offset, values.hdr_offset)
    simple = {"Version": "1.0", "BaseRenditionIsHDR": "False"}
    simple["HDRCapacityMin"] = f"{values.least_headroom:.6f}"
    simple["HDRCapacityMax"] = f"{values.most_headroom:.6f}"
    lists = ""
    for name, field in zip(_XMP_FIELDS, fields, strict=True):
        if len(set(field)) == 1:
            simple[name] = f"{field[0]:.6f}"
        else:
            items = "".join(f"<rdf:li>{value:.6f}</rdf:li>" for value in field)
            lists += f"<hdrgm:{name}><rdf:Seq>{items}</rdf:Seq></hdrgm:{name}>"
    attributes = "".join(f' hdrgm:{name}="{value}"' for name, value in simple.items())
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:hdrgm="{HDRGM}"{attributes}>{lists}'
        "</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


_NUMBER = r"\s*([-+0-9.eE]+)\s*"


def from_xmp(packet: bytes) -> GainMapValues:
    """Read the XMP packet of a map's JPEG.

    Args:
        packet: the packet.

    Raises:
        ValueError: it has no largest gain, which alone has no default, or a value that is none; or
            its base is the HDR picture.
    """
    text = packet.decode("utf-8", "replace")
    prefix = re.search(rf"xmlns:([\w.-]+)\s*=\s*[\"']{re.escape(HDRGM)}", text)
    if not prefix:
        raise ValueError("the gain map states no values")
    name = re.escape(prefix[1])
    if re.search(rf"{name}:BaseRenditionIsHDR\s*(?:=\s*[\"']|>)\s*[Tt]rue", text):
        raise HdrBaseError

    def found(key: str, default: float | None) -> Channels:
        one = re.search(rf"{name}:{key}\s*(?:=\s*[\"']|>){_NUMBER}[\"'<]", text)
        if one:
            return (float(one[1]),) * 3
        several = re.search(rf"<{name}:{key}\s*>(.*?)</{name}:{key}\s*>", text, re.DOTALL)
        items = re.findall(rf">{_NUMBER}</[\w.-]+:li", several[1]) if several else []
        if len(items) in (1, 3):
            return tuple(float(item) for item in items) * (3 // len(items))
        if default is None:
            raise ValueError("the gain map does not state its largest gain")
        return (default,) * 3

    most = found("GainMapMax", None)
    least, gamma = found("GainMapMin", 0.0), found("Gamma", 1.0)
    offsets = found("OffsetSDR", OFFSET), found("OffsetHDR", OFFSET)
    low, high = found("HDRCapacityMin", 0.0), found("HDRCapacityMax", max(most))
    return GainMapValues(least, most, gamma, *offsets, low[0], high[0])
