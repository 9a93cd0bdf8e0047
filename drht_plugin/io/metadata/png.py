"""Read and embed metadata in the chunks of PNG files."""

import struct
import zlib
from collections.abc import Iterator

from drht_plugin.io.metadata import exif_edit, photoshop, xmp
from drht_plugin.io.metadata.bounds import bounded, inflate
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Chromaticities, Metadata, whole_ratio

_XMP = b"XML:com.adobe.xmp\0"
_INCH = 0.0254
# Values of gAMA: what files in sRGB state for software that knows no better, and what is possible.
_SRGB_GAMMA, _TOLERANCE, _LEAST_GAMMA, _MOST_GAMMA = 45455, 500, 10_000, 1_000_000
_MOST_PIXELS = (1 << 31) - 1
_LABELS = {b"iCCP": "ICC profile", b"eXIf": "EXIF", b"pHYs": "density"}
_RAW_PROFILE = b"Raw profile type "
_TEXTS = (b"iTXt", b"zTXt", b"tEXt")  # libvips writes XMP as zTXt
# Chunks that are valid for any colour type.
_KEPT = {*_TEXTS, b"tIME", b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI"}


def _chunks(buffer: Buffer) -> Iterator[tuple[bytes, bytes, bool]]:
    """Yield type and data of each chunk, and whether it is sound; data is empty for pixels."""
    at = 8
    while at + 8 <= len(buffer):
        size, kind = struct.unpack(">I4s", buffer[at : at + 8])
        if kind == b"IDAT":  # whose sum the decoder checks
            yield kind, b"", True
        else:
            data, end = bytes(buffer[at + 8 : at + 8 + size]), at + 8 + size
            stored = buffer[end : end + 4]
            yield kind, data, stored == struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
        at += 12 + size


def parse(buffer: Buffer) -> tuple[Metadata, bool]:
    """Read the metadata of a PNG file, and whether it is animated.

    Args:
        buffer: the file's bytes.

    Raises:
        ValueError: the file has absurdly many chunks.
    """
    icc = exif = packet = density = cicp = aspect = None
    stated: dict[bytes, bytes] = {}
    private = []
    animated = False
    dropped: dict[str, None] = {}
    for kind, data, sound in bounded(_chunks(buffer), len(buffer), "chunks"):
        if kind == b"acTL":
            animated = True
        elif not sound and kind in _LABELS.keys() | _KEPT:
            dropped[_LABELS.get(kind, f"PNG chunk {kind.decode()}") + " (damaged)"] = None
        elif kind == b"iCCP":
            try:
                icc = inflate(data[data.index(b"\0") + 2 :])
            except ValueError:
                icc, dropped["ICC profile (damaged)"] = None, None
        elif kind == b"eXIf":
            exif = data.removeprefix(b"Exif\0\0")
        elif kind in _TEXTS and data.startswith(_XMP):
            packet = _text(kind, data[len(_XMP) :])
        elif kind == b"pHYs" and len(data) == 9:
            across, down, unit = struct.unpack(">IIB", data)
            if across and down and unit == 1:
                density = (across * _INCH, down * _INCH)
            elif across and down and across != down:
                aspect = (float(across), float(down))
        elif kind == b"caBX":
            dropped["content credentials or boxes (JUMBF)"] = None
        elif kind in _TEXTS and (labels := _claims(kind, data)):
            dropped.update(dict.fromkeys(labels))
        elif kind in _KEPT:
            if kind == b"cICP" and len(data) == 4:
                cicp = (data[0], data[1])
            stated.setdefault(kind, data)
            private.append(_chunk(kind, data))
    named = icc is not None or cicp is not None or b"sRGB" in stated
    return (
        Metadata(
            icc,
            exif,
            packet,
            None,
            density,
            cicp,
            aspect=aspect,
            chromaticities=None if named else _chromaticities(stated.get(b"cHRM", b"")),
            gamma=None if named else _gamma(stated.get(b"gAMA", b"")),
            dropped=tuple(dropped),
            private=tuple(private),
        ),
        animated,
    )


def _chromaticities(data: bytes) -> Chromaticities | None:
    """Return the primaries and white of a cHRM chunk, which starts with white."""
    if len(data) != 32:
        return None
    values = [value / 100_000 for value in struct.unpack(">8I", data)]
    white, *colours = zip(values[::2], values[1::2], strict=True)
    return (*colours, white) if min(y for _, y in (*colours, white)) > 0 else None


def _gamma(data: bytes) -> float | None:
    """Return the exponent from codes to light of a gAMA chunk; None for sRGB's curve."""
    if len(data) != 4:
        return None
    (stored,) = struct.unpack(">I", data)
    plausible = _LEAST_GAMMA <= stored <= _MOST_GAMMA and abs(stored - _SRGB_GAMMA) > _TOLERANCE
    return 100_000 / stored if plausible else None


def _text(kind: bytes, data: bytes) -> bytes | None:
    """Return the text of a text chunk of any type, given its data after the keyword."""
    if kind == b"iTXt":
        packed, text = data[:1] == b"\1", data[2:].split(b"\0", 2)[-1]
    else:
        packed, text = kind == b"zTXt", data[kind == b"zTXt" :]
    try:
        return inflate(text) if packed else text
    except ValueError:
        return None


def _claims(kind: bytes, data: bytes) -> tuple[str, ...]:
    """Name what shows or claims the old picture in a profile that ImageMagick stores as text."""
    keyword, _, rest = data.partition(b"\0")
    if not keyword.startswith(_RAW_PROFILE):
        return ()
    try:
        lines = (_text(kind, rest) or b"").split(b"\n")[3:]  # the first ones: name and length
        profile = bytes.fromhex(b"".join(lines).decode("ascii"))
        if profile.startswith(b"8BIM"):
            return photoshop.without_claims(profile)[1]
        if profile.startswith(b"Exif\0\0"):
            return exif_edit.without_claims(profile[6:])[1]
        return xmp.without_claims(profile)[1] if keyword.endswith(b"xmp") else ()
    except ValueError:
        return (f"{keyword.decode('latin-1')} (damaged)",)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def embed(encoded: bytes, metadata: Metadata, *, same_format: bool) -> list[bytes]:
    """Embed metadata in a PNG file.

    Args:
        encoded: the file without metadata, or its first bytes up to the first pixels.
        metadata: to embed.
        same_format: whether the source is a PNG too, so that private chunks are kept.

    Returns:
        The new bytes, in parts.
    """
    parts = [encoded[:33]]  # signature and header
    if metadata.icc:
        parts.append(_chunk(b"iCCP", b"icc\0\0" + zlib.compress(metadata.icc)))
    if same_format:
        parts.extend(metadata.private)
    elif metadata.cicp:
        parts.append(_chunk(b"cICP", bytes((*metadata.cicp, 0, 1))))
    if metadata.aspect:
        across, down = whole_ratio(metadata.aspect, _MOST_PIXELS)
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", across, down, 0)))
    elif metadata.density:
        across, down = (round(value / _INCH) for value in metadata.density)
        parts.append(_chunk(b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        parts.append(_chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        parts.append(_chunk(b"iTXt", _XMP + b"\0\0\0\0" + metadata.xmp))
    return [*parts, encoded[_first_pixels(encoded) :]]


def _first_pixels(encoded: bytes) -> int:
    at = 8
    while encoded[at + 4 : at + 8] != b"IDAT":
        at += 12 + int(struct.unpack_from(">I", encoded, at)[0])
    return at
