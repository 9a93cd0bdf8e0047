"""Pixel shape, exposure, orientation and alpha as files state them are kept or obeyed."""

import struct
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import OpenImageIO as oiio
import png_bytes
import profiles
import pytest
import radiance_bytes
import tifffile
from faults import fault
from io_samples import header
from meaning_judges import shown, turned
from numpy.typing import NDArray
from PIL import Image
from signal_samples import colours, png
from strategies import corrector
from tiff_bytes import tiff_bytes

from drht_plugin import correct_file
from drht_plugin.errors import ReadError
from drht_plugin.io import read_picture

STUB = corrector()
P3_PLACES = b"0.68 0.32 0.265 0.69 0.15 0.06 0.3127 0.329"


def test_premultiplied_avif(tmp_path: Path) -> None:
    """A kept AVIF with premultiplied alpha shows what it was made from, alpha straight."""
    truth = shown(fault("premultiplied_truth.png"))
    for suffix in (".png", ".avif", ".webp"):
        target = tmp_path / f"b{suffix}"
        correct_file(fault("premultiplied.avif"), target, corrector=STUB, strength=0)
        found = shown(target)
        solid = truth[..., 3] > 0.25
        assert np.abs(found - truth)[solid].mean() < (2 if suffix == ".png" else 6) / 255
        assert b"prem" not in target.read_bytes()


def test_white_is_zero(tmp_path: Path) -> None:
    """A kept TIFF of 16 bits whose 0 is white is no negative."""
    truth = shown(fault("miw16_truth.png"))
    for suffix in (".tif", ".png"):
        correct_file(fault("miw16.tif"), tmp_path / f"b{suffix}", corrector=STUB, strength=0)
        np.testing.assert_array_equal(shown(tmp_path / f"b{suffix}"), truth)


def test_digits_without_blanks(tmp_path: Path) -> None:
    """A kept PBM of digits is read, as Pillow reads it; one that ends early is named damaged."""
    source = fault("no_blanks.pbm")
    correct_file(source, tmp_path / "b.png", corrector=STUB, strength=0)
    np.testing.assert_array_equal(shown(tmp_path / "b.png"), shown(source))
    (tmp_path / "c.pbm").write_bytes(source.read_bytes()[:-40])
    with pytest.raises(ReadError, match="digits"):
        read_picture(tmp_path / "c.pbm")


def aspect_of(path: Path) -> float:
    """Height by width of a pixel, as the file states it."""
    data = path.read_bytes()
    if path.suffix == ".png":
        across, down = struct.unpack_from(">II", data, data.index(b"pHYs") + 4)
    elif path.suffix == ".jpg":
        unit, across, down = struct.unpack_from(">BHH", data, data.index(b"JFIF\0") + 7)
        assert unit == 0
    elif path.suffix == ".avif":
        down, across = struct.unpack_from(">II", data, data.index(b"pasp") + 4)
    elif path.suffix == ".tif":
        with tifffile.TiffFile(path) as file:
            tags = file.pages.first.tags
            assert tags["ResolutionUnit"].value == 1
            across, down = (
                tags[name].value[0] / tags[name].value[1] for name in ("XResolution", "YResolution")
            )
    elif path.suffix == ".hdr":
        return float(data[data.index(b"PIXASPECT=") + 10 :].split(b"\n")[0])
    else:
        return 1 / float(header(path)["PixelAspectRatio"])
    return float(across / down)


def with_aspect(path: Path) -> None:
    """Write a picture whose pixels are half as high as wide."""
    pixels = colours()
    if path.suffix == ".png":
        png(path, png_bytes.pixel_aspect(1, 2))
    elif path.suffix == ".jpg":
        Image.fromarray(pixels).save(path, quality=95)
        data = path.read_bytes()
        at = data.index(b"JFIF\0") + 7
        path.write_bytes(data[:at] + struct.pack(">BHH", 0, 1, 2) + data[at + 5 :])
    elif path.suffix == ".tif":
        fields = {282: (5, [3, 1]), 283: (5, [6, 1]), 296: (3, [1])}
        path.write_bytes(tiff_bytes(pixels, photometric=2, bits=8, fields=fields))
    elif path.suffix == ".hdr":
        rgbe = np.concatenate([pixels, np.full_like(pixels[..., :1], 129)], -1)
        path.write_bytes(radiance_bytes.radiance_bytes(rgbe, lines=(b"PIXASPECT= 0.5",)))
    else:
        spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, "half")
        spec.attribute("PixelAspectRatio", 2.0)
        target: Any = oiio.ImageOutput.create(str(path))
        target.open(str(path), spec)
        target.write_image((pixels / 255).astype(np.float16))
        target.close()


@pytest.mark.parametrize(
    ("source", "target"),
    [(a, b) for a in (".png", ".jpg", ".tif") for b in (".png", ".jpg", ".tif", ".avif")]
    + [(".exr", ".exr"), (".exr", ".hdr"), (".hdr", ".hdr"), (".hdr", ".exr")],
)
def test_pixel_aspect(source: str, target: str, tmp_path: Path) -> None:
    """The shape of pixels comes out as it went in, in every format that holds one."""
    with_aspect(tmp_path / f"a{source}")
    assert aspect_of(tmp_path / f"a{source}") == 0.5
    if (source, target) == (".exr", ".hdr"):  # half floats are no Radiance picture
        return
    correct_file(tmp_path / f"a{source}", tmp_path / f"b{target}", corrector=STUB, strength=0)
    assert aspect_of(tmp_path / f"b{target}") == pytest.approx(0.5)
    if target == ".avif":
        correct_file(tmp_path / "b.avif", tmp_path / "c.png", corrector=STUB, strength=0)
        assert aspect_of(tmp_path / "c.png") == 0.5


def test_kept_pixel_aspect(tmp_path: Path) -> None:
    """A kept PNG with pixels twice as wide as high."""
    for name in ("b.png", "b.jpg"):
        correct_file(fault("aspect.png"), tmp_path / name, corrector=STUB, strength=0)
        assert aspect_of(tmp_path / name) == aspect_of(fault("aspect.png"))


def test_shape_and_density_turn_with_the_picture(tmp_path: Path) -> None:
    """Where a picture is turned on its side, so are its density and its pixels."""
    exif = Image.Exif()
    exif[0x112] = 6
    Image.fromarray(colours()).save(tmp_path / "a.png", exif=exif.tobytes(), dpi=(100, 200))
    correct_file(tmp_path / "a.png", tmp_path / "b.jxl", corrector=STUB, strength=0)
    assert read_picture(tmp_path / "b.jxl").carrier.metadata.density == pytest.approx(
        (200, 100), rel=1e-3
    )
    np.testing.assert_allclose(shown(tmp_path / "b.jxl"), turned(colours() / 255, 6), atol=1e-6)


def rgbe_of() -> NDArray[np.uint8]:
    """Pixels of a shared exponent, in their normal form."""
    made = np.random.default_rng(5).integers(128, 256, (20, 30, 4)).astype(np.uint8)
    made[..., 3] = 126 + made[..., 3] % 5
    return made


LINES = (
    b"# made by hand",
    b"EXPOSURE= 8",
    b"EXPOSURE=0.7",
    b"COLORCORR= 1.1 1 0.9",
    b"PRIMARIES= " + P3_PLACES,
    b"VIEW= -vtv -vh 40",
)


@pytest.mark.parametrize("turn", range(1, 9))
def test_radiance_header_is_kept(turn: int, tmp_path: Path) -> None:
    """From Radiance to Radiance all lines and values stay, in each of the eight orientations."""
    rgbe = rgbe_of()
    (tmp_path / "a.hdr").write_bytes(
        radiance_bytes.radiance_bytes(rgbe, turn=turn, coding="rle", lines=LINES)
    )
    correct_file(tmp_path / "a.hdr", tmp_path / "b.hdr", corrector=STUB, strength=0)
    lines, kept, light = radiance_bytes.read_radiance((tmp_path / "b.hdr").read_bytes())
    assert kept == turn
    assert [line for line in lines[1:] if not line.startswith(b"FORMAT")] == list(LINES)
    np.testing.assert_array_equal(light, radiance_bytes.light(rgbe))


@pytest.mark.parametrize("turn", range(1, 9))
@pytest.mark.parametrize("suffix", [".exr", ".pfm"])
def test_radiance_header_is_obeyed_elsewhere(suffix: str, turn: int, tmp_path: Path) -> None:
    """Other formats get the light that is meant, upright, and its primaries."""
    rgbe = rgbe_of()
    (tmp_path / "a.hdr").write_bytes(
        radiance_bytes.radiance_bytes(rgbe, turn=turn, coding="rle", lines=LINES)
    )
    target = tmp_path / f"b{suffix}"
    correct_file(tmp_path / "a.hdr", target, corrector=STUB, strength=0)
    expected = radiance_bytes.light(rgbe) / (5.6 * np.array([1.1, 1, 0.9]))
    if suffix == ".pfm":  # holds no primaries, so that its values are sRGB's
        change = np.linalg.solve(profiles.matrix("srgb"), profiles.matrix("p3"))
        expected = expected @ change.T
    else:
        places = header(target)["chromaticities"]
        assert places == pytest.approx([float(word) for word in P3_PLACES.split()])
    found = shown(target)
    assert found.shape == turned(expected, turn).shape
    np.testing.assert_allclose(found, turned(expected, turn), rtol=2e-3, atol=1e-5)


def test_primaries_reach_the_survey(tmp_path: Path) -> None:
    """A scene-linear picture is surveyed in the colours that its primaries mean."""
    rgbe = rgbe_of()
    (tmp_path / "a.hdr").write_bytes(
        radiance_bytes.radiance_bytes(rgbe, lines=(b"PRIMARIES= " + P3_PLACES,))
    )
    correct_file(tmp_path / "a.hdr", tmp_path / "b.exr", corrector=STUB)
    light = radiance_bytes.light(rgbe).astype(np.float32)
    expected = STUB.correct(light, transfer="linear", profile=profiles.rgb("p3"))
    np.testing.assert_allclose(shown(tmp_path / "b.exr"), expected, rtol=2e-2, atol=1e-3)


def test_kept_bottom_up(tmp_path: Path) -> None:
    """A kept file whose rows go up stays so, and is upright in OpenEXR."""
    source = fault("bottom_up.hdr")
    for name in ("b.hdr", "b.exr"):
        correct_file(source, tmp_path / name, corrector=STUB, strength=0)
        np.testing.assert_allclose(shown(tmp_path / name), shown(source), rtol=1e-6)


def test_plain_radiance_is_read_by_opencv(tmp_path: Path) -> None:
    """A header that was moved is one that OpenCV reads."""
    (tmp_path / "a.hdr").write_bytes(radiance_bytes.radiance_bytes(rgbe_of(), lines=LINES[:3]))
    correct_file(tmp_path / "a.hdr", tmp_path / "b.hdr", corrector=STUB, strength=0)
    found = cv2.imread(str(tmp_path / "b.hdr"), cv2.IMREAD_UNCHANGED)
    assert found is not None
    np.testing.assert_array_equal(found[..., ::-1], radiance_bytes.light(rgbe_of()))


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_part_of_a_profile_counts_as_none(lost: int, tmp_path: Path) -> None:
    """A JPEG with a part of its profile missing is in sRGB, and that is said."""
    long = profiles.rgb("p3") + bytes(range(256)) * 600
    Image.fromarray(colours()).save(tmp_path / "whole.jpg", icc_profile=long)
    data = (tmp_path / "whole.jpg").read_bytes()
    starts = [at - 4 for at in range(len(data)) if data.startswith(b"ICC_PROFILE\0", at)]
    assert len(starts) == 3
    end = starts[lost] + 2 + int.from_bytes(data[starts[lost] + 2 : starts[lost] + 4], "big")
    (tmp_path / "a.jpg").write_bytes(data[: starts[lost]] + data[end:])
    report = correct_file(tmp_path / "a.jpg", tmp_path / "b.jpg", corrector=STUB)
    assert any("ICC profile" in part for part in report.dropped)
    with Image.open(tmp_path / "b.jpg") as image:
        assert "icc_profile" not in image.info
    whole = correct_file(tmp_path / "whole.jpg", tmp_path / "c.jpg", corrector=STUB)
    assert not any("ICC profile" in part for part in whole.dropped)


def jxl_with_premultiplied_alpha(path: Path, pixels: NDArray[np.uint16]) -> None:
    """Write a JPEG XL by OpenImageIO, and set the bit that says what its alpha means."""
    height, width, _ = pixels.shape
    spec = oiio.ImageSpec(width, height, 4, "uint16")
    target: Any = oiio.ImageOutput.create(str(path))
    target.open(str(path), spec)
    target.write_image(pixels)
    target.close()
    data = bytearray(path.read_bytes())
    # Bit 39 of the header that follows the signature, for 32×48 pixels of 16 bits with alpha.
    at = data.index(b"\xff\x0a", 12) + 2
    data[at + 39 // 8] ^= 1 << 39 % 8
    path.write_bytes(data)


def test_premultiplied_jxl(tmp_path: Path) -> None:
    """The colours of a JPEG XL that says so are divided by alpha."""
    pixels = np.random.default_rng(6).integers(1, 65536, (32, 48, 4)).astype(np.uint16)
    pixels[..., :3] = np.minimum(pixels[..., :3], pixels[..., 3:])
    jxl_with_premultiplied_alpha(tmp_path / "a.jxl", pixels)
    correct_file(tmp_path / "a.jxl", tmp_path / "b.png", corrector=STUB, strength=0)
    expected = pixels[..., :3] / pixels[..., 3:]
    np.testing.assert_allclose(shown(tmp_path / "b.png")[..., :3], expected, atol=1e-4)


@pytest.mark.parametrize(("space", "word"), [(12, "CMYK"), (14, "Lab")])
def test_jp2_of_other_colours_is_refused_by_name(space: int, word: str, tmp_path: Path) -> None:
    """A JPEG 2000 in CMYK or Lab is no RGB picture."""
    Image.fromarray(colours()).save(tmp_path / "a.jp2")
    data = bytearray((tmp_path / "a.jp2").read_bytes())
    at = data.index(b"colr") + 7
    data[at : at + 4] = struct.pack(">I", space)
    (tmp_path / "a.jp2").write_bytes(data)
    with pytest.raises(ReadError, match=word):
        read_picture(tmp_path / "a.jp2")
