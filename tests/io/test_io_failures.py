import base64
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import tifffile
from io_samples import SAMPLES, Sample
from PIL import Image

from drht_plugin import io
from drht_plugin.errors import InputError, ReadError, WriteError
from drht_plugin.io._formats import sniff

by_name = pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)


def picture(folder: Path, channels: int = 3) -> io.Picture:
    made.pillow(folder / "source.png", made.values(channels, "uint8"))
    return io.read_picture(folder / "source.png")


def refused(path: Path) -> str:
    with pytest.raises(ReadError) as caught:
        io.read_picture(path)
    message = str(caught.value)
    assert message.startswith(path.name + ": ")
    assert "\n" not in message
    return message


@by_name
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.99])
def test_truncated(
    sample: Sample, part: float, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A file cut short anywhere is an error that names it, never half a picture, and no noise."""
    path, _ = sample.create(tmp_path)
    capfd.readouterr()
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * part)])
    assert "is damaged or ends early (" in refused(path)
    assert capfd.readouterr() == ("", "")


@by_name
def test_cut_off_in_the_header(sample: Sample, tmp_path: Path) -> None:
    """A file of which a few bytes are left is refused by name, however few they are."""
    path, _ = sample.create(tmp_path)
    data = path.read_bytes()
    for length in range(1, 33):
        path.write_bytes(data[:length])
        refused(path)


@by_name
def test_our_own_files_truncated(sample: Sample, tmp_path: Path) -> None:
    """What we wrote is no less guarded: losing its last part is noticed."""
    source, _ = sample.create(tmp_path)
    first = io.read_picture(source)
    path = tmp_path / f"target{sample.suffix}"
    io.write_picture(path, first.pixels, first)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "is damaged or ends early (" in refused(path)


@pytest.mark.parametrize(
    "sample", [s for s in SAMPLES if s.xmp or s.lossless], ids=lambda sample: sample.name
)
def test_scrambled(sample: Sample, tmp_path: Path) -> None:
    """A file with wrong bytes in its first part is read or refused, never a foreign exception."""
    path, _ = sample.create(tmp_path)
    data = path.read_bytes()
    random = np.random.default_rng(0)
    for _ in range(12):
        scrambled = bytearray(data)
        for at in random.integers(4, min(len(data), 1500), 6):
            scrambled[at] = random.integers(256)
        path.write_bytes(scrambled)
        with suppress(ReadError):
            picture = io.read_picture(path)
            with suppress(WriteError):
                io.write_picture(tmp_path / f"b{sample.suffix}", picture.pixels, picture)


def test_no_picture_files(tmp_path: Path) -> None:
    """Empty, foreign, missing and unreadable files say what they are."""
    (tmp_path / "photo.jpg").write_bytes(b"")
    assert refused(tmp_path / "photo.jpg") == "photo.jpg: is empty (0 bytes)"
    (tmp_path / "text.png").write_text("no picture at all")
    assert refused(tmp_path / "text.png") == "text.png: is not a PNG picture"
    assert "No such file" in refused(tmp_path / "missing.tif")
    (tmp_path / "folder.png").mkdir()
    assert "is a folder" in refused(tmp_path / "folder.png")
    (tmp_path / "a.xyz").write_bytes(b"data")
    assert "is not a picture that is read; these are: .3fr" in refused(tmp_path / "a.xyz")
    (tmp_path / "page.png").write_bytes(b"%PDF-1.7\n")
    assert refused(tmp_path / "page.png") == "page.png: is a PDF file, which is not read"


@pytest.mark.parametrize(
    ("real", "name"),
    [
        ("png", "photo.jpg"),
        ("jpg", "photo.tif"),
        ("tif", "photo.png"),
        ("webp", "photo.avif"),
        ("avif", "photo.heic"),
        ("gif", "photo.png"),
        ("bmp", "photo.webp"),
        ("jp2", "photo.exr"),
        ("png", "photo.backup"),
        ("tif", "photo"),
    ],
)
def test_misnamed(real: str, name: str, tmp_path: Path) -> None:
    """A file of another format than its name says is read as what it is."""
    path = tmp_path / f"a.{real}"
    made.pillow(path, made.values(3, "uint8"), exif=None, icc_profile=None)
    told = io.read_picture(path)
    path.rename(tmp_path / name)
    found = io.read_picture(tmp_path / name)
    assert found.carrier.format == told.carrier.format
    np.testing.assert_array_equal(found.pixels, told.pixels)


def animated(path: Path) -> None:
    frames = [Image.fromarray(made.values(3, "uint8", seed=seed)) for seed in range(2)]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100)


def several_pages(path: Path) -> None:
    import pyvips

    image = pyvips.Image.new_from_array(made.values(3, "uint8", 32, 16))
    image.copy(interpretation="srgb").write_to_file(str(path), page_height=16)


def jpeg_frame(marker: int = 0xC0, depth: int = 8) -> Callable[[Path], None]:
    """Makes a JPEG whose frame states another coding or depth."""

    def make(path: Path) -> None:
        made.pillow(path, made.values(3, "uint8"))
        data = bytearray(path.read_bytes())
        at = data.index(b"\xff\xc0")
        data[at + 1], data[at + 4] = marker, depth
        path.write_bytes(data)

    return make


def animated_jxl(path: Path) -> None:
    """Two frames of 8×8 pixels, by libjxl."""
    path.write_bytes(
        base64.b85decode(
            "{|Z3_O#mP!2m}ED=m1M7CDwt0f`Acc#xTYh#$eG41Q756{~z=J|NsC0|NsC0|Njr{@9Lim4mk%#y2O>k2tEWkxd0{s"
            "2m}QHr~peiK=pDRK0RSO1qB5q0Scguh(e4~WiAjvKn58J0)ZP@|4O|7fz|#4"
        )
    )


def jp2_samples(depth: int) -> Callable[[Path], None]:
    """Makes a JPEG 2000 file whose codestream states another depth of its components."""

    def make(path: Path) -> None:
        Image.fromarray(made.values(3, "uint8", 40, 50)).save(path)
        data = bytearray(path.read_bytes())
        at = data.index(bytes.fromhex("ff4fff51")) + 42
        data[at : at + 9 : 3] = bytes([depth] * 3)
        path.write_bytes(data)

    return make


def luminance_chroma(path: Path) -> None:
    """An OpenEXR header with chroma at half the resolution."""
    made.openimageio(path, made.values(3, "float16"), names=("BY", "RY", "Y"))
    data = bytearray(path.read_bytes())
    for name in (b"BY\0", b"RY\0"):
        at = data.index(name) + len(name) + 8
        data[at : at + 8] = (2).to_bytes(4, "little") * 2
    path.write_bytes(data)


def two_channels(path: Path) -> None:
    Image.fromarray(made.values(2, "uint8", 40, 50), "LA").save(path)


def oddly(**options: Any) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        pixels = options.pop("pixels")
        tifffile.imwrite(path, pixels, metadata=None, **options)

    return make


def tagged(tag: str, value: int) -> Callable[[Path], None]:
    """Makes a TIFF that says another value of a tag."""

    def make(path: Path) -> None:
        made.tiff(path, made.values(3, "uint8"))
        data = bytearray(path.read_bytes())
        with tifffile.TiffFile(path) as file:
            at = file.pages.first.tags[tag].valueoffset
        data[at : at + 2] = value.to_bytes(2, "little")
        path.write_bytes(data)

    return make


def several_parts(path: Path) -> None:
    import OpenImageIO as oiio

    specs = [oiio.ImageSpec(8, 8, 3, "half") for _ in range(2)]
    target: Any = oiio.ImageOutput.create(str(path))
    assert target.open(str(path), specs)
    target.write_image(made.values(3, "float16", 8, 8))
    target.open(str(path), specs[1], "AppendSubimage")
    target.write_image(made.values(3, "float16", 8, 8))
    target.close()


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("a.png", animated, "is an animation"),
        ("a.webp", animated, "is an animation"),
        ("a.avif", animated, "is an animation"),
        ("a.jxl", animated_jxl, "is an animation"),
        ("a.jpg", jpeg_frame(depth=12), "has 12-bit samples; only 8 bits are read in JPEG"),
        ("a.jpg", jpeg_frame(marker=0xF7), "is a JPEG-LS picture"),
        ("a.jp2", jp2_samples(0x87), "has signed integer samples"),
        ("a.jp2", jp2_samples(23), "has 24-bit samples; at most 16 bits are read"),
        ("a.jp2", two_channels, "has 2 channels; 1, 3 and 4 are read"),
        ("a.avif", several_pages, "has 2 pages"),
        ("a.tif", animated, "has 2 pages"),
        (
            "a.tif",
            oddly(pixels=made.values(3, "uint8"), photometric="cielab"),
            "is a CIE Lab picture",
        ),
        (
            "a.tif",
            oddly(pixels=made.values(5, "uint8"), photometric="rgb", planarconfig="contig"),
            "RGB picture with 5 channels",
        ),
        (
            "a.tif",
            oddly(pixels=made.values(3, "uint8").astype("uint32"), photometric="rgb"),
            "32-bit unsigned integer samples",
        ),
        (
            "a.tif",
            oddly(pixels=made.values(3, "uint8").astype("float64"), photometric="rgb"),
            "64-bit float samples",
        ),
        (
            "a.tif",
            oddly(pixels=made.values(3, "uint8").astype("int16"), photometric="rgb"),
            "16-bit signed integer samples",
        ),
        (
            "a.tif",
            oddly(pixels=made.values(3, "uint8"), photometric="rgb", subfiletype=1),
            "begins with a reduced copy",
        ),
        (
            "a.tif",
            oddly(
                pixels=np.zeros((4, 32, 48), "uint8"),
                photometric="separated",
                planarconfig="separate",
                tile=(16, 16),
            ),
            "is a CMYK picture in tiles of one ink each",
        ),
        ("a.tif", tagged("Compression", 50000), "is compressed by Zstandard"),
        *(
            ("a.tif", tagged("PhotometricInterpretation", kind), f"is a {name} picture")
            for kind, name in (
                (9, "ICC Lab"),
                (10, "ITU Lab"),
                (32803, "camera raw"),
                (32844, "LogL"),
                (32845, "LogLuv"),
                (34892, "camera raw"),
            )
        ),
        (
            "a.exr",
            lambda path: made.openimageio(
                path, made.values(3, "float16"), names=("R", "G", "depth.Z")
            ),
            "has the channels G, R, depth.Z; only Y, RGB and A are read",
        ),
        (
            "a.exr",
            lambda path: made.openimageio(
                path, made.values(3, "float16"), names=("N.X", "N.Y", "N.Z")
            ),
            "has the channels N.X, N.Y, N.Z; only Y, RGB and A are read",
        ),
        ("a.exr", luminance_chroma, "is of a kind that is not read (Subsampled channels"),
        ("a.exr", several_parts, "has the layers "),
    ],
)
def test_unsupported_kinds(
    name: str, make: Callable[[Path], None], words: str, tmp_path: Path
) -> None:
    """Kinds that are not read are refused by what they are, not as damaged."""
    make(tmp_path / name)
    message = refused(tmp_path / name)
    assert words in message
    assert "damaged" not in message


@pytest.mark.parametrize(
    ("channels", "dtype", "target", "holders"),
    [
        (3, "uint16", "b.jpg", ".png, .tif, .jxl, .jp2, .ppm can"),
        (4, "uint8", "b.jpg", ".png, .webp, .tif, .avif"),
        (3, "uint16", "b.webp", ".png, .tif"),
        (3, "uint16", "b.avif", ".png, .tif"),
        (3, "float32", "b.png", ".tif, .jxl can"),
        (3, "float16", "b.exr", ".tif, .jxl can"),
        (2, "uint8", "b.jxl", ".png, .tif can"),
        (1, "uint8", "b.webp", ".jpg, .png"),
    ],
)
def test_what_a_format_cannot_hold(
    channels: int, dtype: str, target: str, holders: str, tmp_path: Path
) -> None:
    """Depth, alpha and encoding are never dropped: the error names the type and who holds it."""
    source = tmp_path / "a.tif"
    options: dict[str, Any] = {"iccprofile": None} if channels < 3 else {}
    if channels in (2, 4):
        options["extrasamples"] = ["unassalpha"]
    made.tiff(source, made.values(channels, dtype), **options)
    first = io.read_picture(source)
    with pytest.raises(InputError, match=dtype) as caught:
        io.write_picture(tmp_path / target, first.pixels, first)
    assert str(caught.value).startswith(target + ": ")
    for holder in holders.removesuffix(" can").split(", "):
        assert holder in str(caught.value)
        io.write_picture(tmp_path / f"c{holder}", first.pixels, first)
    assert not (tmp_path / target).exists()


def test_other_pixels_than_the_pictures(tmp_path: Path) -> None:
    """Another shape or type than the picture's, and a silly quality or suffix, are refused."""
    first = picture(tmp_path)
    target = tmp_path / "b.png"
    for wrong in (first.pixels[1:], first.pixels[..., :1], first.pixels.astype(np.uint16)):
        with pytest.raises(InputError, match="the picture's are uint8"):
            io.write_picture(target, wrong, first)
    with pytest.raises(InputError, match="from 1 to 100"):
        io.write_picture(target, first.pixels, first, quality=101)
    for name in ("b.gif", "b.heic", "b.j2k", "b"):
        with pytest.raises(InputError, match="is not written; these are"):
            io.write_picture(tmp_path / name, first.pixels, first)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["source.png"]


def test_metadata_too_large_for_jpeg(tmp_path: Path) -> None:
    """XMP that JPEG has no room for is an error, not a loss."""
    made.pillow(tmp_path / "a.webp", made.values(3, "uint8"), xmp=made.XMP + b" " * 70000)
    first = io.read_picture(tmp_path / "a.webp")
    with pytest.raises(WriteError, match=r"XMP of 7.* bytes is more than JPEG holds"):
        io.write_picture(tmp_path / "b.jpg", first.pixels, first)
    io.write_picture(tmp_path / "b.tif", first.pixels, first)


def test_small_jpeg_2000(tmp_path: Path) -> None:
    """JPEG 2000 below the size that the library can write is refused, not left empty."""
    made.pillow(tmp_path / "a.png", made.values(3, "uint8", 31, 40))
    first = io.read_picture(tmp_path / "a.png")
    with pytest.raises(InputError, match="at least 32 pixels a side"):
        io.write_picture(tmp_path / "b.jp2", first.pixels, first)


def test_write_hdr(tmp_path: Path) -> None:
    """Radiance is stored as half floats, clamped to their range, with a note on its scale."""
    hdr = made.values(3, "float32") * 50
    hdr[0, 0] = (np.inf, -np.inf, 1e9)
    io.write_hdr(tmp_path / "a.exr", hdr)
    expected = np.clip(hdr, -65504, 65504).astype(np.float16)
    stored = made.stored(tmp_path / "a.exr")
    assert stored.dtype == np.float16
    np.testing.assert_array_equal(stored, expected)
    note = made.header(tmp_path / "a.exr").getattribute("ImageDescription")
    assert "1.0 is the clip point" in note
    back = io.read_picture(tmp_path / "a.exr")
    assert back.transfer == "linear"
    np.testing.assert_array_equal(back.pixels, expected)


def test_write_hdr_refuses(tmp_path: Path) -> None:
    """Another suffix, type or shape, NaN, and a folder that is not there are refused by name."""
    hdr = made.values(3, "float32")
    for path, wrong in [
        ("a.hdr", hdr),
        ("a.exr", hdr.astype(np.float64)),
        ("a.exr", hdr[..., :1]),
        ("a.exr", hdr[0]),
        ("a.exr", hdr[:0]),
        ("a.exr", np.where(hdr > 0.5, np.float32(np.nan), hdr)),
    ]:
        with pytest.raises(InputError):
            io.write_hdr(tmp_path / path, wrong)
    with pytest.raises(WriteError, match=r"^a\.exr: cannot be written"):
        io.write_hdr(tmp_path / "missing" / "a.exr", hdr)
    assert list(tmp_path.iterdir()) == []


def test_import_is_quick() -> None:
    """Importing the package loads neither pyvips nor OpenImageIO."""
    code = (
        "import sys, drht_plugin.io; "
        "print([m for m in ('pyvips', 'OpenImageIO', 'torch', 'numba') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ
    )
    assert done.stdout.strip() == "[]"


def test_suffixes() -> None:
    """What is written is read too, and HEIC is only read."""
    assert io.writable_suffixes() < io.readable_suffixes()
    assert {".jpg", ".png", ".tif", ".webp", ".exr", ".hdr", ".jxl", ".jp2", ".avif"} <= (
        io.writable_suffixes()
    )
    assert ".heic" in io.readable_suffixes() - io.writable_suffixes()


@pytest.mark.parametrize(("brands", "found"), [("mif1miafavif", "avif"), ("isomiso8heic", "heic")])
def test_any_brand_tells_the_format(brands: str, found: str) -> None:
    """A HEIF file is recognised by whichever of its compatible brands is known."""
    head = b"\0\0\0\x1cftypXXXX\0\0\0\0" + brands.encode()
    assert sniff(head) == found
