"""Read and write EXIF and XMP boxes of JPEG XL and JPEG 2000, which OpenImageIO ignores."""

import struct
from collections.abc import Iterator

from drht_plugin.io.metadata.bounds import bounded, unpack_brotli
from drht_plugin.io.metadata.ifd import Buffer
from drht_plugin.io.metadata.types import Metadata, exif_with_density

_JP2_EXIF = b"JpgTiffExif->JP2"
_JP2_XMP = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
_JXL_HEAD = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl "
_JXL_KEPT = {b"Exif": "EXIF", b"xml ": "XMP"}
_JXL_OTHERS = {b"jhgm": "gain map", b"jumb": "content credentials or boxes (JUMBF)"}


def boxes(buffer: Buffer) -> Iterator[tuple[int, bytes, int, int]]:
    """Yield each box: its offset, its type, and where its content starts and ends (bytes).

    Raises:
        ValueError: there are absurdly many.
    """
    return bounded(_boxes(buffer), len(buffer), "boxes")


def _boxes(buffer: Buffer) -> Iterator[tuple[int, bytes, int, int]]:
    at = 0
    while at + 8 <= len(buffer):
        size, kind = struct.unpack(">I4s", buffer[at : at + 8])
        start = at + 8
        if size == 1:
            (size,) = struct.unpack(">Q", buffer[at + 8 : at + 16])
            start = at + 16
        end = at + size if size else len(buffer)
        if end < start or end > len(buffer):
            return
        yield at, kind, start, end
        at = end


def parse(buffer: Buffer) -> Metadata:
    """Read EXIF and XMP of a JPEG XL or JPEG 2000 file; a bare codestream has none.

    Args:
        buffer: the file's bytes.
    """
    if buffer[4:8] == b"JXL ":
        return _parse_jxl(buffer)
    exif = xmp = None
    for _, kind, start, end in boxes(buffer) if buffer[4:8] == b"jP  " else ():
        if kind == b"uuid" and buffer[start : start + 16] == _JP2_EXIF:
            exif = bytes(buffer[start + 16 : end])
        elif kind == b"uuid" and buffer[start : start + 16] == _JP2_XMP:
            xmp = bytes(buffer[start + 16 : end])
    return Metadata(exif=exif or None, xmp=xmp or None)


def _parse_jxl(buffer: Buffer) -> Metadata:
    """Read the boxes of a JPEG XL file, of which each may be packed by Brotli."""
    found: dict[bytes, bytes] = {}
    dropped: dict[str, None] = {}
    for _, kind, start, end in boxes(buffer):
        packed = kind == b"brob"
        if packed:
            kind, start = bytes(buffer[start : start + 4]), start + 4
        if kind in _JXL_OTHERS:
            dropped[_JXL_OTHERS[kind]] = None
        elif kind in _JXL_KEPT:
            data = bytes(buffer[start:end])
            try:
                found[kind] = unpack_brotli(data) if packed else data
            except ValueError:
                dropped[f"{_JXL_KEPT[kind]} (damaged)"] = None
    exif = found.get(b"Exif", b"")
    # It begins with the offset of the TIFF header.
    exif = exif[4 + int.from_bytes(exif[:4], "big") :]
    return Metadata(exif=exif or None, xmp=found.get(b"xml ") or None, dropped=tuple(dropped))


def _box(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data) + 8, kind) + data


def append(path: str, metadata: Metadata) -> None:
    """Add EXIF and XMP to a complete JPEG XL or JPEG 2000 file.

    Args:
        path: of the file, which is changed in place.
        metadata: whose EXIF, XMP and density are written.

    Raises:
        OSError: the file cannot be written.
    """
    exif = exif_with_density(metadata)
    if not exif and not metadata.xmp:
        return
    with open(path, "r+b") as file:
        data = file.read()
        is_jp2 = data[4:8] == b"jP  "
        if data[:2] == b"\xff\x0a":
            file.seek(0)
            file.write(_JXL_HEAD + _box(b"jxlc", data))
        else:
            last = list(boxes(data))[-1][0]
            if data[last : last + 4] == bytes(4):  # size 0: to the file's end, which will move
                file.seek(last)
                file.write(struct.pack(">I", len(data) - last))
        file.seek(0, 2)
        if exif:
            file.write(
                _box(b"uuid", _JP2_EXIF + exif) if is_jp2 else _box(b"Exif", bytes(4) + exif)
            )
        if metadata.xmp:
            file.write(
                _box(b"uuid", _JP2_XMP + metadata.xmp) if is_jp2 else _box(b"xml ", metadata.xmp)
            )
