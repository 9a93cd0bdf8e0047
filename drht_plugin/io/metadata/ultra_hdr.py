"""The container of Ultra HDR: a JPEG with a gain map behind it, and what points to that.

Readers find the map by MPF (CIPA DC-007), or by the directory in the base's XMP; and they look for
one at all where the base says so, by ISO 21496-1 or by hdrgm XMP. All four are written.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from xml.parsers import expat

from drht_plugin.io.metadata import gain_map, jpeg, xmp
from drht_plugin.io.metadata.gain_map import GainMapValues
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Carrier, Metadata

_XMP_NAME = b"http://ns.adobe.com/xap/1.0/\0"
_MPF_NAME = b"MPF\0"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_CONTAINER = "http://ns.google.com/photos/1.0/container/"

_NO_LENGTH = b'Item:Length="0"         '
"""Place for the map's length, which is known only when the base has been written."""

_EMPTY_PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF></x:xmpmeta>'
)
_PRIMARY, _NONE = 0x030000, 0
"""MPF's type of the base picture, and of one that it has no type for, as for gain maps."""

_HEADER = b"MM\0*\0\0\0\x08"


def _directory(rdf: str, about: str) -> bytes:
    """Return the description that names the base and the map, with no length yet."""
    return (
        f'<{rdf}:Description {rdf}:about="{about}" xmlns:hdrgm="{gain_map.HDRGM}" '
        f'xmlns:Container="{_CONTAINER}" xmlns:Item="{_CONTAINER}item/" hdrgm:Version="1.0">'
        f"<Container:Directory><{rdf}:Seq>"
        f'<{rdf}:li {rdf}:parseType="Resource">'
        '<Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/>'
        f'</{rdf}:li><{rdf}:li {rdf}:parseType="Resource">'
        f'<Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" {_NO_LENGTH.decode()}/>'
        f"</{rdf}:li></{rdf}:Seq></Container:Directory></{rdf}:Description>"
    ).encode()


def _with_directory(packet: bytes | None) -> bytes:
    """Return an XMP packet with the directory added; what was there stays byte for byte.

    Raises:
        ValueError: the packet has no RDF.
    """
    packet = _EMPTY_PACKET if packet is None else packet.rstrip(b"\0")
    found: dict[str, int | str] = {}
    parser = expat.ParserCreate("utf-8", " ")
    parser.namespace_prefixes = True

    def start(name: str, attributes: dict[str, str]) -> None:
        if name.startswith(f"{_RDF} Description"):
            about = next((v for k, v in attributes.items() if k.startswith(f"{_RDF} about")), "")
            found.setdefault("about", about)

    def end(name: str) -> None:
        parts = name.split(" ")
        if parts[:2] == [_RDF, "RDF"] and len(parts) == 3:
            found["end"], found["prefix"] = parser.CurrentByteIndex, parts[2]

    parser.StartElementHandler, parser.EndElementHandler = start, end
    try:
        parser.Parse(packet, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    at = found.get("end")
    if not isinstance(at, int) or packet[at : at + 2] != b"</":
        raise ValueError("it has no RDF that can be added to")
    about = str(found.get("about", "")).replace("&", "&amp;").replace('"', "&quot;")
    return packet[:at] + _directory(str(found["prefix"]), about) + packet[at:]


def reserve(carrier: Carrier) -> tuple[Carrier, tuple[str, ...]]:
    """Add to a base's metadata what points to a gain map, with places for its size.

    Args:
        carrier: of the picture's source.

    Returns:
        The carrier of the JPEG that `point_to_map` completes, and what of the source's metadata it
        cannot hold, in plain words.
    """
    metadata = carrier.metadata
    dropped: tuple[str, ...] = ()
    private = metadata.private if carrier.format == "jpeg" else ()
    pointers = (
        jpeg.segment(jpeg.APP2, gain_map.ISO_NAME + gain_map.ISO_VERSION),
        jpeg.segment(jpeg.APP2, _MPF_NAME + _index(0, 0, 0)),
    )
    try:
        packet = _with_directory(metadata.xmp)
        jpeg.require_room(replace(metadata, xmp=packet, exif=None))
    except ValueError:
        packet, dropped = _with_directory(None), ("XMP (no room for it beside the gain map's)",)
        metadata = replace(metadata, extended_xmp=None)
    metadata = replace(metadata, xmp=packet, private=(*private, *pointers))
    return replace(carrier, format="jpeg", metadata=metadata), dropped


def _index(base_bytes: int, map_bytes: int, map_offset: int) -> bytes:
    """Return MPF's index of two pictures: sizes, and the map's offset from the index itself."""
    entries = struct.pack(">IIIHH", _PRIMARY, base_bytes, 0, 0, 0)
    entries += struct.pack(">IIIHH", _NONE, map_bytes, map_offset, 0, 0)
    fields = [(0xB000, 7, 4, b"0100"), (0xB001, 4, 1, struct.pack(">I", 2))]
    fields.append((0xB002, 7, len(entries), struct.pack(">I", len(_HEADER) + 2 + 3 * 12 + 4)))
    directory = b"".join(struct.pack(">HHI4s", *field) for field in fields)
    return _HEADER + struct.pack(">H", len(fields)) + directory + bytes(4) + entries


def point_to_map(buffer: Buffer, map_bytes: int) -> Iterator[tuple[int, bytes]]:
    """Yield what to write into a base of `reserve`, to which the map is to be appended.

    Args:
        buffer: the base's file.
        map_bytes: size of the map's JPEG.

    Yields:
        Offsets and bytes.
    """
    for at, marker, _, data in jpeg.segments(buffer):
        start = at + 4
        if marker == jpeg.APP1 and data.startswith(_XMP_NAME) and _NO_LENGTH in data:
            length = f'Item:Length="{map_bytes}"'.encode().ljust(len(_NO_LENGTH))
            yield start + data.index(_NO_LENGTH), length
        elif marker == jpeg.APP2 and data.startswith(_MPF_NAME):
            index = start + len(_MPF_NAME)
            yield index, _index(len(buffer), map_bytes, len(buffer) - index)


def map_segments(values: GainMapValues) -> list[bytes]:
    """Return the segments by which a map's JPEG says what its codes mean."""
    return [
        jpeg.segment(jpeg.APP1, _XMP_NAME + gain_map.to_xmp(values)),
        jpeg.segment(jpeg.APP2, gain_map.ISO_NAME + gain_map.to_iso(values)),
    ]


_LENGTHS = re.compile(rb"""Item:Length\s*=\s*["'](\d+)""")
_MOST_PLACES, _MOST_SEGMENTS = 16, 160
_MOST_BYTES = 64 << 20
_JPEG = b"\xff\xd8"


def is_claimed(metadata: Metadata) -> bool:
    """Return whether a JPEG's metadata, as it was read, says that it has a gain map."""
    packet = metadata.xmp or b""
    return "gain map" in metadata.dropped or gain_map.HDRGM.encode() in packet


def find(buffer: Buffer) -> tuple[bytes, GainMapValues | str] | None:
    """Return the JPEG of a file's gain map, and what its codes mean.

    Args:
        buffer: the file's bytes.

    Returns:
        The JPEG, and the values or why there are none, in plain words; None where no picture lies
        where the file's metadata say.
    """
    unusable: tuple[bytes, str] | None = None
    for start, end in _places(buffer):
        if not 0 < start < end <= len(buffer) or end - start > _MOST_BYTES:
            continue
        if buffer[start : start + 2] == _JPEG:
            encoded = bytes(buffer[start:end])
            try:
                return encoded, values_of(encoded)
            except ValueError as error:
                unusable = unusable or (encoded, gain_map.why_unusable(error))
    return unusable


def _places(buffer: Buffer) -> Iterator[tuple[int, int]]:
    """Yield where pictures behind the first one may be, by MPF and by XMP's directory."""
    for at, marker, _, data in jpeg.segments(buffer):
        if marker == jpeg.APP2 and data.startswith(_MPF_NAME):
            yield from _indexed(data[len(_MPF_NAME) :], at + 4 + len(_MPF_NAME))
        elif marker == jpeg.APP1 and data.startswith(_XMP_NAME):
            end = len(buffer)
            for length in reversed(_LENGTHS.findall(data)[-_MOST_PLACES:]):
                size = int(length[:12])
                yield end - size, end
                end -= size


def _indexed(index: bytes, origin: int) -> Iterator[tuple[int, int]]:
    order = {b"MM": ">", b"II": "<"}.get(index[:2])
    if order is None:
        return
    try:
        (at,) = struct.unpack_from(order + "I", index, 4)
        (count,) = struct.unpack_from(order + "H", index, at)
        for field in range(min(count, _MOST_PLACES)):
            tag, _, size, entries = struct.unpack_from(order + "HHII", index, at + 2 + 12 * field)
            for place in range(min(size // 16, _MOST_PLACES) if tag == 0xB002 else 0):
                _, length, offset = struct.unpack_from(order + "III", index, entries + 16 * place)
                if offset:
                    yield origin + offset, origin + offset + length
    except struct.error:
        return


def values_of(encoded: bytes) -> GainMapValues:
    """Return what the codes of a map mean.

    Args:
        encoded: the map's JPEG.

    Raises:
        ValueError: it does not say so, or not in a way that can be used.
    """
    packet = None
    for number, (_, marker, _, data) in enumerate(jpeg.segments(encoded)):
        if number > _MOST_SEGMENTS:
            break
        if marker == jpeg.APP2 and data.startswith(gain_map.ISO_NAME):
            block = data[len(gain_map.ISO_NAME) :]
            if len(block) > len(gain_map.ISO_VERSION):
                return gain_map.from_iso(block)
        elif marker == jpeg.APP1 and data.startswith(_XMP_NAME):
            packet = data[len(_XMP_NAME) :]
    if packet is None:
        raise ValueError("the gain map states no values")
    return gain_map.from_xmp(xmp.as_utf8(packet))
