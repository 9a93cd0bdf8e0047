"""Formats that are read only, and inks: BMP, GIF, Photoshop, CMYK and HEIC."""

import io as streams
import struct
import sys
import tempfile
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pillow_heif
import psd_bytes
import pytest
import pyvips
from faults import fault
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageCms
from strategies import corrector

from drht_plugin import correct_file, io
from drht_plugin.errors import DependencyError, ReadError
from drht_plugin.io.metadata import ifd

STUB = corrector()


def smooth(channels: int, dtype: str = "uint8", height: int = 40, width: int = 56) -> NDArray[Any]:
    """Return slopes that differ by channel, from 0 to the greatest value."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    planes = [x, y, 1 - x, (x + y) / 2, 1 - y][:channels]
    top = np.iinfo(dtype).max
    return np.rint(np.stack(planes, -1) * top).astype(dtype)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_bmp(mode: str, tmp_path: Path) -> None:
    """BMP of every depth that Pillow writes reads as Pillow shows it, with its alpha."""
    Image.fromarray(smooth(3)).convert(mode).save(tmp_path / "a.bmp")
    found = io.read_picture(tmp_path / "a.bmp").pixels
    with Image.open(tmp_path / "a.bmp") as image:
        shown = np.asarray(image.convert("RGBA" if found.shape[2] == 4 else "RGB"))
    np.testing.assert_array_equal(found, shown[..., : found.shape[2]])
    assert found.shape[2] == {"L": 1, "RGBA": 4}.get(mode, 3)


@pytest.mark.parametrize("frames", [1, 3])
def test_gif(frames: int, tmp_path: Path) -> None:
    """GIF gives its first frame, and the others are said to be left out."""
    pictures = [Image.fromarray(np.roll(smooth(3), 9 * n, 1)) for n in range(frames)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:])
    picture = io.read_picture(tmp_path / "a.gif")
    with Image.open(tmp_path / "a.gif") as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    said = (f"{frames - 1} further frames",) if frames > 1 else ()
    assert picture.carrier.metadata.dropped == said


def test_gif_with_transparency(tmp_path: Path) -> None:
    """The transparent colour of a GIF becomes alpha."""
    stored = (np.arange(600).reshape(20, 30) % 7).astype(np.uint8)
    image = Image.fromarray(stored, "P")
    image.putpalette(bytes(range(30)))
    image.save(tmp_path / "a.gif", transparency=3)
    alpha = io.read_picture(tmp_path / "a.gif").pixels[..., 3]
    np.testing.assert_array_equal(alpha, np.where(stored == 3, 0, 255))


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from([psd_bytes.GRAY, psd_bytes.RGB]),
    st.sampled_from(["uint8", "uint16"]),
    st.booleans(),
    st.booleans(),
    st.integers(1, 90),
    st.integers(1, 90),
    st.randoms(use_true_random=False),
)
def test_photoshop_composites(
    mode: int, dtype: str, packed: bool, wide: bool, height: int, width: int, random: Any
) -> None:
    """The composite reads as it was stored, in both depths, packed or not, PSD and PSB."""
    channels = 1 if mode == psd_bytes.GRAY else 3
    noise = np.random.default_rng(random.randrange(1 << 30))
    pixels = noise.integers(0, np.iinfo(dtype).max + 1, (height, width, channels)).astype(dtype)
    pixels[:, : width // 2] = 77
    data = psd_bytes.psd_bytes(pixels, mode, packed=packed, wide=wide)
    with tempfile.NamedTemporaryFile(suffix=".psd") as file:
        Path(file.name).write_bytes(data)
        with io.open_picture(file.name) as opened:
            np.testing.assert_array_equal(opened[:], pixels)
            half = height // 2
            np.testing.assert_array_equal(opened[half:height:3], pixels[half::3])


def test_photoshop_by_another_reader(tmp_path: Path) -> None:
    """Our own sample files are Photoshop's to Pillow, too."""
    for packed in (False, True):
        data = psd_bytes.psd_bytes(smooth(3), packed=packed)
        with Image.open(streams.BytesIO(data)) as image:
            np.testing.assert_array_equal(np.asarray(image), smooth(3))
    (tmp_path / "a.psd").write_bytes(data)
    np.testing.assert_array_equal(io.read_picture(tmp_path / "a.psd").pixels, smooth(3))


def test_photoshop_palette(tmp_path: Path) -> None:
    """A palette, all reds first, becomes RGB."""
    table = np.random.default_rng(0).integers(0, 256, (3, 256), np.uint8)
    stored = smooth(1)
    data = psd_bytes.psd_bytes(stored, psd_bytes.INDEXED, palette=table.tobytes())
    (tmp_path / "a.psd").write_bytes(data)
    found = io.read_picture(tmp_path / "a.psd").pixels
    np.testing.assert_array_equal(found, table.T[stored[..., 0]])


@pytest.mark.parametrize(
    ("dtype", "where"),
    [
        ("uint8", {"layers": -1}),
        ("uint16", {"layers": -1}),
        ("uint16", {"deep_layers": -2}),
        ("uint16", {"deep_layers": -2, "wide": True}),
    ],
)
def test_photoshop_transparency(dtype: str, where: dict[str, Any], tmp_path: Path) -> None:
    """The paper under a transparent composite is taken away, so that colours are straight."""
    top = int(np.iinfo(dtype).max)
    alpha = np.linspace(0.2, 1, 56)[None, :, None] * np.ones((40, 1, 1))
    colours = smooth(3, dtype) / top
    stored = np.concatenate([colours * alpha + 1 - alpha, alpha], -1)
    stored = np.rint(stored * top).astype(dtype)
    (tmp_path / "a.psd").write_bytes(psd_bytes.psd_bytes(stored, **where))
    picture = io.read_picture(tmp_path / "a.psd")
    assert picture.shape == (40, 56, 4)
    np.testing.assert_allclose(picture.pixels[..., :3] / top, colours, atol=4 / top)
    assert picture.carrier.metadata.dropped == ("Photoshop layers",)


def test_photoshop_selection_is_no_alpha(tmp_path: Path) -> None:
    """A channel beside the colours of a file without layers is a stored selection."""
    (tmp_path / "a.psd").write_bytes(psd_bytes.psd_bytes(smooth(4)))
    picture = io.read_picture(tmp_path / "a.psd")
    np.testing.assert_array_equal(picture.pixels, smooth(3))
    assert picture.carrier.metadata.dropped == ("1 extra channels",)


def test_photoshop_metadata(tmp_path: Path) -> None:
    """Profile, EXIF, XMP and resolution of a Photoshop file come out in the TIFF."""
    density = struct.pack(">IHHIHH", 240 << 16, 1, 1, 240 << 16, 1, 1)
    parts = ((0x03ED, density), (0x040F, made.profile()), (0x0422, made.exif(6)))
    resources = b"".join(psd_bytes.resource(*part) for part in (*parts, (0x0424, made.XMP)))
    (tmp_path / "a.psd").write_bytes(psd_bytes.psd_bytes(smooth(3), resources=resources))
    correct_file(tmp_path / "a.psd", tmp_path / "b.tif", corrector=STUB, strength=0)
    with Image.open(tmp_path / "b.tif") as image:
        np.testing.assert_array_equal(np.asarray(image), smooth(3))
        assert image.info["icc_profile"] == made.profile()
        assert image.info["dpi"] == (240, 240)
        assert image.info["xmp"] == made.XMP
    found = made.tags(tmp_path / "b.tif")
    assert (found["Make"], found["ISO"], found["Orientation"]) == ("ACME", 400, 1)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (psd_bytes.psd_bytes(smooth(3), psd_bytes.LAB), "is a Lab picture"),
        (
            psd_bytes.psd_bytes(
                smooth(3), layers=2, resources=psd_bytes.resource(0x0421, b"\0\0\0\1\0")
            ),
            "has layers but no picture of them",
        ),
        (psd_bytes.psd_bytes(smooth(3), psd_bytes.CMYK), "too few for CMYK"),
        (psd_bytes.psd_bytes(smooth(3))[:-9], "cannot hold|end early"),
        (psd_bytes.psd_bytes(smooth(3), packed=True)[:-9], "end early"),
        (psd_bytes.psd_bytes(smooth(3))[:20], "damaged"),
        (psd_bytes.psd_bytes(smooth(1))[:14] + struct.pack(">II", 1 << 29, 1 << 29), "damaged"),
    ],
    ids=["lab", "no-composite", "few", "cut", "packed-cut", "head", "huge"],
)
def test_photoshop_refused(data: bytes, words: str, tmp_path: Path) -> None:
    """Damage and modes that are not read are named."""
    (tmp_path / "a.psd").write_bytes(data)
    with pytest.raises(ReadError, match=words):
        io.read_picture(tmp_path / "a.psd")


def ink_profile() -> bytes:
    """Return the CMYK profile that libvips brings."""
    image = pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb")
    return bytes(image.icc_export(output_profile="cmyk").get("icc-profile-data"))


def in_srgb(inks: NDArray[Any]) -> NDArray[Any]:
    """Return what Little CMS makes of inks through their profile."""
    source = ImageCms.ImageCmsProfile(streams.BytesIO(ink_profile()))
    made_of = ImageCms.profileToProfile(
        Image.fromarray(inks, "CMYK"),
        source,
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
        outputMode="RGB",
    )
    return np.asarray(made_of)


INKS = smooth(4) // 2


@pytest.mark.parametrize("profile", [True, False], ids=["profile", "none"])
@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "deep.tif", "a.psd"])
def test_inks(name: str, profile: bool, tmp_path: Path) -> None:
    """CMYK becomes sRGB through its profile, or a usual one, as Little CMS does it."""
    path, icc = tmp_path / name, ink_profile() if profile else b""
    if name == "a.psd":
        resources = psd_bytes.resource(0x040F, icc) if icc else b""
        data = psd_bytes.psd_bytes(255 - INKS, psd_bytes.CMYK, resources=resources)
        path.write_bytes(data)
    elif name == "deep.tif":
        import tifffile

        tag = [(34675, "B", len(icc), icc, True)] if icc else []
        deep = INKS.astype(np.uint16) * 257
        tifffile.imwrite(path, deep, photometric="separated", extratags=tag)
    else:
        Image.fromarray(INKS, "CMYK").save(path, quality=100, icc_profile=icc or None)
    picture = io.read_picture(path)
    scale = 257 if picture.dtype == np.uint16 else 1
    assert (picture.dtype == np.uint16) == (name == "deep.tif")
    worst = 6 if name == "a.jpg" else 2
    np.testing.assert_allclose(picture.pixels / scale, in_srgb(INKS), atol=worst)
    assert picture.carrier.metadata.icc is None
    assert picture.carrier.metadata.dropped == ("CMYK (became sRGB)",)


@pytest.mark.parametrize("order", ["<", ">"])
def test_inks_that_are_srgb_now_are_not_called_adobe_rgb(order: ifd.Order, tmp_path: Path) -> None:
    """EXIF of a CMYK picture says sRGB once its pixels are; the rest stays byte for byte."""
    text, note = ifd.Field(2, 4, b"R03\0"), b"a maker's note"
    exif = {0xA001: ifd.short_field(0xFFFF), 0x927C: ifd.Field(7, len(note), note)}
    block = ifd.exif_block(ifd.Tree(order=order, exif=exif, interop={1: text}))
    assert ifd.states_adobe_rgb(block)
    Image.fromarray(INKS, "CMYK").save(tmp_path / "a.jpg", exif=b"Exif\0\0" + block)
    correct_file(tmp_path / "a.jpg", tmp_path / "b.png", corrector=STUB)
    with Image.open(tmp_path / "b.png") as image:
        found = image.getexif()
    assert found.get_ifd(0x8769)[0xA001] == 1
    assert found.get_ifd(0xA005)[1] == "R98"
    assert found.get_ifd(0x8769)[0x927C] == note


def heic(path: Path, pixels: NDArray[Any], **options: Any) -> None:
    """Write a HEIC file with pillow-heif, without loss where it can."""
    height, width, channels = pixels.shape
    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels] + (";16" if pixels.itemsize == 2 else "")
    file = pillow_heif.from_bytes(mode, (width, height), np.ascontiguousarray(pixels).tobytes())
    file.save(path, quality=-1, chroma=444, matrix_coefficients=0, **options)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_heic(channels: int, tmp_path: Path) -> None:
    """HEIC of 8 bits reads as it was stored, gray or RGB, with its alpha."""
    heic(tmp_path / "a.heic", smooth(channels))
    picture = io.read_picture(tmp_path / "a.heic")
    np.testing.assert_allclose(picture.pixels.astype(int), smooth(channels), atol=2)


def test_heic_of_ten_bits(tmp_path: Path) -> None:
    """10 bits become 16, white becomes 65535, and more than 8 bits come out in an AVIF."""
    pixels = smooth(3, "uint16", 64, 1200)
    heic(tmp_path / "a.heic", pixels)
    picture = io.read_picture(tmp_path / "a.heic")
    assert picture.dtype == np.uint16
    assert picture.carrier.bits == 10
    assert picture.pixels.max() == 65535
    np.testing.assert_allclose(picture.pixels.astype(int), pixels, atol=3 * 64)
    correct_file(tmp_path / "a.heic", tmp_path / "b.avif", corrector=STUB, strength=0)
    again = io.read_picture(tmp_path / "b.avif")
    assert again.carrier.bits == 10
    assert len(np.unique(again.pixels[..., 0])) > 600


@pytest.mark.parametrize("primary", [0, 1])
def test_heic_of_several_pictures(primary: int, tmp_path: Path) -> None:
    """The primary picture is read, and the others are said to be left out."""
    pictures = [smooth(3), smooth(3, height=30, width=44)]
    maker: Any = pillow_heif.HeifFile
    file = maker()
    for pixels in pictures:
        height, width, _ = pixels.shape
        file.add_frombytes("RGB", (width, height), pixels.tobytes())
    options = {"quality": -1, "chroma": 444, "matrix_coefficients": 0, "primary_index": primary}
    file.save(tmp_path / "a.heic", **options)
    picture = io.read_picture(tmp_path / "a.heic")
    np.testing.assert_allclose(picture.pixels.astype(int), pictures[primary], atol=2)
    assert picture.carrier.metadata.dropped == ("1 further pictures",)


def test_heic_metadata(tmp_path: Path) -> None:
    """The picture is upright; EXIF, XMP and profile go to the result, and EXIF says upright."""
    heic(
        tmp_path / "a.heic", smooth(3), exif=made.exif(6), xmp=made.XMP, icc_profile=made.profile()
    )
    picture = io.read_picture(tmp_path / "a.heic")
    assert picture.shape == (56, 40, 3)
    np.testing.assert_allclose(picture.pixels.astype(int), np.rot90(smooth(3), -1), atol=2)
    correct_file(tmp_path / "a.heic", tmp_path / "b.png", corrector=STUB, strength=0)
    with Image.open(tmp_path / "b.png") as image:
        assert image.info["icc_profile"] == made.profile()
        assert "Rating" in str(image.info.get("XML:com.adobe.xmp"))
    found = made.tags(tmp_path / "b.png")
    assert (found["Make"], found["ISO"], found["Orientation"]) == ("ACME", 400, 1)


def test_heic_of_a_phone(tmp_path: Path) -> None:
    """A phone's HEIC is read."""
    picture = io.read_picture(fault("iphone.heic"))
    assert picture.shape == (400, 600, 3)
    assert picture.pixels.std() > 20
    assert picture.carrier.metadata.exif
    assert ifd.orientation(picture.carrier.metadata.exif) == 1


def test_heic_damaged(tmp_path: Path) -> None:
    """A HEIC file that is cut is refused by name."""
    heic(tmp_path / "a.heic", smooth(3))
    data = (tmp_path / "a.heic").read_bytes()
    for length in (len(data) - 50, len(data) // 2, 80):
        (tmp_path / "a.heic").write_bytes(data[:length])
        with pytest.raises(ReadError, match=r"a\.heic: is damaged"):
            io.read_picture(tmp_path / "a.heic")


def test_heic_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a decoder the error names the file, and the extra that brings one."""
    heic(tmp_path / "a.heic", smooth(3))
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(DependencyError, match=r"^a\.heic: .*'drht-plugin\[heic\]'"):
        io.read_picture(tmp_path / "a.heic")
