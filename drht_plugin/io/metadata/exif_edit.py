"""Change EXIF blocks in place: offsets stay valid, as maker notes may hold some into the block."""

import re
import struct
from collections.abc import Callable, Iterator

from drht_plugin.io.metadata import ifd, photoshop, xmp

_JPEG = re.compile(rb"\xff\xd8\xff[\xc0-\xfe]")
_SCAN, _END = 0xDA, b"\xff\xd9"
_SUB_DIRECTORIES, _PREVIEW, _PREVIEW_BYTES, _LAYERS = 330, 513, 514, 37724
_STRIPS, _STRIP_BYTES = 273, 279
_COLOUR_SPACE, _SRGB, _INTEROP_INDEX = 0xA001, 1, 1
_SIDES = 0xA002, 0xA003  # PixelXDimension, PixelYDimension
MAKER_NOTE = 37500
APPLE = b"Apple iOS\0"
APPLE_DIRECTORY = 14
_APPLE_LIVE, APPLE_GAIN = (0x0011, 0x0017), (0x0021, 0x0030)
_MAX_PREVIEWS = 64
_MAX_SEGMENTS = 1000


def reset_orientation(exif: bytes) -> bytes:
    """Set the orientation in an EXIF block to 1; nothing else changes.

    Raises:
        ValueError: the structure is damaged.
    """
    start, count, header = _entries(exif)
    patched = bytearray(exif)
    for at in range(start, start + 12 * count, 12):
        if header.number(exif, at, 2) == ifd.ORIENTATION:
            struct.pack_into(header.order + "HIHH", patched, at + 2, 3, 1, 1, 0)
    return bytes(patched)


def state_srgb(exif: bytes) -> bytes:
    """Say sRGB wherever an EXIF block states another colour space; nothing else changes.

    Raises:
        ValueError: the structure is damaged.
    """
    start, count, header = _entries(exif)
    patched = bytearray(exif)
    for tag, at in _inner_entries(exif, start, count, header, ifd.EXIF_POINTER):
        if tag == _COLOUR_SPACE:
            struct.pack_into(header.order + "HIHH", patched, at + 2, 3, 1, _SRGB, 0)
        elif tag == ifd.INTEROP_POINTER:
            first = header.number(exif, at + 8, 4)
            for inner, place in _directory(exif, first, header):
                if inner == _INTEROP_INDEX and exif[place + 8 : place + 12] == b"R03\0":
                    patched[place + 8 : place + 12] = b"R98\0"
    return bytes(patched)


def with_sides(exif: bytes, height: int, width: int) -> bytes:
    """Exchange the width and height that an EXIF block states, where they are a turned picture's.

    Args:
        exif: an EXIF block.
        height: of the picture that the block belongs to (pixels).
        width: likewise.

    Returns:
        The block, of the same length. Sides other than `height` across and `width` down stay, and
        so do those of a damaged directory.
    """
    try:
        start, count, header = _entries(exif)
        found = dict(_inner_entries(exif, start, count, header, ifd.EXIF_POINTER))
        stated = ifd.parse(exif).exif
    except ValueError:
        return exif
    if any(tag not in stated or tag not in found for tag in _SIDES):
        return exif
    if [stated[tag].integers() for tag in _SIDES] != [(height,), (width,)]:
        return exif
    patched = bytearray(exif)
    across, down = (slice(found[tag] + 2, found[tag] + 12) for tag in _SIDES)  # from the type on
    patched[across], patched[down] = exif[down], exif[across]
    return bytes(patched)


def _inner_entries(
    exif: bytes, start: int, count: int, header: ifd.Header, pointer: int
) -> Iterator[tuple[int, int]]:
    """Yield tag and offset of each entry of a directory that the main one points to."""
    for at in range(start, start + 12 * count, 12):
        if header.number(exif, at, 2) == pointer:
            yield from _directory(exif, header.number(exif, at + 8, 4), header)


def _directory(exif: bytes, first: int, header: ifd.Header) -> Iterator[tuple[int, int]]:
    """Yield tag and offset of each entry of the directory at an offset."""
    if first + 2 > len(exif):
        raise ValueError("a directory lies outside the block")
    end = first + 2 + 12 * header.number(exif, first, 2)
    if end > len(exif):
        raise ValueError("a directory lies outside the block")
    for at in range(first + 2, end, 12):
        yield header.number(exif, at, 2), at


def without_claims(exif: bytes) -> tuple[bytes, tuple[str, ...]]:
    """Remove what shows or claims the picture as it was: thumbnails, layers, a Live Photo's link.

    Pictures' bytes are overwritten by zeros, wherever in the block they lie.

    Args:
        exif: an EXIF block.

    Returns:
        The block, of the same length, and what was removed, in plain words.

    Raises:
        ValueError: the structure is damaged.
    """
    start, count, header = _entries(exif)
    dropped: dict[str, None] = {}
    block = bytearray(exif)
    link = start + 12 * count
    if header.number(exif[link : link + 4].ljust(4, b"\0"), 0, 4):
        dropped["EXIF thumbnail"] = None
        _blank_strips(block, header, link)
        block[link : link + 4] = bytes(4)
    for label in _blank_jpegs(block):
        dropped[label] = None
    stale = _stale_tags(bytes(block))
    dropped.update(dict.fromkeys(stale.values()))
    _remove_entries(block, header.first, header.order, lambda tag: tag in stale)
    for label in _clean_maker_note(block, exif):
        dropped[label] = None
    return bytes(block), tuple(dropped)


def _stale_tags(exif: bytes) -> dict[int, str]:
    """Return the tags of the main directory that may not stay, and what they are."""
    fields = ifd.parse(exif).main
    stale = {
        tag: label
        for tag, label in (
            (_SUB_DIRECTORIES, "EXIF thumbnail"),
            (_PREVIEW, "EXIF thumbnail"),
            (_PREVIEW_BYTES, "EXIF thumbnail"),
            (_LAYERS, "Photoshop layers"),
        )
        if tag in fields
    }
    if ifd.PHOTOSHOP in fields:
        for label in photoshop.without_claims(fields[ifd.PHOTOSHOP].data)[1]:
            stale[ifd.PHOTOSHOP] = label
    if ifd.XMP in fields:
        try:
            labels = xmp.without_claims(fields[ifd.XMP].data)[1]
        except ValueError:
            labels = ("XMP (damaged)",)
        for label in labels:
            stale[ifd.XMP] = label
    return stale


def _entries(exif: bytes) -> tuple[int, int, ifd.Header]:
    """Return the offset of the main directory's entries, their number, and the block's header."""
    header = ifd.read_header(exif)
    count = header.number(exif, header.first, 2)
    start = header.first + 2
    if header.big or start + 12 * count > len(exif):
        raise ValueError("a directory lies outside the block")
    return start, count, header


def _remove_entries(
    block: bytearray, directory: int, order: ifd.Order, unwanted: Callable[[int], bool]
) -> bool:
    """Close up a directory over entries; return whether there were any."""
    (count,) = struct.unpack_from(order + "H", block, directory)
    start = directory + 2
    end = start + 12 * count
    entries = [bytes(block[at : at + 12]) for at in range(start, end, 12)]
    kept = [e for e in entries if not unwanted(struct.unpack_from(order + "H", e)[0])]
    if len(kept) == count:
        return False
    link = bytes(block[end : end + 4])
    struct.pack_into(order + "H", block, directory, len(kept))
    block[start : end + len(link)] = (b"".join(kept) + link).ljust(12 * count + len(link), b"\0")
    return True


def _blank_strips(block: bytearray, header: ifd.Header, link: int) -> None:
    """Overwrite an uncompressed thumbnail, unless other data would be hit."""
    try:
        at = header.number(bytes(block), link, 4)
        fields, _ = ifd.read_directory(bytes(block), at, header)
        before = ifd.parse(bytes(block))
    except ValueError:
        return
    if _STRIPS not in fields or _STRIP_BYTES not in fields:
        return
    blanked = bytearray(block)
    strips = zip(fields[_STRIPS].integers(), fields[_STRIP_BYTES].integers(), strict=False)
    for start, size in list(strips)[:_MAX_PREVIEWS]:
        end = min(start + size, len(block))
        blanked[start:end] = bytes(max(end - start, 0))
    try:
        if ifd.parse(bytes(blanked)) == before:
            block[:] = blanked
    except ValueError:
        return


def _blank_jpegs(block: bytearray) -> list[str]:
    """Overwrite all JPEG pictures in a block; return what they were."""
    data, found, at = bytes(block), False, 0
    for _ in range(_MAX_PREVIEWS):
        match = _JPEG.search(data, at)
        if not match:
            break
        end = _jpeg_end(data, match.start())
        at = end or match.end()
        if end:
            block[match.start() : end] = bytes(end - match.start())
            found = True
    return ["EXIF thumbnail"] if found else []


def _jpeg_end(data: bytes, start: int) -> int | None:
    """Return where a JPEG picture ends; None if there is none at `start`."""
    at = start + 2
    for _ in range(_MAX_SEGMENTS):
        if at + 4 > len(data) or data[at] != 0xFF:
            return None
        if data[at + 1] == _SCAN:
            end = data.find(_END, at)
            return end + 2 if end >= 0 else None
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return None


def _clean_maker_note(block: bytearray, exif: bytes) -> list[str]:
    """Remove the fields by which an iPhone names a Live Photo's video and a gain map."""
    note = ifd.parse(exif).exif.get(MAKER_NOTE)
    if note is None or not note.data.startswith(APPLE):
        return []
    at = exif.find(note.data)
    order: ifd.Order = "<" if note.data[12:14] == b"II" else ">"
    directory = at + APPLE_DIRECTORY
    if at < 0 or directory + 2 > len(exif):
        return []
    (count,) = struct.unpack_from(order + "H", exif, directory)
    if APPLE_DIRECTORY + 2 + 12 * count + 4 > len(note.data):
        return []
    dropped = []
    for tags, label in ((_APPLE_LIVE, "Live Photo link"), (APPLE_GAIN, "gain map")):
        if _remove_entries(block, directory, order, tags.__contains__):
            dropped.append(label)
    return dropped
