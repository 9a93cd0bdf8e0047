"""Read the header and the metadata of Photoshop files (PSD and PSB)."""

import struct
from dataclasses import dataclass

from drht_plugin.io._errors import CodecError, UnsupportedError
from drht_plugin.io.metadata import exif_edit, photoshop, xmp
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata

_HEADER = 26
_MODES = {0: "bitmap", 1: "gray", 2: "indexed", 3: "RGB", 4: "CMYK", 7: "multichannel"}
_MODES |= {8: "duotone", 9: "Lab"}
_COLOURS = {"gray": 1, "duotone": 1, "indexed": 1, "RGB": 3, "CMYK": 4}
_MOST_RESOURCES = 1 << 26
_DENSITY, _ICC, _EXIF, _XMP = 0x03ED, 0x040F, 0x0422, 0x0424
_VERSION = 0x0421
_PALETTE_BYTES = 768
_DEEP_LAYERS = (b"Lr16", b"Lr32")
_LONG_BLOCKS = frozenset(
    b"Lr16 Lr32 Layr LMsk Mt16 Mt32 Mtrn Alph FMsk lnk2 FEid FXid PxSD".split()
)
"""Blocks whose size takes 8 bytes in PSB."""

_MOST_BLOCKS = 1000


@dataclass(frozen=True)
class PsdContents:
    """What a Photoshop file holds.

    Attributes:
        height: in pixels.
        width: in pixels.
        channels: stored channels; those after the colours may be alpha.
        depth: bits of a sample: 8 or 16.
        colours: channels of colour: 1 for gray and palettes, 3 for RGB, 4 for CMYK.
        palette: 768 bytes, all reds first; None without a palette.
        transparent: whether the first channel after the colours is the composite's alpha, and its
            colours lie on white.
        pixels: where the composite starts, with its compression (bytes).
        wide: whether row sizes take 4 bytes rather than 2 (PSB).
        metadata: what other formats can hold too.
    """

    height: int
    width: int
    channels: int
    depth: int
    colours: int
    palette: bytes | None
    transparent: bool
    pixels: int
    wide: bool
    metadata: Metadata


def parse(buffer: Buffer) -> PsdContents:
    """Read all but the pixels of a Photoshop file.

    Args:
        buffer: the file's bytes.

    Raises:
        CodecError: the structure is damaged.
        UnsupportedError: the pixels are of an unsupported kind.
    """
    version, channels, height, width, depth, mode = struct.unpack(">4xH6xHIIHH", buffer[:_HEADER])
    if version not in (1, 2) or not height or not width or not channels:
        raise CodecError("its header is not one of Photoshop's")
    kind = _MODES.get(mode, f"mode {mode}")
    if kind not in _COLOURS:
        raise UnsupportedError(f"is a {kind} picture; only gray, RGB and CMYK are read")
    if depth not in (8, 16):
        raise UnsupportedError(f"has {depth}-bit samples; only 8 and 16 bits are read")
    if channels < _COLOURS[kind]:
        raise CodecError(f"it has {channels} channels, too few for {kind}")
    at, size = _section(buffer, _HEADER, 4)
    palette = None
    if kind == "indexed":
        palette = bytes(buffer[at : at + _PALETTE_BYTES])
        if len(palette) < _PALETTE_BYTES:
            raise CodecError("its palette is cut")
    at, size = _section(buffer, at + size, 4)
    resources = bytes(buffer[at : at + min(size, _MOST_RESOURCES)])
    at, size = _section(buffer, at + size, 8 if version == 2 else 4)
    transparent, layered = _layers(buffer, at, size, 8 if version == 2 else 4)
    version_info = photoshop.find(resources, (_VERSION,)).get(_VERSION, b"")
    if layered and version_info[4:5] == b"\0":
        raise UnsupportedError(
            "has layers but no picture of them; Photoshop saves it to maximize compatibility"
        )
    transparent = transparent and channels > _COLOURS[kind]
    dropped = ["Photoshop layers"] if layered else []
    read = _COLOURS[kind] + int(transparent)
    if channels > read:
        dropped.append(f"{channels - read} extra channels")
    metadata = _metadata(resources, tuple(dropped))
    return PsdContents(
        height,
        width,
        channels,
        depth,
        _COLOURS[kind],
        palette,
        transparent,
        at + size,
        version == 2,
        metadata,
    )


def _section(buffer: Buffer, at: int, width: int) -> tuple[int, int]:
    """Return where a section's content starts, and its size."""
    size = int.from_bytes(buffer[at : at + width], "big")
    if at + width + size > len(buffer):
        raise CodecError("a section goes beyond its end")
    return at + width, size


def _layers(buffer: Buffer, at: int, size: int, width: int) -> tuple[bool, bool]:
    """Return whether the composite is transparent, and whether there are layers."""
    if size < width:
        return False, False
    length = int.from_bytes(buffer[at : at + width], "big")
    if length >= 2:
        (count,) = struct.unpack(">h", buffer[at + width : at + width + 2])
    else:
        count = _deep_layers(buffer, at + width + length, at + size, wide=width == 8)
    return count < 0, count != 0


def _deep_layers(buffer: Buffer, at: int, end: int, *, wide: bool) -> int:
    """Return the number of layers that a block of its own holds, as in files of 16 bits."""
    at += 4 + int.from_bytes(buffer[at : at + 4], "big")  # the global mask
    for _ in range(_MOST_BLOCKS):
        if at + 12 > end or bytes(buffer[at : at + 4]) not in (b"8BIM", b"8B64"):
            break
        key = bytes(buffer[at + 4 : at + 8])
        width = 8 if wide and key in _LONG_BLOCKS else 4
        start = at + 8 + width
        length = int.from_bytes(buffer[at + 8 : start], "big")
        if key in _DEEP_LAYERS and length >= 2:
            return int(struct.unpack(">h", buffer[start : start + 2])[0])
        at = start + (length + 3) // 4 * 4
    return 0


def _metadata(resources: bytes, dropped: tuple[str, ...]) -> Metadata:
    found = photoshop.find(resources, (_DENSITY, _ICC, _EXIF, _XMP))
    density = None
    if len(found.get(_DENSITY, b"")) >= 12:
        across, down = (struct.unpack_from(">I", found[_DENSITY], at)[0] / 65536 for at in (0, 8))
        density = (across, down) if across > 0 and down > 0 else None
    exif = found.get(_EXIF, b"").removeprefix(b"Exif\0\0") or None
    if exif:
        try:
            exif = exif_edit.reset_orientation(exif)
        except ValueError:
            exif, dropped = None, (*dropped, "EXIF (damaged)")
    packet = xmp.reset_orientation(found.get(_XMP, b"")) or None
    kept = photoshop.without(resources, (_ICC, _EXIF, _XMP))
    return Metadata(found.get(_ICC), exif, packet, kept or None, density, dropped=dropped)
