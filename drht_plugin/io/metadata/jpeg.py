"""Read and embed metadata in the segments of JPEG files, and estimate their quality."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from drht_plugin.colour.curves import ADOBE_GAMMA
from drht_plugin.colour.primaries import ADOBE_RGB
from drht_plugin.io.metadata import ifd, xmp
from drht_plugin.io.metadata.bounds import bounded
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata, whole_ratio

_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_LONG_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_ICC = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
APP0, APP1, APP2, _APP13, APP15, ADOBE = 0xE0, 0xE1, 0xE2, 0xED, 0xEF, 0xEE
COMMENT, _SCAN, _END = 0xFE, 0xDA, 0xD9
_JPEG_LS = 0xF7
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_PAYLOAD = 0xFFFF - 2
_LONG_HEAD = 32 + 4 + 4  # name, full length, offset
_SAMSUNG_END = b"SEFT"
_OTHERS = {
    b"MPF\0": "further pictures (MPF)",
    b"urn:iso:std:iso:ts:21496:-1\0": "gain map",
    b"JFXX\0": "JFIF thumbnail",
    b"JP": "content credentials or boxes (JUMBF)",
    b"Ducky": None,
    b"FPXR\0": "FlashPix data",
}
"""Application segments by their first bytes; None for what only says how pixels are coded."""
_BLOCK = 1 << 16  # fill bytes looked at together

# Luminance quantisation table of the standard (ITU-T T.81, Annex K), libjpeg's quality 50.
# fmt: off
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)
# fmt: on


@dataclass(frozen=True)
class JpegCoding:
    """How a JPEG file was compressed.

    Attributes:
        quality: lowest libjpeg quality, 1 to 100, whose quantisation steps are on average no
            coarser.
        halved: whether chroma is subsampled by two in both directions (4:2:0).
        progressive: whether it is stored in several scans.
        arithmetic: whether it is coded arithmetically, rather than by Huffman's codes.
        bits: of a sample.
        predicted: whether it is JPEG-LS, which codes pixels from those before.
    """

    quality: int = 95
    halved: bool = False
    progressive: bool = False
    arithmetic: bool = False
    bits: int = 8
    predicted: bool = False


def segments(buffer: Buffer) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield start and marker, end offset and payload of each segment before the first scan.

    Bytes between segments are skipped, as decoders do.

    Args:
        buffer: the file's bytes.
    """
    at = 2
    while at + 4 <= len(buffer):
        head = buffer[at : at + 4]
        marker = head[1]
        if head[0] != 0xFF or marker == 0:
            at = _next_mark(buffer, at + 1)
            continue
        if marker == 0xFF:
            at = _after_fill_bytes(buffer, at) - 1
            continue
        if marker in (_SCAN, _END):
            return
        end = at + 2 + int.from_bytes(head[2:], "big")
        yield at, marker, end, bytes(buffer[at + 4 : end])
        at = max(end, at + 2)


def _next_mark(buffer: Buffer, at: int) -> int:
    """Return the offset of the first 0xFF from `at` on."""
    while block := buffer[at : at + _BLOCK]:
        found = block.find(b"\xff")
        if found >= 0:
            return at + found
        at += len(block)
    return at


def _after_fill_bytes(buffer: Buffer, at: int) -> int:
    """Return the offset of the first byte from `at` on that is not 0xFF."""
    while block := buffer[at : at + _BLOCK]:
        rest = block.lstrip(b"\xff")
        if rest:
            return at + len(block) - len(rest)
        at += len(block)
    return at


def parse(buffer: Buffer) -> tuple[Metadata, JpegCoding]:
    """Read the metadata and the coding of a JPEG file.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: the file has absurdly many segments.
    """
    found: dict[str, bytes] = {}
    profile: list[bytes] = []
    extensions: list[bytes] = []
    dropped: dict[str, None] = {}
    density = aspect = None
    private = []
    coding: dict[str, int] = {}
    for _, marker, _, data in bounded(segments(buffer), len(buffer), "segments before its pixels"):
        if marker == APP0 and data[:5] == b"JFIF\0":
            density, aspect = _density(data)
            if data[12:14].strip(b"\0"):
                dropped["JFIF thumbnail"] = None
        elif marker == APP1 and data.startswith(_EXIF):
            found.setdefault("exif", data[len(_EXIF) :])
        elif marker == APP1 and data.startswith(_XMP):
            found.setdefault("xmp", data[len(_XMP) :])
        elif marker == APP2 and data.startswith(_ICC):
            profile.append(data[len(_ICC) :])
        elif marker == _APP13 and data.startswith(_PHOTOSHOP):
            found["photoshop"] = found.get("photoshop", b"") + data[len(_PHOTOSHOP) :]
        elif marker == APP1 and data.startswith(_LONG_XMP):
            extensions.append(data[len(_LONG_XMP) :])
        elif marker == COMMENT:
            private.append(segment(marker, data))
        elif marker == 0xDB:
            coding.update(_quality(data))
        elif marker in _FRAMES:
            coding["halved"] = len(data) > 7 and data[5] == 3 and data[7] == 0x22
            coding["progressive"] = marker in (0xC2, 0xCA)
            coding["arithmetic"] = marker > 0xC8
            coding["bits"] = data[0] if data else 8
        elif marker == _JPEG_LS:
            coding["predicted"] = True
        elif label := _other(marker, data):
            dropped[label] = None
    if buffer[max(len(buffer) - 4, 0) : len(buffer)] == _SAMSUNG_END:
        dropped["Samsung trailer"] = None
    icc = _joined(profile)
    adobe = icc is None and ifd.states_adobe_rgb(found.get("exif", b""))
    if profile and icc is None:
        dropped["a part of an ICC profile, whose other parts are missing"] = None
    extended = _assemble(extensions, xmp.extension_name(found.get("xmp", b"")))
    if extensions and extended is None:
        dropped["extended XMP (damaged)"] = None
    return (
        Metadata(
            icc=icc,
            exif=found.get("exif"),
            xmp=found.get("xmp"),
            photoshop=found.get("photoshop"),
            density=density,
            aspect=aspect,
            chromaticities=ADOBE_RGB if adobe else None,
            gamma=ADOBE_GAMMA if adobe else None,
            dropped=tuple(dropped),
            private=tuple(private),
            extended_xmp=extended,
        ),
        JpegCoding(
            coding.get("quality", JpegCoding.quality),
            bool(coding.get("halved")),
            bool(coding.get("progressive")),
            bool(coding.get("arithmetic")),
            coding.get("bits", JpegCoding.bits),
            bool(coding.get("predicted")),
        ),
    )


def _other(marker: int, data: bytes) -> str | None:
    """Return what an application segment holds that is not read; None if that is coding only."""
    if not APP0 <= marker <= APP15 or marker == ADOBE:
        return None
    for head, label in _OTHERS.items():
        if data.startswith(head):
            return label
    name = data.split(b"\0", 1)[0][:32].decode("ascii", "replace")
    return f"segment APP{marker - APP0}" + (f" ({name})" if name and name.isprintable() else "")


def _assemble(pieces: list[bytes], name: bytes | None) -> bytes | None:
    """Put extended XMP together from its segments; None if some is missing."""
    parts: dict[int, bytes] = {}
    full = 0
    for piece in pieces:
        if len(piece) >= _LONG_HEAD and piece[:32] == name:
            full, at = struct.unpack_from(">II", piece, 32)
            parts[at] = piece[_LONG_HEAD:]
    at = 0
    for start in sorted(parts):
        if start != at:
            return None
        at += len(parts[start])
    return b"".join(parts[at] for at in sorted(parts)) if parts and at == full else None


def _joined(pieces: list[bytes]) -> bytes | None:
    """Join the pieces of a profile, each with its number and their count before it.

    Returns:
        None unless each piece is there once.
    """
    numbered = {piece[0]: piece[2:] for piece in pieces if len(piece) > 2}
    counts = {piece[1] for piece in pieces if len(piece) > 2}
    whole = len(numbered) == len(pieces) and counts == {len(pieces)}
    if not whole or set(numbered) != set(range(1, len(pieces) + 1)):
        return None
    return b"".join(numbered[number] for number in sorted(numbered))


_Pair = tuple[float, float]


def _density(jfif: bytes) -> tuple[_Pair | None, _Pair | None]:
    """Return the density in pixels per inch, or else the ratio of a pixel that is not square."""
    unit, across, down = struct.unpack_from(">BHH", jfif.ljust(12, b"\0"), 7)
    scale = {1: 1.0, 2: 2.54}.get(unit)
    if not across or not down:
        return None, None
    if scale:
        return (across * scale, down * scale), None
    return None, (float(across), float(down)) if unit == 0 and across != down else None


def _quality(tables: bytes) -> dict[str, int]:
    """Estimate the quality from a segment of quantisation tables, if it has the luminance one."""
    at = 0
    while at < len(tables):
        wide, number = divmod(tables[at], 16)
        size = 128 if wide else 64
        steps = tables[at + 1 : at + 1 + size]
        if number == 0 and len(steps) == size:
            total = sum(struct.unpack(">64H", steps) if wide else steps)
            return {"quality": next((q for q in range(1, 101) if _steps(q) <= total), 100)}
        at += 1 + size
    return {}


def _steps(quality: int) -> int:
    """Return the sum of libjpeg's luminance quantisation steps at a quality."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return sum(min(max((entry * scale + 50) // 100, 1), 255) for entry in _LUMINANCE)


def segment(marker: int, data: bytes) -> bytes:
    """Return a segment with its marker and length."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _jfif(density: _Pair | None, aspect: _Pair | None) -> bytes:
    unit, (across, down) = 0, whole_ratio(aspect, 0xFFFF) if aspect else (1, 1)
    if density and not aspect:
        # JFIF stores whole numbers: take the unit that needs no rounding, inches if both do.
        inch = [round(value) for value in density]
        metric = abs(inch[0] - density[0]) > 0.01
        unit = 2 if metric else 1
        across, down = (round(value / 2.54) for value in density) if metric else inch
    return struct.pack(
        ">5sHBHHBB", b"JFIF\0", 0x101, unit, min(across, 0xFFFF), min(down, 0xFFFF), 0, 0
    )


def _blocks(metadata: Metadata) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield label, signature and data of the metadata that must fit one segment each."""
    for label, head, data in (("EXIF", _EXIF, metadata.exif), ("XMP", _XMP, metadata.xmp)):
        if data is not None:
            yield label, head, data


def require_room(metadata: Metadata) -> None:
    """Refuse metadata that is too large for JPEG.

    Raises:
        ValueError: EXIF or XMP does not fit one segment; the message says which.
    """
    for label, head, data in _blocks(metadata):
        if len(head) + len(data) > _PAYLOAD:
            raise ValueError(f"{label} of {len(data)} bytes is more than JPEG holds (64 KiB)")


def embed(encoded: bytes, metadata: Metadata, *, same_format: bool) -> list[bytes]:
    """Embed metadata in a JPEG file.

    Args:
        encoded: the file without metadata, or its first bytes up to the first scan.
        metadata: must have passed `require_room`.
        same_format: whether the source is a JPEG too, so that private segments are kept.

    Returns:
        The new bytes, in parts.
    """
    parts = [encoded[:2], segment(APP0, _jfif(metadata.density, metadata.aspect))]
    for _, head, data in _blocks(metadata):
        parts.append(segment(APP1, head + data))
    parts.extend(_extended(metadata))
    if same_format:
        parts.extend(metadata.private)
    room = _PAYLOAD - len(_PHOTOSHOP)
    for at in range(0, len(metadata.photoshop or b""), room):
        assert metadata.photoshop is not None
        parts.append(segment(_APP13, _PHOTOSHOP + metadata.photoshop[at : at + room]))
    parts.extend(_profile(metadata.icc or b""))
    rest = 2
    for _, marker, end, _ in segments(encoded):
        if marker == APP0:
            rest = end
    return [*parts, encoded[rest:]]


def _profile(icc: bytes) -> Iterator[bytes]:
    room = _PAYLOAD - len(_ICC) - 2
    pieces = [icc[at : at + room] for at in range(0, len(icc), room)]
    for number, piece in enumerate(pieces, 1):
        yield segment(APP2, _ICC + bytes((number, len(pieces))) + piece)


def _extended(metadata: Metadata) -> Iterator[bytes]:
    data, name = metadata.extended_xmp or b"", xmp.extension_name(metadata.xmp or b"")
    room = _PAYLOAD - len(_LONG_XMP) - _LONG_HEAD
    for at in range(0, len(data) if name else 0, room):
        head = _LONG_XMP + (name or b"") + struct.pack(">II", len(data), at)
        yield segment(APP1, head + data[at : at + room])
