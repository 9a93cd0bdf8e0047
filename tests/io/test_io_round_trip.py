from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import io_samples as made
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from io_samples import SAMPLES, Sample
from PIL import Image, ImageOps, JpegImagePlugin
from PIL.PngImagePlugin import PngInfo

from drht_plugin import io
from drht_plugin.io import _oiio
from drht_plugin.io._pixels import reduce_bits
from drht_plugin.io.metadata import boxes, ifd
from drht_plugin.io.metadata.types import Metadata
from drht_plugin.io.metadata.types import orientation as orientation_of

by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
UNKNOWN = ("tiff-float-alpha", "tiff-half", "tiff-gray-alpha")  # to Pillow
PILLOW = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")


def again(source: Path, target: Path) -> tuple[io.Picture, io.Picture]:
    """Read, write untouched, read what was written."""
    picture = io.read_picture(source)
    io.write_picture(target, picture.pixels, picture)
    return picture, io.read_picture(target)


@by_name
def test_pixels(sample: Sample, tmp_path: Path) -> None:
    """Pixels are read as they were stored, and come back with their type, exactly if lossless."""
    source, pixels = sample.create(tmp_path)
    first, second = again(source, tmp_path / f"target{sample.suffix}")
    assert first.pixels.dtype == second.pixels.dtype == sample.dtype
    assert first.pixels.shape == second.pixels.shape == pixels.shape
    assert first.pixels.flags.c_contiguous
    linear = sample.suffix in (".exr", ".hdr", ".pfm")
    assert first.transfer == ("linear" if linear else "srgb")
    if sample.lossless:
        np.testing.assert_array_equal(first.pixels, pixels)
        np.testing.assert_array_equal(second.pixels, pixels)
    else:
        top = np.iinfo(sample.dtype).max if sample.dtype[0] == "u" else 1.0
        difference = second.pixels.astype(float) - first.pixels.astype(float)
        assert np.abs(difference).mean() < 0.02 * top


@by_name
def test_metadata(sample: Sample, tmp_path: Path) -> None:
    """Profile, EXIF, XMP and density come back byte for byte."""
    source, _ = sample.create(tmp_path)
    first, second = (p.carrier.metadata for p in again(source, tmp_path / f"t{sample.suffix}"))
    assert (first.icc == made.profile()) == sample.icc
    assert second.icc == first.icc
    assert second.xmp == first.xmp
    if sample.xmp:
        assert first.xmp == made.XMP
    assert second.density == first.density
    if sample.density:
        assert first.density == pytest.approx((made.DENSITY, made.DENSITY), rel=1e-4)
    if sample.suffix in (".tif", ".tiff"):  # little-endian when written
        trees = [ifd.parse(part.exif or b"") for part in (first, second)]
        assert replace(trees[0], order="<") == trees[1]
    else:
        assert second.exif == first.exif


@pytest.mark.parametrize(
    "sample",
    [s for s in SAMPLES if s.suffix in PILLOW and s.name not in UNKNOWN],
    ids=lambda sample: sample.name,
)
def test_metadata_by_pillow(sample: Sample, tmp_path: Path) -> None:
    """Pillow, which shares no code with us, reads the same from the file that we wrote."""
    source, _ = sample.create(tmp_path)
    target = tmp_path / f"target{sample.suffix}"
    again(source, target)
    before, after = made.tags(source), made.tags(target)
    assert after == before
    if sample.exif:
        assert after["MakerNote"] == made.NOTE
        assert after["DateTimeOriginal"] == made.TAKEN
        assert after["Latitude"] == (48.0, 51.0, 29.9)
        assert after["LensSpecification"] == (24.0, 70.0, 2.8, 4.0)
        assert after["Orientation"] == before["Orientation"]
        assert after["Orientation"] is not None
    if sample.dtype in ("uint8", "uint16") and sample.channels != 2:
        with Image.open(source) as old, Image.open(target) as new:
            assert new.info.get("icc_profile") == old.info.get("icc_profile")
            if sample.density and sample.suffix != ".webp":
                assert new.info["dpi"] == pytest.approx((made.DENSITY,) * 2, rel=1e-4)


TARGETS = [".jpg", ".png", ".webp", ".tif", ".avif", ".jxl", ".jp2"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", TARGETS)
def test_orientation_across_formats(suffix: str, orientation: int, tmp_path: Path) -> None:
    """A turned picture is shown alike in every format, and never turned twice.

    By its tag, or turned for good where tags mean nothing.
    """
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, :16] = 250  # a bright corner, seen after lossy coding too
    pixels[:16, 48:] = 120
    made.pillow(tmp_path / "source.png", pixels, exif=made.exif(orientation))
    _, second = again(tmp_path / "source.png", tmp_path / f"target{suffix}")
    tagged = suffix in (".jpg", ".png", ".webp", ".tif")
    assert orientation_of(second.carrier.metadata) == (orientation if tagged else 1)
    with Image.open(tmp_path / "source.png") as image:
        shown = np.asarray(image if tagged else ImageOps.exif_transpose(image))
    assert second.pixels.shape == shown.shape
    assert np.abs(second.pixels.astype(int) - shown).mean() < 3


@pytest.mark.parametrize("suffix", TARGETS)
def test_metadata_across_formats(suffix: str, tmp_path: Path) -> None:
    """EXIF, profile, XMP and density go from JPEG to every format that has a place for them."""
    source, target = tmp_path / "source.jpg", tmp_path / f"target{suffix}"
    made.pillow(source, made.values(3, "uint8"), exif=made.exif(1), xmp=made.XMP)
    first, second = (picture.carrier.metadata for picture in again(source, target))
    # Lossy JPEG XL has a profile of its own, of the same colours (test_io_lossy).
    assert first.icc == made.profile()
    assert second.icc if suffix == ".jxl" else second.icc == first.icc
    assert second.xmp == made.XMP
    assert second.density == pytest.approx((made.DENSITY,) * 2, rel=1e-4)
    if suffix in (*PILLOW, ".avif"):
        assert made.tags(target) == made.tags(source)
    if suffix not in (".tif", ".jpg"):  # TIFF's EXIF is a part of its directory
        assert second.exif == first.exif


def test_exif_of_an_avif_by_pillow(tmp_path: Path) -> None:
    """Fields that libexif does not know, or knows better, come byte for byte into an AVIF file."""
    exif = Image.Exif()
    exif[0x010F], exif[0x4746] = "Canon", 4
    exif.get_ifd(0x8769)[0x927C] = b"\3\0no directory of Canon's"
    Image.fromarray(made.values(3, "uint8")).save(tmp_path / "a.png", exif=exif)
    again(tmp_path / "a.png", tmp_path / "b.avif")
    with Image.open(tmp_path / "a.png") as old, Image.open(tmp_path / "b.avif") as new:
        signature = b"Exif\0\0"
        assert new.info["exif"].removeprefix(signature) == old.info["exif"].removeprefix(signature)


@pytest.mark.parametrize("suffix", TARGETS)
def test_no_metadata_is_made_up(suffix: str, tmp_path: Path) -> None:
    """A picture without EXIF, XMP and resolution has none in any format afterwards."""
    source, target = tmp_path / "source.ppm", tmp_path / f"target{suffix}"
    Image.fromarray(made.values(3, "uint8")).save(source)
    _, second = again(source, target)
    found = second.carrier.metadata
    assert (found.xmp, found.density) == (None, None)
    block = Image.Exif()
    block.load(found.exif or b"")
    assert dict(block) == {}


@pytest.mark.parametrize("suffix", [".jxl", ".jp2"])
def test_boxes_follow_one_without_a_size(suffix: str, tmp_path: Path) -> None:
    """A last box that runs to the end of the file gets its size before others follow it."""
    path = tmp_path / f"a{suffix}"
    made.openimageio(path, made.values(3, "uint8"), icc=made.profile())
    whole = path.read_bytes()
    last = whole.rindex(b"jxlp" if suffix == ".jxl" else b"jp2c") - 4
    path.write_bytes(whole[:last] + bytes(4) + whole[last + 4 :])
    boxes.append(str(path), Metadata(xmp=made.XMP))
    picture = io.read_picture(path)
    assert picture.carrier.metadata.xmp == made.XMP
    np.testing.assert_array_equal(picture.pixels, made.values(3, "uint8"))


def test_orientation_is_not_applied_to_pixels(tmp_path: Path) -> None:
    """A turned JPEG's pixels are given as coded."""
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"), exif=made.exif(6))
    assert io.read_picture(tmp_path / "a.jpg").pixels.shape == (made.HEIGHT, made.WIDTH, 3)


def test_avif_turned_by_its_decoder_is_not_turned_again(tmp_path: Path) -> None:
    """An AVIF that is stored turned comes upright, and says so in its EXIF when written."""
    made.pillow(tmp_path / "a.avif", made.values(3, "uint8"), exif=made.exif(6), quality=90)
    first, second = again(tmp_path / "a.avif", tmp_path / "b.avif")
    assert first.pixels.shape == second.pixels.shape == (made.WIDTH, made.HEIGHT, 3)
    assert made.tags(tmp_path / "b.avif")["Orientation"] in (None, 1)


def test_orientation_tag_of_an_avif_means_nothing(tmp_path: Path) -> None:
    """The EXIF orientation of an AVIF, which viewers disregard, is not handed on to a PNG."""
    made.vips(tmp_path / "a.avif", made.values(3, "uint8"), lossless=True)
    data = (tmp_path / "a.avif").read_bytes()
    entry = bytes.fromhex("0112 0003 00000001")  # orientation, one short
    entry = entry if entry in data else bytes.fromhex("1201 0300 01000000")
    at = data.index(entry) + len(entry)
    value = data[at : at + 2].replace(b"\1", b"\6")
    (tmp_path / "a.avif").write_bytes(data[:at] + value + data[at + 2 :])
    first, second = again(tmp_path / "a.avif", tmp_path / "b.png")
    assert first.pixels.shape == second.pixels.shape == (made.HEIGHT, made.WIDTH, 3)
    assert made.tags(tmp_path / "b.png")["Orientation"] == 1


@pytest.mark.parametrize("quality", [30, 75, 87, 96])
@pytest.mark.parametrize(("subsampling", "expected"), [(0, 0), (2, 2)])
def test_jpeg_keeps_its_quality(
    quality: int, subsampling: int, expected: int, tmp_path: Path
) -> None:
    """A JPEG is written with its source's quantisers, chroma size and kind of scan."""
    made.pillow(
        tmp_path / "a.jpg",
        made.values(3, "uint8"),
        quality=quality,
        subsampling=subsampling,
        progressive=quality > 80,
    )
    again(tmp_path / "a.jpg", tmp_path / "b.jpg")
    with Image.open(tmp_path / "a.jpg") as old, Image.open(tmp_path / "b.jpg") as new:
        assert isinstance(old, JpegImagePlugin.JpegImageFile)
        assert isinstance(new, JpegImagePlugin.JpegImageFile)
        assert new.quantization == old.quantization
        assert ("progressive" in new.info) == ("progressive" in old.info) == (quality > 80)
        assert JpegImagePlugin.get_sampling(new) == expected


def test_quality_overrides(tmp_path: Path) -> None:
    """The quality asked for is the one used."""
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"), quality=95)
    picture = io.read_picture(tmp_path / "a.jpg")
    sizes = []
    for quality in (20, 60, 100):
        for suffix in ("jpg", "webp", "avif"):
            target = tmp_path / f"{quality}.{suffix}"
            io.write_picture(target, picture.pixels, picture, quality=quality)
            sizes.append(target.stat().st_size)
    for index in range(3):
        assert sizes[index] < sizes[index + 3] < sizes[index + 6]


def test_tiff_keeps_its_storage(tmp_path: Path) -> None:
    """Compression, tiles, 64-bit offsets and private tags of a TIFF come back."""
    for name, compression, code in [("a", "zlib", 8), ("b", "packbits", 32773), ("c", None, 1)]:
        path = tmp_path / f"{name}.tif"
        options: dict[str, Any] = {"compression": compression} if name != "b" else {}
        made.tiff(path, made.values(3, "uint8"), bigtiff=True, tile=(16, 16), **options)
        if name == "b":
            made.openimageio(path, made.values(3, "uint8"), compression="packbits")
        again(path, tmp_path / "out.tif")
        with tifffile.TiffFile(tmp_path / "out.tif") as file:
            page = file.pages.first
            assert page.compression == code
            assert page.is_tiled == file.is_bigtiff == (name != "b")
            if name != "b":
                assert page.tags[65000].value == (7, 8, 9)


def test_private_tags_stay_in_tiff(tmp_path: Path) -> None:
    """A large private tag comes back in a TIFF, at an even offset, and does not burden a JPEG."""
    private = [(65000, 1, 5001, b"x" * 5001, True), (65001, 2, 0, "odd number", True)]
    made.tiff(tmp_path / "a.tif", made.values(3, "uint8"), extratags=private)
    again(tmp_path / "a.tif", tmp_path / "b.tif")
    again(tmp_path / "a.tif", tmp_path / "b.jpg")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages.first.tags
        assert bytes(tags[65000].value) == b"x" * 5001
        assert tags[65001].value == "odd number"
        assert all(tag.valueoffset % 2 == 0 for tag in tags)
    with Image.open(tmp_path / "b.jpg") as image:
        assert 65000 not in image.getexif()
        assert image.getexif()[65001] == "odd number"


def test_large_tiff_gets_64_bit_offsets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the size that 32-bit offsets reach, a BigTIFF is written, unasked."""
    made.pillow(tmp_path / "a.png", made.values(3, "uint8"))
    monkeypatch.setattr(_oiio, "BIG_TIFF_BYTES", 1000)
    again(tmp_path / "a.png", tmp_path / "b.tif")
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.is_bigtiff
    assert made.tags(tmp_path / "b.tif") == made.tags(tmp_path / "a.png")


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_exr_alpha(dtype: str, channels: int, tmp_path: Path) -> None:
    """Associated alpha is undone for the caller and restored in the file.

    Exactly for half floats and where alpha is 0, to one unit in the last place for float32.
    """
    values = made.values(channels, dtype) * np.array(4, dtype)
    values[..., -1] = made.values(1, dtype, seed=1)[..., 0]
    values[:4, :, -1] = 0
    values[4, :, -1] = 6e-8
    made.openimageio(tmp_path / "a.exr", values, compression="piz", Make="ACME")
    first, _ = again(tmp_path / "a.exr", tmp_path / "b.exr")
    alpha = values[..., -1:].astype(np.float32)
    plain = values[..., :-1].astype(np.float32)
    expected = np.where(alpha > 0, plain / np.where(alpha > 0, alpha, 1), plain)
    np.testing.assert_allclose(first.pixels[..., :-1], expected, rtol=1e-6)
    np.testing.assert_array_equal(first.pixels[..., -1:], alpha)
    written = made.stored(tmp_path / "b.exr")
    assert written.dtype == dtype
    np.testing.assert_array_equal(written[:4], values[:4])
    if dtype == "float16":
        np.testing.assert_array_equal(written, values)
    else:
        np.testing.assert_allclose(written, values, rtol=2**-23)


def test_exr_header_is_kept(tmp_path: Path) -> None:
    """Compression and attributes of an OpenEXR come back."""
    made.openimageio(tmp_path / "a.exr", made.values(3, "float16"), compression="piz", Make="ACME")
    again(tmp_path / "a.exr", tmp_path / "b.exr")
    spec = made.header(tmp_path / "b.exr")
    assert spec.getattribute("compression") == "piz"
    assert spec.getattribute("Make") == "ACME"


def test_exr_beyond_the_half_range(tmp_path: Path) -> None:
    """Corrected values too large for a half-float source are stored as its largest number.

    The file's own infinities stay.
    """
    values = made.values(4, "float16")
    values[..., 3] = 1
    values[0, 0, 0] = np.inf
    made.openimageio(tmp_path / "a.exr", values)
    picture = io.read_picture(tmp_path / "a.exr")
    brighter = picture.pixels.copy()
    brighter[1, 1, 1] = 1e6
    io.write_picture(tmp_path / "b.exr", brighter, picture)
    values[1, 1, 1] = 65504
    np.testing.assert_array_equal(made.stored(tmp_path / "b.exr"), values)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_tiff_associated_alpha(dtype: str, tmp_path: Path) -> None:
    """A TIFF with associated alpha gives straight alpha, and its own values back when written."""
    values = made.values(4, dtype)
    values[..., :3] = np.minimum(values[..., :3], values[..., 3:])
    made.tiff(tmp_path / "a.tif", values, extrasamples=["assocalpha"])
    first, second = again(tmp_path / "a.tif", tmp_path / "b.tif")
    opaque = values[..., 3] == np.iinfo(dtype).max
    np.testing.assert_array_equal(first.pixels[opaque], values[opaque])
    assert first.pixels[..., :3].mean() > values[..., :3].mean()
    np.testing.assert_array_equal(made.stored(tmp_path / "b.tif"), values)
    np.testing.assert_array_equal(second.pixels, first.pixels)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert file.pages.first.tags["ExtraSamples"].value == (1,)


@pytest.mark.parametrize("mode", ["1", "P", "L"])
def test_few_bits_become_eight(mode: str, tmp_path: Path) -> None:
    """Palettes and single bits are expanded to what they show."""
    image = Image.fromarray(made.values(3, "uint8")).convert(mode)
    image.save(tmp_path / "a.png")
    shown = np.asarray(image.convert("RGB" if mode == "P" else "L"))
    picture = io.read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(picture.pixels.squeeze(), shown)
    assert picture.pixels.dtype == np.uint8


def test_avif_white_is_white(tmp_path: Path) -> None:
    """The ends of 10 bits are the ends of uint16, and every level survives."""
    levels = np.arange(1024, dtype=np.uint32).reshape(32, 32, 1).repeat(3, 2)
    made.vips(tmp_path / "a.avif", (levels << 6).astype(np.uint16), lossless=True, bitdepth=10)
    pixels = io.read_picture(tmp_path / "a.avif").pixels
    np.testing.assert_array_equal(np.rint(pixels * (1023 / 65535)), levels)
    assert (pixels.min(), pixels.max()) == (0, 65535)
    np.testing.assert_array_equal(reduce_bits(pixels, 10) >> 6, levels)


def test_png_text_and_jpeg_comment_are_kept(tmp_path: Path) -> None:
    """What only one format has stays when that format is written again."""
    info = PngInfo()
    info.add_text("Author", "somebody")
    made.pillow(tmp_path / "a.png", made.values(3, "uint8"), pnginfo=info)
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"), comment=b"a comment")
    for suffix, key, value in [("png", "Author", "somebody"), ("jpg", "comment", b"a comment")]:
        again(tmp_path / f"a.{suffix}", tmp_path / f"b.{suffix}")
        with Image.open(tmp_path / f"b.{suffix}") as image:
            assert image.info[key] == value


def test_long_profile_spans_segments(tmp_path: Path) -> None:
    """A profile longer than one JPEG segment comes back whole."""
    long = made.profile() + bytes(range(256)) * 600
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"), icc_profile=long)
    _, second = again(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert second.carrier.metadata.icc == long
    with Image.open(tmp_path / "b.jpg") as image:
        assert image.info["icc_profile"] == long


def test_thumbnail_of_the_old_picture_is_dropped(tmp_path: Path) -> None:
    """The EXIF preview, which shows the picture uncorrected, is not handed on."""
    block = made.exif().removeprefix(b"Exif\0\0")
    order: Literal["little", "big"] = "little" if block[:2] == b"II" else "big"
    start = int.from_bytes(block[4:8], order)
    count = int.from_bytes(block[start : start + 2], order)
    link = start + 2 + 12 * count
    second = (1).to_bytes(2, order) + bytes(12) + bytes(4)
    linked = block[:link] + len(block).to_bytes(4, order) + block[link + 4 :] + second
    assert len(ifd.directories(linked)) == 2
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"), exif=b"Exif\0\0" + linked)
    _, picture = again(tmp_path / "a.jpg", tmp_path / "b.jpg")
    assert picture.carrier.metadata.exif is not None
    assert len(ifd.directories(picture.carrier.metadata.exif)) == 1


def test_damaged_exif_does_not_stop_a_picture(tmp_path: Path) -> None:
    """A picture with unreadable EXIF is read and written without it."""
    made.pillow(tmp_path / "a.jpg", made.values(3, "uint8"), exif=b"Exif\0\0II*\0\xff\xff\xff\x7f")
    for suffix in ("jpg", "tif", "png"):
        _, second = again(tmp_path / "a.jpg", tmp_path / f"b.{suffix}")
        assert "Make" not in str(second.carrier.metadata.exif)


def test_rewritten_file_is_read_anew(tmp_path: Path) -> None:
    """A file that was rewritten under its name gives its new pixels."""
    for suffix in (".png", ".tif"):
        path = tmp_path / f"a{suffix}"
        for seed in range(3):
            pixels = made.values(3, "uint8", seed=seed)
            made.pillow(path, pixels)
            np.testing.assert_array_equal(io.read_picture(path).pixels, pixels)


def test_suffix_case_and_odd_names(tmp_path: Path) -> None:
    """Capital suffixes and names with blanks, brackets, accents and signs are plain names."""
    for name in ("A.PNG", "a b[1].TIF", "é?x=1#.tif", "50%d.png", "-.jpg"):
        made.pillow(tmp_path / "a.png", made.values(3, "uint8"))
        again(tmp_path / "a.png", tmp_path / name)
        picture = io.read_picture(tmp_path / name)
        assert picture.pixels.shape == (made.HEIGHT, made.WIDTH, 3)


shapes = st.one_of(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.just((1, 1)),
    st.tuples(st.just(1), st.integers(1, 200)),
    st.tuples(st.integers(1, 200), st.just(1)),
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    kind=st.sampled_from(
        [(".png", "uint8"), (".png", "uint16")]
        + [(".tif", dtype) for dtype in ("uint8", "uint16", "float16", "float32")]
    ),
    channels=st.integers(1, 4),
    shape=shapes,
    seed=st.integers(0, 99),
)
def test_any_shape(
    kind: tuple[str, str], channels: int, shape: tuple[int, int], seed: int, tmp_path: Path
) -> None:
    """PNG and TIFF give back any shape, type and number of channels exactly."""
    suffix, dtype = kind
    pixels = made.values(channels, dtype, *shape, seed=seed)
    source = tmp_path / "source.tif"
    extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
    icc: dict[str, Any] = {} if channels > 2 else {"iccprofile": None}
    made.tiff(source, pixels, **extra, **icc)
    first, second = again(source, tmp_path / f"target{suffix}")
    for picture in (first, second):
        assert picture.pixels.dtype == dtype
        np.testing.assert_array_equal(picture.pixels, pixels)
