"""Files made to take much of what a small file should not: memory, time, or a traceback."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import io_samples as made
from PIL import Image

_GIGABYTES = 4 << 30


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _png(
    *extra: tuple[bytes, bytes], size: tuple[int, int] = (32, 32), interlaced: int = 0
) -> bytes:
    rows = zlib.compress(b"".join(b"\0" + bytes(range(32)) * 3 for _ in range(32)))
    head = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, interlaced)
    chunks = [(b"IHDR", head), *extra, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*each) for each in chunks)


@cache
def _zeros() -> bytes:
    """Return a zlib stream of 4 GiB of zeros: one flushed block, many times."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = (_GIGABYTES % 65521) << 16 | 1
    return b"\x78\xda" + block * (_GIGABYTES >> 24) + b"\x03\0" + struct.pack(">I", checksum)


@cache
def _jpeg(**options: bool) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 120, 60)).save(target, "JPEG", **options)
    return target.getvalue()


def _jpeg_with(*segments: tuple[int, bytes]) -> bytes:
    added = (struct.pack(">BBH", 0xFF, kind, len(data) + 2) + data for kind, data in segments)
    return _jpeg()[:2] + b"".join(added) + _jpeg()[2:]


def _jpeg_of(height: int, width: int, *, progressive: bool) -> bytes:
    data = bytearray(_jpeg(progressive=progressive))
    at = data.find(b"\xff\xc2" if progressive else b"\xff\xc0")
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def _webp_with(kind: bytes, body: bytes, count: int = 1) -> bytes:
    target = io.BytesIO()
    Image.new("RGB", (32, 32), (90, 120, 60)).save(target, "WEBP", lossless=True)
    part = struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)
    data = target.getvalue()[12:]
    canvas = struct.pack("<4sIIHBHB", b"VP8X", 10, 0x0C, 31, 0, 31, 0)
    riff = canvas + data + part * count
    return struct.pack("<4sI4s", b"RIFF", 4 + len(riff), b"WEBP") + riff


def _overlap(total: int = 1_000_000, count: int = 65535, tag: int = 0x9000) -> bytes:
    fields = b"".join(struct.pack("<HHII", tag + i % 4096, 7, total // 2, 8) for i in range(count))
    return (b"II*\0" + struct.pack("<IH", 8, count) + fields + bytes(4)).ljust(total, b"x")


def _directories(total: int = 1_000_000, count: int = 65535) -> bytes:
    data, span = bytearray(b"II*\0" + struct.pack("<I", 8)).ljust(total, b"\xff"), 2 + 12 * count
    for at in range(8, total - span - 12, 8):
        data[at + span : at + span + 4] = struct.pack("<I", at + 8)
    return bytes(data)


def _tiff(
    changes: dict[int, tuple[int, int]], data: bytes = bytes(1024), big: bool = True
) -> bytes:
    """Return a gray TIFF file of 32² in one strip, with some fields (type and value) changed."""
    fields = {256: (4, 32), 257: (4, 32), 258: (3, 8), 259: (3, 1), 262: (3, 1)}
    fields |= {273: (4, 16), 277: (3, 1), 278: (4, 32), 279: (4, len(data))}
    if 322 in changes:
        fields = {tag: value for tag, value in fields.items() if tag not in (273, 278, 279)}
        fields |= {324: (4, 16), 325: (4, len(data))}
    fields |= changes
    at = 16 + len(data) + len(data) % 2
    entry, count = ("<HHQQ", "<Q") if big else ("<HHII", "<H")
    head = (
        (b"II" + struct.pack("<HHHQ", 43, 8, 0, at)) if big else struct.pack("<2sHI", b"II", 42, at)
    )
    table = b"".join(
        struct.pack(entry, tag, kind, 1, value) for tag, (kind, value) in sorted(fields.items())
    )
    whole = head.ljust(16, b"\0") + data.ljust(at - 16, b"\0")
    return whole + struct.pack(count, len(fields)) + table + bytes(8)


def _many_pages(count: int = 50_000) -> bytes:
    page = struct.pack("<HHHIIHHII", 2, 254, 4, 1, 0, 256, 4, 1, 8)
    links = (struct.pack("<I", 38 + 30 * n if n < count - 1 else 0) for n in range(count))
    return b"II*\0" + struct.pack("<I", 8) + b"".join(page + link for link in links)


def _saved(suffix: str, dtype: str = "float16") -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a{suffix}"
        made.openimageio(path, made.values(3, dtype))
        return path.read_bytes()


def _exr(name: bytes, value: bytes) -> bytes:
    """Return an OpenEXR file with another value for an attribute of the same size."""
    data = bytearray(_saved(".exr"))
    at = data.index(name) + len(name)
    at = data.index(b"\0", at + 1) + 5
    data[at : at + len(value)] = value
    return bytes(data)


def _exr_attribute(size: int, count: int = 1) -> bytes:
    data = _saved(".exr")
    more = b"".join(
        b"n%d\0string\0" % n + struct.pack("<I", size) + b"x" * 64 for n in range(count)
    )
    return data[:8] + more + data[8:]


def _profile_of_one_place(size: int = 8 << 20, count: int = 1000) -> bytes:
    tags = b"".join(struct.pack(">4sII", b"%04d" % n, 200, size - 200) for n in range(count))
    head = struct.pack(">I", size) + bytes(12) + b"RGB XYZ " + bytes(12) + b"acsp"
    return (head.ljust(128, b"\0") + struct.pack(">I", count) + tags).ljust(size, b"\0")


def _boxes(kind: bytes, count: int) -> bytes:
    return b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl " + (
        struct.pack(">I4s", 8, kind) * count
    )


def _nested_boxes(depth: int = 100_000) -> bytes:
    size, parts = 8 * depth, [b"\0\0\0\x18ftypavif\0\0\0\0avifmif1"]
    parts += [struct.pack(">I4s", size - 8 * n, b"meta") for n in range(depth)]
    return b"".join(parts)


def _avif_of(height: int, width: int) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.avif"
        made.vips(path, made.values(3, "uint8"), lossless=True)
        data = bytearray(path.read_bytes())
    at = data.index(b"ispe") + 8
    data[at : at + 8] = struct.pack(">II", width, height)
    return bytes(data)


def _jp2_of(height: int, width: int) -> bytes:
    data = bytearray(_saved(".jp2", "uint16"))
    at = data.index(b"\xff\x51")
    for place in (at + 6, at + 22):
        data[place : place + 8] = struct.pack(">II", width, height)
    at = data.index(b"ihdr") + 4
    data[at : at + 8] = struct.pack(">II", height, width)
    return bytes(data)


_SCAN = b"\xff\xda\0\x08\1\1\0\1\x3f\0"
_XMP = b"XML:com.adobe.xmp\0"
_64 = (1 << 64) - 1
_ICC = b"ICC_PROFILE\0\1\1"

HOSTILE: list[tuple[str, str, Callable[[], bytes]]] = [
    ("PNG, profile of 4 GiB", ".png", lambda: _png((b"iCCP", b"x\0\0" + _zeros()))),
    ("PNG, zTXt of 4 GiB", ".png", lambda: _png((b"zTXt", _XMP + b"\0" + _zeros()))),
    ("PNG, iTXt of 4 GiB", ".png", lambda: _png((b"iTXt", _XMP + b"\1\0\0\0" + _zeros()))),
    ("PNG, note of 4 GiB", ".png", lambda: _png((b"zTXt", b"note\0\0" + _zeros()))),
    ("PNG, pixels of 4 GiB", ".png", lambda: _png((b"IDAT", _zeros()))),
    ("PNG, overlapping EXIF", ".png", lambda: _png((b"eXIf", _overlap()))),
    ("PNG, a million chunks", ".png", lambda: _png(*[(b"tEXt", b"a\0b")] * 1_000_000)),
    ("PNG, 30 000 empty IDAT", ".png", lambda: _png(*[(b"IDAT", b"")] * 30_000)),
    ("PNG, 2³¹ pixels a side", ".png", lambda: _png(size=((1 << 31) - 1, (1 << 31) - 1))),
    ("PNG, interlaced gigapixel", ".png", lambda: _png(size=(32768, 32768), interlaced=1)),
    (
        "PNG, profile of one place",
        ".png",
        lambda: _png((b"iCCP", b"x\0\0" + zlib.compress(_profile_of_one_place()))),
    ),
    ("TIFF, overlapping fields", ".tif", _overlap),
    ("TIFF, fields that are strips", ".tif", lambda: _overlap(tag=256)),
    ("TIFF, overlapping directories", ".tif", _directories),
    ("TIFF, 50 000 pages", ".tif", _many_pages),
    ("TIFF, width 2⁶²", ".tif", lambda: _tiff({256: (16, 1 << 62), 257: (4, 3)})),
    ("TIFF, offset 2⁶³", ".tif", lambda: _tiff({273: (16, 1 << 63)})),
    ("TIFF, offset 2⁶⁴-1", ".tif", lambda: _tiff({273: (16, _64), 279: (16, _64)})),
    ("TIFF, tile 2⁶³", ".tif", lambda: _tiff({322: (16, 1 << 63), 323: (16, 1 << 63)})),
    ("TIFF, tile 2³²-1", ".tif", lambda: _tiff({322: (4, 0xFFFFFFFF), 323: (4, 0xFFFFFFFF)})),
    *(
        (
            f"TIFF, tile 65536², coded {code}",
            ".tif",
            lambda code=code: _tiff({259: (3, code), 322: (4, 65536), 323: (4, 65536)}, big=False),
        )
        for code in (1, 3, 4, 5, 7, 8, 32773, 32946)
    ),
    *(
        (
            f"TIFF, 2³¹ rows, coded {code}",
            ".tif",
            lambda code=code: _tiff(
                {259: (3, code), 257: (4, 1 << 31), 278: (4, 1 << 31)}, big=False
            ),
        )
        for code in (1, 3, 4, 5, 7, 8, 32773)
    ),
    *(
        (
            f"TIFF, 2³⁰ columns, coded {code}",
            ".tif",
            lambda code=code: _tiff({259: (3, code), 256: (4, 1 << 30)}, big=False),
        )
        for code in (1, 3, 4, 5, 8, 32773)
    ),
    ("TIFF, 65535 samples", ".tif", lambda: _tiff({277: (3, 65535)})),
    ("TIFF, 65535 bits", ".tif", lambda: _tiff({258: (3, 65535)})),
    ("TIFF, no rows", ".tif", lambda: _tiff({257: (4, 0)})),
    ("TIFF, no rows in a strip", ".tif", lambda: _tiff({278: (4, 0)})),
    ("TIFF, no bits", ".tif", lambda: _tiff({258: (3, 0)})),
    ("TIFF, tile without columns", ".tif", lambda: _tiff({322: (4, 0), 323: (4, 16)})),
    ("JPEG, 50 MB of fill bytes", ".jpg", lambda: _jpeg()[:2] + b"\xff" * 50_000_000 + _jpeg()[2:]),
    ("JPEG, fill bytes to the end", ".jpg", lambda: _jpeg()[:200] + b"\xff" * 50_000_000),
    ("JPEG, a million segments", ".jpg", lambda: _jpeg_with(*[(0xFE, b"")] * 1_000_000)),
    (
        "JPEG, a million restarts",
        ".jpg",
        lambda: _jpeg()[:-2] + b"\xff\xd0" * 1_000_000 + _jpeg()[-2:],
    ),
    (
        "JPEG, overlapping EXIF",
        ".jpg",
        lambda: _jpeg_with((0xE1, b"Exif\0\0" + _overlap(65000, 5400))),
    ),
    ("JPEG, pieces of a profile", ".jpg", lambda: _jpeg_with(*[(0xE2, _ICC + bytes(65000))] * 255)),
    ("JPEG, 65500²", ".jpg", lambda: _jpeg_of(65500, 65500, progressive=False)),
    ("JPEG, 65500², progressive", ".jpg", lambda: _jpeg_of(65500, 65500, progressive=True)),
    ("JPEG, no rows", ".jpg", lambda: _jpeg_of(0, 100, progressive=False)),
    (
        "JPEG, many empty scans",
        ".jpg",
        lambda: _jpeg(progressive=True)[:-2] + _SCAN * 100_000 + b"\xff\xd9",
    ),
    ("WebP, a million chunks", ".webp", lambda: _webp_with(b"XXXX", b"", 1_000_000)),
    ("WebP, overlapping EXIF", ".webp", lambda: _webp_with(b"EXIF", _overlap())),
    ("WebP, profile of one place", ".webp", lambda: _webp_with(b"ICCP", _profile_of_one_place())),
    (
        "OpenEXR, 2³¹ a side",
        ".exr",
        lambda: _exr(b"dataWindow", struct.pack("<4i", -(1 << 30), -(1 << 30), 1 << 30, 1 << 30)),
    ),
    (
        "OpenEXR, 60000²",
        ".exr",
        lambda: _exr(b"dataWindow", struct.pack("<4i", 0, 0, 59999, 59999)),
    ),
    (
        "OpenEXR, 2³⁰ rows",
        ".exr",
        lambda: _exr(b"dataWindow", struct.pack("<4i", 0, 0, 39, (1 << 30) - 1)),
    ),
    ("OpenEXR, an attribute of 2 GB", ".exr", lambda: _exr_attribute(0x7FFFFFFF)),
    ("OpenEXR, an attribute of -1", ".exr", lambda: _exr_attribute(0xFFFFFFFF)),
    ("OpenEXR, 100 000 attributes", ".exr", lambda: _exr_attribute(64, 100_000)),
    (
        "Radiance, 2³¹ a side",
        ".hdr",
        lambda: b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 2147483647 +X 2147483647\n" + bytes(999),
    ),
    (
        "Radiance, runs of 2⁴⁰",
        ".hdr",
        lambda: (
            b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 65536 +X 65536\n"
            + b"\5\5\5\x80"
            + b"\1\1\1\xff" * 4
        ),
    ),
    ("Radiance, header without end", ".hdr", lambda: b"#?RADIANCE\n" + b"A=" + b"x" * 50_000_000),
    (
        "Radiance, a million lines",
        ".hdr",
        lambda: b"#?RADIANCE\n" + b"EXPOSURE=2\n" * 1_000_000 + b"\n-Y 2 +X 2\n" + bytes(16),
    ),
    ("PPM, 2³¹ a side", ".ppm", lambda: b"P6\n2147483647 2147483647\n255\n" + bytes(999)),
    (
        "PPM, number of 10 000 digits",
        ".ppm",
        lambda: b"P6\n" + b"9" * 10_000 + b" 2\n255\n" + bytes(999),
    ),
    (
        "PPM, note of 50 MB",
        ".ppm",
        lambda: b"P6\n#" + b"x" * 50_000_000 + b"\n2 2\n255\n" + bytes(12),
    ),
    (
        "PPM, blanks of 50 MB",
        ".ppm",
        lambda: b"P3\n" + b" " * 50_000_000 + b"2 2\n255\n" + b"1 " * 12,
    ),
    ("PPM, largest value 0", ".ppm", lambda: b"P6\n2 2\n0\n" + bytes(12)),
    ("PGM in text, 30000²", ".pgm", lambda: b"P2\n30000 30000\n255\n" + b"1 " * 999),
    ("PBM, 2³¹ a side", ".pbm", lambda: b"P4\n2147483647 2147483647\n" + bytes(999)),
    ("PFM, 2³¹ a side", ".pfm", lambda: b"PF\n2147483647 2147483647\n-1.0\n" + bytes(999)),
    ("PFM, scale 0", ".pfm", lambda: b"PF\n2 2\n0\n" + bytes(48)),
    ("PFM, scale NaN", ".pfm", lambda: b"PF\n2 2\nnan\n" + bytes(48)),
    ("PFM, values NaN", ".pfm", lambda: b"PF\n2 2\n-1.0\n" + b"\xff" * 48),
    ("JPEG XL, a million boxes", ".jxl", lambda: _boxes(b"free", 1_000_000)),
    ("JPEG XL, boxes of Brotli", ".jxl", lambda: _boxes(b"brob", 9_000)),
    ("AVIF, nested boxes", ".avif", _nested_boxes),
    ("AVIF, 2³² a side", ".avif", lambda: _avif_of(0xFFFFFFFF, 0xFFFFFFFF)),
    ("AVIF, 32768²", ".avif", lambda: _avif_of(32768, 32768)),
    ("JPEG 2000, 2³¹ a side", ".jp2", lambda: _jp2_of((1 << 31) - 1, (1 << 31) - 1)),
    ("JPEG 2000, 30000²", ".jp2", lambda: _jp2_of(30000, 30000)),
]
"""Label, suffix and maker of each file."""
