"""Layouts that cannot be written are known before the work, and the nearest is chosen."""

import struct
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from faults import fault
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drht_plugin import io
from drht_plugin.cli import main
from drht_plugin.errors import InputError, ReadError
from drht_plugin.io.metadata import ifd
from drht_plugin.io.metadata.tiff_layout import written_tile


def tiff_file(path: Path, *pages: dict[int, ifd.Field]) -> Path:
    """A TIFF of uncompressed 8-bit gray pages; fields are added to, or take the place of, ours."""
    data = bytearray(ifd.tiff_header(0, "<", big=False))
    link = 4
    for index, extra in enumerate(pages):
        side = 32 >> index
        pixels = len(data)
        data += made.values(1, "uint8", side, side).tobytes()
        fields = {
            256: ifd.short_field(side),
            257: ifd.short_field(side),
            258: ifd.short_field(8),
            259: ifd.short_field(1),
            262: ifd.short_field(1),
            273: ifd.integer_field(4, [pixels]),
            277: ifd.short_field(1),
            278: ifd.short_field(side),
            279: ifd.integer_field(4, [side * side]),
            **extra,
        }
        struct.pack_into("<I", data, link, len(data))
        link = len(data) + 2 + 12 * len(fields)
        data += ifd.serialise(ifd.Tree(main=fields), len(data), "<", big=False)
    path.write_bytes(data)
    return path


def test_tiles_that_are_no_multiple_of_16(tmp_path: Path) -> None:
    """Compressed tiles of 20×12 pixels become tiles of 16×16, and the pixels stay."""
    source = fault("oddtile_deflate.tif")
    target = tmp_path / "a.tif"
    assert main(["correct", str(source), "-o", str(target), "--strength", "0", "--quiet"]) == 0
    with tifffile.TiffFile(target) as file:
        page = file.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        assert (page.tilewidth, page.tilelength, page.compression) == (16, 16, 8)
    np.testing.assert_array_equal(tifffile.imread(target), io.read_picture(source).pixels)


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20), st.integers(1, 999), st.integers(1, 999))
def test_tiles_that_may_be_written(across: int, down: int, width: int, height: int) -> None:
    """Sides are multiples of 16, not far larger than the picture, and else the nearest."""
    tile = written_tile((across, down), width, height)
    for side, given_side, length in zip(tile, (across, down), (width, height), strict=True):
        assert side % 16 == 0
        assert side > 0
        assert side < max(length + 16, 1025)
        assert abs(side - given_side) <= 8 or side == 16 or side >= max(length, 1024)


def test_textures(tmp_path: Path) -> None:
    """Of a mip-mapped OpenEXR texture the first level is written, tiled as it was."""
    source = fault("mipmapped.exr")
    target = tmp_path / "a.exr"
    assert main(["correct", str(source), "-o", str(target), "--strength", "0", "--quiet"]) == 0
    np.testing.assert_array_equal(io.read_picture(target).pixels, io.read_picture(source).pixels)
    file: Any = oiio.ImageInput.open(str(target))
    assert not file.seek_subimage(0, 1)
    assert file.spec().tile_width == 64
    assert file.spec().getattribute("oiio:AverageColor") is None


@pytest.mark.parametrize("kind", ["MakeTxTexture", "MakeTxEnvLatl"])
def test_textures_whose_sides_are_odd(kind: str, tmp_path: Path) -> None:
    """A texture of 70×50 pixels is read and written, and what it loses is named."""
    made.openimageio(tmp_path / "a.exr", made.values(3, "float32", 50, 70))
    buffer = oiio.ImageBuf(str(tmp_path / "a.exr"))
    assert oiio.ImageBufAlgo.make_texture(getattr(oiio, kind), buffer, str(tmp_path / "b.exr"))
    picture = io.read_picture(tmp_path / "b.exr")
    io.write_picture(tmp_path / "c.exr", picture.pixels, picture)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "c.exr").pixels, picture.pixels)
    dropped = picture.carrier.metadata.dropped
    assert "reduced copies" in dropped
    assert ("mark of an environment map" in dropped) == (kind == "MakeTxEnvLatl")


@pytest.mark.parametrize("compression", ["dwaa", "b44a", "pxr24", "piz", "rle", "zips"])
@pytest.mark.parametrize("tile", [None, (20, 12), (1, 1), (512, 8)])
@pytest.mark.parametrize("order", ["increasingY", "decreasingY", "randomY"])
def test_layouts_of_openexr(
    compression: str, tile: tuple[int, int] | None, order: str, tmp_path: Path
) -> None:
    """Every compression, tile and order of rows can be written again, wherever the window."""
    pixels = made.values(3, "float16", 33, 41)
    spec = oiio.ImageSpec(41, 33, 3, "half")
    spec.x, spec.y, spec.full_width, spec.full_height = -5, 7, 200, 100
    spec.attribute("compression", compression)
    spec.attribute("openexr:lineOrder", order)
    if tile:
        spec.tile_width, spec.tile_height = tile
    file: Any = oiio.ImageOutput.create("a.exr")
    assert file.open(str(tmp_path / "a.exr"), spec)
    assert file.write_image(pixels)
    file.close()
    picture = io.read_picture(tmp_path / "a.exr")
    io.write_picture(tmp_path / "b.exr", picture.pixels, picture)
    again = io.read_picture(tmp_path / "b.exr").pixels.astype(np.float32)
    np.testing.assert_allclose(again, picture.pixels, atol=0.03 if compression == "dwaa" else 0)


def test_reduced_copy_by_the_old_tag(tmp_path: Path) -> None:
    """A page that the old tag 255 calls a reduced copy is one."""
    source = fault("thumb255.tif")
    target = tmp_path / "a.tif"
    assert main(["correct", str(source), "-o", str(target), "--strength", "0", "--quiet"]) == 0
    np.testing.assert_array_equal(tifffile.imread(target), tifffile.imread(source, key=0))
    assert io.read_picture(source).carrier.metadata.dropped == ("reduced copies",)


def test_mask_is_called_one() -> None:
    """A page that holds a transparency mask is called that, not a second page."""
    with pytest.raises(ReadError, match="holds a transparency mask as a page of its own"):
        io.read_picture(fault("maskpage.tif"))


KINDS = {
    "old copy": ([{}, {255: ifd.short_field(2)}], None),
    "both tags": ([{}, {254: ifd.integer_field(4, [1]), 255: ifd.short_field(3)}], None),
    "old page": ([{255: ifd.short_field(1)}, {255: ifd.short_field(3)}], "has 2 pages"),
    "copy first": ([{255: ifd.short_field(2)}, {}], "begins with a reduced copy"),
    "reduced mask": ([{}, {254: ifd.integer_field(4, [5])}], None),
    "mask": ([{}, {254: ifd.integer_field(4, [4])}], "transparency mask as a page"),
    "mask by kind": ([{}, {262: ifd.short_field(4)}], "transparency mask as a page"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_of_pages(kind: str, tmp_path: Path) -> None:
    """Old and new tags say alike what a page is."""
    pages, message = KINDS[kind]
    path = tiff_file(tmp_path / "a.tif", *pages)
    if message is None:
        np.testing.assert_array_equal(io.read_picture(path).pixels, made.values(1, "uint8", 32, 32))
        return
    with pytest.raises(ReadError, match=message):
        io.read_picture(path)


@pytest.mark.parametrize(
    ("name", "word"), [("compression_jxl.tif", "JPEG XL"), ("compression_lerc.tif", "LERC")]
)
def test_compressions_that_are_not_read(name: str, word: str) -> None:
    """A compression that is not read is named, and the file is not called damaged."""
    with pytest.raises(ReadError, match=f"is compressed by {word}, which is not read"):
        io.read_picture(fault(name))


@pytest.mark.parametrize(
    ("number", "word"),
    [(34712, "JPEG 2000"), (34925, "LZMA"), (50000, "Zstandard"), (34661, "JBIG"), (4242, "4242")],
)
def test_other_compressions_that_are_not_read(number: int, word: str, tmp_path: Path) -> None:
    """So is each other one, with its number where it has no name."""
    path = tiff_file(tmp_path / "a.tif", {259: ifd.short_field(number)})
    with pytest.raises(ReadError, match=f"is compressed by .*{word}"):
        io.read_picture(path)


@pytest.mark.parametrize("name", ["jpeg", "webp", "packbits", "lzw", "deflate", "ccittfax4"])
def test_compressions_that_are_read(name: str, tmp_path: Path) -> None:
    """What is read can be written: in its own compression, or in the nearest without loss."""
    import pyvips

    gray = name == "ccittfax4"
    pixels = made.values(1 if gray else 3, "uint8", 64, 64)
    options = {"bitdepth": 1} if gray else {}
    if gray:
        pixels = np.where(pixels > 100, 255, 0).astype(np.uint8)
    image = pyvips.Image.new_from_array(pixels)
    image.tiffsave(str(tmp_path / "a.tif"), compression=name, **options)
    picture = io.read_picture(tmp_path / "a.tif")
    io.write_picture(tmp_path / "b.tif", picture.pixels, picture)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "b.tif").pixels, picture.pixels)


def test_small_jpeg_2000_is_refused_before_the_work(tmp_path: Path) -> None:
    """A picture too small for JPEG 2000 is refused when the file is opened, not at its end."""
    made.pillow(tmp_path / "a.png", made.values(3, "uint8", 20, 90))
    picture = io.read_picture(tmp_path / "a.png")
    with (
        pytest.raises(InputError, match="at least 32 pixels a side; the picture has 20×90"),
        io.create_picture(tmp_path / "a.jp2", picture),
    ):
        raise AssertionError("work began")


@pytest.mark.parametrize("kind", ["L", "RGB", "RGBA"])
def test_flat_pictures_in_jpeg_xl(kind: str, tmp_path: Path) -> None:
    """Flat pictures, whose files have less than 128 bytes, are written and read."""
    image = Image.new(kind, (40, 30), "black")
    image.save(tmp_path / "a.png")
    pixels = np.asarray(image).reshape(30, 40, -1)
    for source, target in (("a.png", "b.jxl"), ("b.jxl", "c.jxl")):
        command = ["correct", str(tmp_path / source), "-o", str(tmp_path / target), "--quiet"]
        assert main([*command, "--strength", "0"]) == 0
        np.testing.assert_array_equal(io.read_picture(tmp_path / target).pixels, pixels)
    assert (tmp_path / "b.jxl").stat().st_size < 128
