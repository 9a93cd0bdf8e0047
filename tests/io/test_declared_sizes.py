"""Files that declare more pixels than their bytes can hold, and blocks larger than pictures."""

import itertools
import struct
import zlib
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import pyvips
from PIL import Image

from drht_plugin import io
from drht_plugin.errors import ReadError
from drht_plugin.io import _oiio_rows

_SIZES, _COUNTS, _OFFSETS = (256, 257, 278), 279, 273


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        io.open_picture(path)
    return str(caught.value)


def jpeg_of(path: Path, height: int, width: int, **options: Any) -> None:
    """Write a JPEG file whose header declares another size than it has."""
    Image.new("RGB", (16, 16), (90, 120, 200)).save(path, **options)
    data = bytearray(path.read_bytes())
    at = next(at for m in (b"\xff\xc0", b"\xff\xc2") if (at := data.find(m)) > 0)
    data[at + 5 : at + 9] = struct.pack(">HH", height, width)
    path.write_bytes(data)


@pytest.mark.parametrize("progressive", [False, True])
def test_jpeg(progressive: bool, tmp_path: Path) -> None:
    """A JPEG file of some bytes that declares 65 500² pixels is refused before it is decoded."""
    jpeg_of(tmp_path / "a.jpg", 65500, 65500, progressive=progressive)
    assert "cannot hold the 65500×65500 pixels" in refused(tmp_path / "a.jpg")


@pytest.mark.parametrize("progressive", [False, True])
def test_plain_jpeg(progressive: bool, tmp_path: Path) -> None:
    """A picture of one colour, which takes the fewest bits there are, is read."""
    path = tmp_path / "a.jpg"
    options: dict[str, Any] = {"progressive": progressive, "optimize": True, "quality": 5}
    Image.new("RGB", (3000, 2000), (90, 120, 200)).save(path, **options)
    with io.open_picture(path) as file:
        assert file[:].shape == (2000, 3000, 3)


def png_of(path: Path, height: int, width: int, rows: bytes, bits: int = 8) -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    head = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    parts = (chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 9)), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(parts))


def test_png(tmp_path: Path) -> None:
    """A PNG file of some bytes that declares a gigapixel is refused; the plainest one is read."""
    png_of(tmp_path / "a.png", 32768, 32768, bytes(100))
    assert "cannot hold the 32768×32768 pixels" in refused(tmp_path / "a.png")
    png_of(tmp_path / "b.png", 8000, 8000, bytes(1001 * 8000), bits=1)
    with io.open_picture(tmp_path / "b.png") as file:
        assert not file[:].any()


def tiff_of(path: Path, fields: dict[int, tuple[int, int]], data: bytes, *, big: bool) -> None:
    """Write a TIFF file of some fields (type and value), with its data from offset 16 on."""
    at = 16 + len(data) + len(data) % 2
    entry, count = ("<HHQQ", "<Q") if big else ("<HHII", "<H")
    head = (
        struct.pack("<2sHHHQ", b"II", 43, 8, 0, at) if big else struct.pack("<2sHI", b"II", 42, at)
    )
    table = struct.pack(count, len(fields)) + b"".join(
        struct.pack(entry, tag, kind, 1, value) for tag, (kind, value) in sorted(fields.items())
    )
    path.write_bytes((head.ljust(16, b"\0") + data).ljust(at, b"\0") + table + bytes(8))


@pytest.mark.parametrize("compression", [1, 5, 8, 32773])
@pytest.mark.parametrize(
    ("side", "big"),
    [(1 << 16, False), (1 << 31, False), ((1 << 32) - 16, False), (1 << 16, True), (1 << 62, True)],
)
def test_tiles_larger_than_pictures(side: int, compression: int, big: bool, tmp_path: Path) -> None:
    """A tile that its bytes cannot hold is refused by name, however large it says it is."""
    kind = 16 if side >= 1 << 32 else 4
    fields = {256: (4, 32), 257: (4, 32), 258: (3, 8), 259: (3, compression), 262: (3, 1)}
    fields |= {322: (kind, side), 323: (kind, side), 324: (4, 16), 325: (4, 1000)}
    tiff_of(tmp_path / "a.tif", fields, bytes(1000), big=big)
    assert refused(tmp_path / "a.tif").startswith("a.tif: ")


@pytest.mark.parametrize(
    "change",
    [
        {256: (16, 1 << 62), 257: (4, 3)},
        {256: (16, (1 << 64) - 1), 257: (16, (1 << 64) - 1)},
        {273: (16, 1 << 63)},
        {273: (16, (1 << 64) - 1)},
        {279: (16, (1 << 64) - 1), 259: (3, 5)},
        {277: (4, (1 << 32) - 1)},
        {278: (16, 1 << 63), 257: (16, 1 << 63)},
    ],
)
def test_numbers_beyond_64_bits(change: dict[int, tuple[int, int]], tmp_path: Path) -> None:
    """Sizes whose products leave 64 bits, and offsets beyond the file, are an error by name."""
    fields = {256: (4, 32), 257: (4, 32), 258: (3, 8), 259: (3, 1), 262: (3, 1)}
    fields |= {273: (4, 16), 277: (3, 1), 278: (4, 32), 279: (4, 1024)}
    tiff_of(tmp_path / "a.tif", fields | change, bytes(1024), big=True)
    with pytest.raises(ReadError, match=r"^a\.tif: "):
        io.read_picture(tmp_path / "a.tif")


def test_tile_larger_than_its_picture(tmp_path: Path) -> None:
    """A small picture in one larger, whole tile is read, and written anew."""
    fields = {256: (4, 32), 257: (4, 20), 258: (3, 8), 259: (3, 8), 262: (3, 1)}
    tile = np.arange(256 * 256, dtype=np.uint32).astype(np.uint8).reshape(256, 256)
    data = zlib.compress(tile.tobytes())
    fields |= {322: (4, 256), 323: (4, 256), 324: (4, 16), 325: (4, len(data))}
    tiff_of(tmp_path / "a.tif", fields, data, big=False)
    picture = io.read_picture(tmp_path / "a.tif")
    assert np.array_equal(picture.pixels[..., 0], tile[:20, :32])
    io.write_picture(tmp_path / "b.tif", picture.pixels, picture)
    assert np.array_equal(io.read_picture(tmp_path / "b.tif").pixels, picture.pixels)


@pytest.mark.parametrize(
    ("compression", "dtype"),
    [
        *itertools.product(("deflate", "lzw", "packbits"), ("uint8", "uint16", "float32")),
        ("jpeg", "uint8"),
    ],
)
def test_strips_in_pieces(
    compression: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large strip is decoded in pieces; all rows, steps and returns are those of the whole."""
    path, pixels = tmp_path / "a.tif", made.values(3, dtype, 300, 70)
    image = pyvips.Image.new_from_array(pixels)
    image.tiffsave(str(path), compression=compression, tile_height=300, tile_width=70)
    whole = io.read_picture(path).pixels
    if compression != "jpeg":
        assert np.array_equal(whole, pixels)
    monkeypatch.setattr(_oiio_rows, "_LARGEST_STRIP", 1000)
    monkeypatch.setattr(_oiio_rows, "_PIECE_BYTES", 7000)
    with io.open_picture(path) as file:
        for rows in (slice(0, 7), slice(7, 100), slice(200, 300, 9), slice(0, 300), slice(3, 5)):
            assert np.array_equal(file[rows], whole[rows])


def test_tiles_far_larger_than_pictures(tmp_path: Path) -> None:
    """A picture of 32² in a tile of 65 536² is refused even if the file holds the whole tile."""
    fields = {256: (4, 32), 257: (4, 32), 258: (3, 8), 259: (3, 8), 262: (3, 1)}
    data = bytes(5 << 20)
    fields |= {322: (4, 65536), 323: (4, 65536), 324: (4, 16), 325: (4, len(data))}
    tiff_of(tmp_path / "a.tif", fields, data, big=False)
    assert "tiles of 65536×65536, far larger than the picture" in refused(tmp_path / "a.tif")


def test_openexr_headers(tmp_path: Path) -> None:
    """Attributes without end, or larger than the file, are refused; hundreds are read."""
    made.openimageio(tmp_path / "a.exr", made.values(3, "float16"))
    data = (tmp_path / "a.exr").read_bytes()

    def with_attributes(count: int, size: int = 4) -> None:
        more = (b"n%d\0string\0" % n + struct.pack("<I", size) + b"text" for n in range(count))
        # Offsets of the pixels count from the file's start.
        with_more = data[:8] + b"".join(more) + data[8:]
        (tmp_path / "b.exr").write_bytes(with_more)

    with_attributes(100_000)
    assert "more than 4000 attributes" in refused(tmp_path / "b.exr")
    for size in (0x7FFFFFFF, 0xFFFFFFFF, len(data)):
        with_attributes(1, size)
        assert "attribute of" in refused(tmp_path / "b.exr")
    with_attributes(500)
    with io.open_picture(tmp_path / "b.exr") as file:
        assert file.shape == (made.HEIGHT, made.WIDTH, 3)


@pytest.mark.parametrize("rows", [slice(0, 1), slice(3, 9), slice(0, 20, 3), slice(0, 20)])
def test_old_runs(rows: slice, tmp_path: Path) -> None:
    """Runs of old Radiance files are unpacked for the rows asked for alone, across rows too."""
    words: list[bytes] = []
    expected: list[Any] = []
    random = np.random.default_rng(0)
    while len(expected) < 20 * 50:
        pixel = bytes((*random.integers(2, 200, 3).tolist(), 128))
        count = min(int(random.integers(1, 400)), 20 * 50 - len(expected))
        words.append(pixel)
        low, high = (count - 1) % 256, (count - 1) // 256
        words += [b"\1\1\1" + bytes([low])] * (count > 1) + [b"\1\1\1" + bytes([high])] * (high > 0)
        expected += [np.frombuffer(pixel, np.uint8)[:3]] * count
    head = b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 20 +X 50\n"
    (tmp_path / "a.hdr").write_bytes(head + b"".join(words))
    wanted = np.array(expected, np.float32).reshape(20, 50, 3) / 256
    with io.open_picture(tmp_path / "a.hdr") as file:
        assert np.array_equal(file[rows], wanted[rows])
