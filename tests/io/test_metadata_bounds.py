"""What parsers of metadata take is bounded by the file's own size."""

import struct
import zlib

import pytest

from drht_plugin.colour import icc
from drht_plugin.errors import InputError
from drht_plugin.io.metadata import boxes, ifd, jpeg, png, webp
from drht_plugin.io.metadata.bounds import MOST_PARTS, inflate


def overlapping_fields(total: int, count: int = 65535) -> bytes:
    """An EXIF block of fields that all claim the same half of it."""
    fields = b"".join(
        struct.pack("<HHII", 0x9000 + i % 4096, 7, total // 2, 8) for i in range(count)
    )
    return (b"II*\0" + struct.pack("<IH", 8, count) + fields + bytes(4)).ljust(total, b"x")


def overlapping_directories(total: int, count: int = 65535) -> bytes:
    """A TIFF file of directories, each 8 bytes after the one before it."""
    data, span = bytearray(b"II*\0" + struct.pack("<I", 8)).ljust(total, b"\xff"), 2 + 12 * count
    for at in range(8, total - span - 12, 8):
        data[at + span : at + span + 4] = struct.pack("<I", at + 8)
    return bytes(data)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def test_overlapping_fields() -> None:
    """Fields that lie over one another are left out once all bytes of the block are taken."""
    block = overlapping_fields(1_000_000)
    tree = ifd.parse(block)
    assert 1 <= sum(len(field.data) for field in tree.main.values()) / len(block) <= 1.1


def test_fields_may_share_a_little() -> None:
    """Fields of which several share their values, as some writers do, are all read."""
    entries = b"".join(struct.pack("<HHII", tag, 5, 1, 56) for tag in (282, 283, 33434))
    block = b"II*\0" + struct.pack("<IH", 8, 3) + entries + bytes(10) + struct.pack("<II", 240, 1)
    found = ifd.parse(block).main
    assert [found[tag].ratio() for tag in (282, 283, 33434)] == [240, 240, 240]


def test_overlapping_directories() -> None:
    """A chain of directories that lie over one another is refused, not followed."""
    with pytest.raises(ValueError, match="lie over one another"):
        ifd.directories(overlapping_directories(1_000_000))


def test_directory_that_points_to_itself() -> None:
    """A chain that comes back to its start ends there."""
    block = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 256, 4, 1, 7)
    assert len(ifd.directories(block + struct.pack("<I", 8))) == 1


def test_many_directories() -> None:
    """More fields than a file may have are refused, wherever they lie."""
    size, count = 2 + 12 + 4, (1 << 18) + 1
    parts = [
        struct.pack("<HHHII", 1, 256, 4, 1, 7) + struct.pack("<I", 8 + size * (number + 1))
        for number in range(count)
    ]
    with pytest.raises(ValueError, match="too many fields"):
        ifd.directories(b"II*\0" + struct.pack("<I", 8) + b"".join(parts) + bytes(4))


@pytest.mark.parametrize("count", [1 << 62, (1 << 64) - 1, 1 << 20])
def test_counts_beyond_the_file(count: int) -> None:
    """A field of more values than the file has bytes is left out; so is a directory refused."""
    entry = struct.pack("<HHQQ", 270, 16, count, 16)
    block = b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 1) + entry + bytes(8)
    assert ifd.parse(block).main == {}
    with pytest.raises(ValueError, match="outside the file"):
        ifd.parse(b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, count) + entry)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


def test_inflate() -> None:
    """Text and profiles of any usual kind are unpacked; bombs and damage are a ValueError."""
    for data in (b"", b"short", bytes(1 << 20), bytes(range(256)) * 10_000):
        assert inflate(zlib.compress(data)) == data
    for broken, words in (
        (bomb(64 << 20), "unpacks to more than"),
        (zlib.compress(bytes(1000))[:-6], "cut off"),
        (b"no stream", "incorrect header"),
    ):
        with pytest.raises(ValueError, match=words):
            inflate(broken)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        (b"iCCP", b"x\0\0"),
        (b"zTXt", b"XML:com.adobe.xmp\0\0"),
        (b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0"),
    ],
)
def test_compressed_chunks(kind: bytes, head: bytes) -> None:
    """A chunk that unpacks to far more than its size costs itself, not memory, nor the picture."""
    whole = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(kind, head + bomb(64 << 20))
    metadata, _ = png.parse(whole)
    assert metadata.icc is None
    assert metadata.xmp is None


def test_too_many_parts() -> None:
    """Chunks, segments and boxes without end are refused; as many as are usual are read."""
    many = 2 * MOST_PARTS
    files = {
        png.parse: (b"\x89PNG\r\n\x1a\n", chunk(b"tEXt", b"a\0b")),
        jpeg.parse: (b"\xff\xd8", b"\xff\xfe\0\3a"),
        webp.parse: (b"RIFF\0\0\0\0WEBP", b"XXXX\0\0\0\0"),
        boxes.parse: (b"\0\0\0\x0cJXL \r\n\x87\n", b"\0\0\0\x08free"),
    }
    for parse, (head, part) in files.items():
        with pytest.raises(ValueError, match=f"more than {MOST_PARTS // 1000}"):
            parse(head + part * many)
        parse(head + part * 1000)


@pytest.mark.parametrize("fill", [0, 1, 2, 65535, 65536, 65537, 1_000_000])
def test_fill_bytes(fill: int) -> None:
    """Any number of fill bytes before a marker is passed over; the segment after them is read."""
    data = b"\xff\xd8" + b"\xff" * fill + b"\xff\xe1" + struct.pack(">H", 12) + b"Exif\0\0II*\0"
    assert jpeg.parse(data + b"\xff\xda\0\2")[0].exif == b"II*\0"


def test_fill_bytes_without_end() -> None:
    """A file that ends in fill bytes has no more segments."""
    assert jpeg.parse(b"\xff\xd8" + b"\xff" * 1_000_000)[0].exif is None


def test_overlapping_profile_tags() -> None:
    """Tags of a profile that all claim most of it are looked at in place, not copied."""
    size, count = 64 << 20, 1000
    tags = b"".join(struct.pack(">4sII", b"%04d" % n, 200, size - 200) for n in range(count))
    head = bytes(16) + b"RGB XYZ " + bytes(12) + b"acsp"
    profile = (head.ljust(128, b"\0") + struct.pack(">I", count) + tags).ljust(size, b"\0")
    with pytest.raises(InputError, match="lacks rXYZ"):
        icc.parse(profile)


def test_curve_of_many_samples() -> None:
    """A curve of millions of samples is refused before they are unpacked."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 1 << 24) + bytes(1 << 25)
    head = bytes(16) + b"GRAYXYZ " + bytes(12) + b"acsp"
    table = struct.pack(">I4sII", 1, b"kTRC", 144, len(curve))
    with pytest.raises(InputError, match="16777216 samples"):
        icc.parse(head.ljust(128, b"\0") + table + curve)
