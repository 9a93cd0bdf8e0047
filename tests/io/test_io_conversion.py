"""Pixels become what a target holds, or what is asked for, by fixed rules and by any bands."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import io_samples as made
import numpy as np
import OpenImageIO as oiio
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms
from strategies import corrector

from drht_plugin import InputError, correct_file, io
from drht_plugin.bridge.transfer import srgb_encode
from drht_plugin.colour import icc
from drht_plugin.io._dither import dithered, thresholds

STUB = corrector()


def stored(path: Path, pixels: np.ndarray[Any, Any], **options: Any) -> Path:
    """A TIFF file of these pixels, without a profile."""
    squeezed = pixels[..., 0] if pixels.shape[2] == 1 else pixels
    photometric = "rgb" if pixels.shape[2] > 2 else "minisblack"
    extra = ["unassalpha"] if pixels.shape[2] in (2, 4) else None
    tifffile.imwrite(path, squeezed, photometric=photometric, extrasamples=extra, **options)
    return path


def decoded(path: Path) -> Any:
    """The pixels of an RGB file, by OpenCV."""
    pixels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    return pixels[..., ::-1]


def unchanged(source: Path, target: Path, **options: Any) -> tuple[str, ...]:
    """Write a picture without correcting it; returns what was converted."""
    return correct_file(source, target, corrector=STUB, strength=0, **options).converted


@given(
    codes=st.integers(0, 255), most=st.sampled_from([255, 1023, 65535]), top=st.integers(0, 1 << 20)
)
def test_whole_numbers_are_not_dithered(codes: int, most: int, top: int) -> None:
    """Whole numbers stay, at any place; others become a neighbour, and their mean stays."""
    flat = np.full((16, 16, 1), codes / most, np.float32)
    assert (dithered(flat, most, top) == codes).all()
    between = dithered((np.full((64, 64, 1), codes) + 0.3) / most, most, top)
    if codes < most:
        assert set(np.unique(between)) <= {codes, codes + 1}
        assert abs(between.mean() - codes - 0.3) < 0.02


def test_the_pattern_has_no_low_frequencies() -> None:
    """Any 8×8 pixels share out their thresholds evenly, unlike random numbers."""
    pattern = thresholds(1000, 256, 256)[..., 0]
    means = pattern.reshape(32, 8, 32, 8).mean((1, 3))
    random = np.random.default_rng(0).random((256, 256)).reshape(32, 8, 32, 8).mean((1, 3))
    assert means.std() < random.std() / 3
    assert abs(means - 0.5).max() < 0.04


def test_a_slope_of_16_bits_keeps_its_mean_in_8(tmp_path: Path) -> None:
    """Fewer bits are dithered: the local mean follows the slope far closer than rounding would."""
    slope = np.linspace(20000, 20600, 512).round().astype(np.uint16)
    source = stored(tmp_path / "a.tif", np.broadcast_to(slope[None, :, None], (64, 512, 3)).copy())
    said = unchanged(source, tmp_path / "b.png", bits=8)
    assert said == ("16 bits to 8 bits, dithered",)
    pixels = np.asarray(Image.open(tmp_path / "b.png")).astype(float)
    expected = slope / 257
    means = pixels[..., 0].reshape(64, 64, 8).mean((0, 2))
    assert np.abs(means - expected.reshape(64, 8).mean(1)).max() < 0.05
    assert (pixels[..., 0] == pixels[..., 1]).all()  # gray stays gray


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".exr", ".hdr"])
@pytest.mark.parametrize("alpha", [False, True])
def test_the_same_bits_by_any_bands(suffix: str, alpha: bool, tmp_path: Path) -> None:
    """A conversion in many bands is that in one, and that of a second run and of a resumed one."""
    source = stored(tmp_path / "a.tif", made.values(4 if alpha else 3, "uint16", 200, 40))
    results = []
    runs: list[dict[str, Any]] = [{}, {"memory": "20K"}, {}, {"resume": True}]
    for number, options in enumerate(runs):
        target = tmp_path / f"{number}{suffix}"
        correct_file(source, target, corrector=STUB, **options)
        results.append(io.read_picture(target).pixels)
    for other in results[1:]:
        np.testing.assert_array_equal(other, results[0])


def test_8_bits_to_16_has_new_codes_between(tmp_path: Path) -> None:
    """16 bits of an 8-bit picture are computed in 16; strength 0 gives the stretched codes."""
    pixels = (made.values(3, "uint8", 64, 64) * 0.3).astype(np.uint8)
    source = stored(tmp_path / "a.tif", pixels)
    assert unchanged(source, tmp_path / "b.png", bits=16) == ("8 bits to 16 bits",)
    same = decoded(tmp_path / "b.png")
    np.testing.assert_array_equal(same, pixels.astype(np.uint16) * 257)
    correct_file(source, tmp_path / "c.png", corrector=STUB, bits=16)
    correct_file(source, tmp_path / "d.png", corrector=STUB)
    fine = decoded(tmp_path / "c.png").astype(int)
    coarse = decoded(tmp_path / "d.png").astype(int)
    assert (fine % 257 != 0).mean() > 0.9
    assert np.abs(fine / 257 - coarse).max() <= 0.51


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("background", [None, "black", "#204060"])
def test_alpha_is_laid_over_a_ground(channels: int, background: str | None, tmp_path: Path) -> None:
    """Transparent pixels show the chosen ground, as Pillow composes them; or else white."""
    pixels = made.values(channels, "uint8", 32, 32)
    made.pillow(tmp_path / "a.png", pixels, exif=None, icc_profile=None)
    said = unchanged(tmp_path / "a.png", tmp_path / "b.ppm", background=background)
    assert f"alpha laid over {background or 'white'}" in said
    ground = Image.new("RGBA", (32, 32), background or "white")
    expected = Image.alpha_composite(ground, Image.open(tmp_path / "a.png").convert("RGBA"))
    mode = "RGB" if channels == 4 else "L"
    if background == "#204060" and channels == 2:  # a gray picture has a gray ground of its light
        assert Image.open(tmp_path / "b.ppm").getpixel((0, 0)) == 62  # of 0.0482
        return
    found = np.asarray(Image.open(tmp_path / "b.ppm")).astype(int)
    assert np.abs(found - np.asarray(expected.convert("RGB").convert(mode))).max() <= 1


def test_a_ground_is_the_same_colour_in_any_space(tmp_path: Path) -> None:
    """A ground is an sRGB colour: in a Display P3 picture it gets P3's codes."""
    pixels = np.zeros((8, 8, 4), np.uint8)
    made.pillow(tmp_path / "a.png", pixels, exif=None, icc_profile=made.profile("p3"))
    unchanged(tmp_path / "a.png", tmp_path / "b.jpg", background="#ff0000", quality=100)
    found = np.asarray(Image.open(tmp_path / "b.jpg"))[4, 4].astype(int)
    assert np.abs(found - (234, 51, 35)).max() <= 2


def test_premultiplied_light_is_composed_in_light(tmp_path: Path) -> None:
    """OpenEXR over black is its stored, premultiplied colour, which then gets sRGB's curve."""
    source = tmp_path / "a.exr"
    half = np.array([0.25, 0.125, 0.0, 0.5], np.float32)
    made.openimageio(source, np.broadcast_to(half, (16, 16, 4)).copy())
    said = unchanged(source, tmp_path / "b.jpg", background="black", quality=100)
    assert said == (
        "float to 8 bits, dithered",
        "linear light to sRGB's curve",
        "alpha laid over black",
    )
    found = np.asarray(Image.open(tmp_path / "b.jpg")).reshape(-1, 3).mean(0)
    assert np.abs(found - (137.0, 99.0, 0.0)).max() < 1.5


def test_wide_primaries_stay_wide(tmp_path: Path) -> None:
    """OpenEXR of P3's primaries becomes a PNG with a profile of these, and nothing is clipped."""
    red = np.broadcast_to(np.array([1.0, 0.0, 0.0], np.float32), (16, 16, 3)).copy()
    places = np.array([0.68, 0.32, 0.265, 0.69, 0.15, 0.06, 0.3127, 0.329], np.float32)
    spec = oiio.ImageSpec(16, 16, 3, "float")
    spec.attribute("chromaticities", "float[8]", places)
    file: Any = oiio.ImageOutput.create(str(tmp_path / "a.exr"))
    assert file.open(str(tmp_path / "a.exr"), spec)
    assert file.write_image(red)
    assert file.close()
    said = unchanged(tmp_path / "a.exr", tmp_path / "b.png")
    assert not any("clipped" in part for part in said)
    found = decoded(tmp_path / "b.png")[0, 0]
    assert found.tolist() == [65535, 0, 0]
    with Image.open(tmp_path / "b.png") as picture:
        assert b"rXYZ" in picture.info["icc_profile"]
    said = unchanged(tmp_path / "a.exr", tmp_path / "c.ppm")  # which has no profile
    assert any("clipped" in part for part in said)


@pytest.mark.parametrize(
    ("suffix", "bits"), [(".jpg", 16), (".png", "half"), (".exr", 8), (".hdr", "half"), (".ppm", 7)]
)
def test_depths_that_a_format_lacks(suffix: str, bits: Any, tmp_path: Path) -> None:
    """They are refused before anything is written, with those that it has."""
    source = stored(tmp_path / "a.tif", made.values(3, "uint8"))
    with pytest.raises(InputError, match=r"it holds|expected one of"):
        unchanged(source, tmp_path / f"b{suffix}", bits=bits)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tif"]


@pytest.mark.parametrize("background", ["whit", "#fff", "ffffff", "#gg0000"])
def test_grounds_that_are_no_colours(background: str, tmp_path: Path) -> None:
    """They are refused by name, whether or not there is alpha."""
    source = stored(tmp_path / "a.tif", made.values(3, "uint8"))
    with pytest.raises(InputError, match="background is"):
        unchanged(source, tmp_path / "b.jpg", background=background)


@pytest.mark.parametrize("suffix", [".exr", ".tif"])
def test_floats_of_jpeg_xl_are_stated_to_be_display_codes(suffix: str, tmp_path: Path) -> None:
    """Floats without a profile are sRGB's codes in JPEG XL, and its header says so."""
    source, pixels = tmp_path / f"a{suffix}", made.values(3, "float32")
    made.openimageio(source, pixels)
    unchanged(source, tmp_path / "b.jxl")
    assert made.header(tmp_path / "b.jxl").getattribute("CICP")[:2] == (1, 13)
    wanted = srgb_encode(pixels) if suffix == ".exr" else pixels
    np.testing.assert_allclose(made.stored(tmp_path / "b.jxl"), wanted, atol=1e-6)


@pytest.mark.parametrize(("bits", "dtype"), [("half", "float16"), ("float", "float32")])
def test_openexr_keeps_its_header_in_another_depth(bits: Any, dtype: str, tmp_path: Path) -> None:
    """Half and float OpenEXR become each other, with the source's attributes."""
    source = tmp_path / "a.exr"
    pixels = made.values(3, "float16" if bits == "float" else "float32")
    made.openimageio(source, pixels, take="7", compression="piz")
    unchanged(source, tmp_path / "b.exr", bits=bits)
    header = made.header(tmp_path / "b.exr")
    assert (str(header.format), header.getattribute("take")) == (
        {"float16": "half"}.get(dtype, "float"),
        "7",
    )
    np.testing.assert_array_equal(made.stored(tmp_path / "b.exr"), pixels.astype(dtype))


def test_a_gray_profile_becomes_one_for_rgb(tmp_path: Path) -> None:
    """A gray picture of gamma 1.8 is RGB of the same codes in WebP, in a profile of that gamma."""
    gray = icc.gray_profile(icc.parametric_tag(1.8))
    pixels = made.values(1, "uint8", 32, 32)
    made.pillow(tmp_path / "a.png", pixels, exif=None, icc_profile=gray)
    assert "gray to RGB" in unchanged(tmp_path / "a.png", tmp_path / "b.webp")
    with Image.open(tmp_path / "b.webp") as picture:
        found, profile = np.asarray(picture), picture.info["icc_profile"]
    np.testing.assert_array_equal(found, pixels.repeat(3, -1))
    opened = ImageCms.ImageCmsProfile(BytesIO(profile))
    srgb = ImageCms.createProfile("sRGB")
    patch = Image.new("RGB", (1, 1), (128, 128, 128))
    shown: Any = ImageCms.profileToProfile(patch, opened, srgb)
    light = (128 / 255) ** 1.8
    assert abs(shown.getpixel((0, 0))[1] - 255 * (1.055 * light ** (1 / 2.4) - 0.055)) <= 1.5
