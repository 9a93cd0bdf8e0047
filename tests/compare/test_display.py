"""What a page shows of a picture is what the picture is, by other readers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import pyvips
import tifffile
from compare_pages import entries, seen, smooth
from PIL import Image, ImageCms

from drht_plugin.compare import Pair, write_page


def page_of(path: Path, folder: Path, **options: Any) -> Path:
    """A page that compares a picture with itself."""
    write_page([Pair("it", path, path)], folder, **options)
    return folder


def codes(values: Any, dtype: str) -> Any:
    return np.rint(values * np.iinfo(dtype).max).astype(dtype)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("suffix", "dtype"), [(".png", "uint8"), (".png", "uint16"), (".tif", "float32")]
)
def test_codes_and_alpha(channels: int, suffix: str, dtype: str, tmp_path: Path) -> None:
    """8 bits, 16 bits and floats are seen as their codes, with their alpha."""
    values, path = smooth(channels), tmp_path / f"a{suffix}"
    stored = values if dtype == "float32" else codes(values, dtype)
    if suffix == ".tif":
        extra: dict[str, Any] = {"extrasamples": ["unassalpha"]} if channels in (2, 4) else {}
        photometric = "rgb" if channels > 2 else "minisblack"
        tifffile.imwrite(path, stored, photometric=photometric, **extra)
    else:
        pyvips.Image.new_from_array(stored).copy(
            interpretation=made_space(dtype, channels)
        ).pngsave(str(path))
    pixels = seen(page_of(path, tmp_path / "page"), "before") / 255
    if channels == 2 and pixels.shape[2] == 4:  # WebP has no gray
        pixels = pixels[..., [0, 3]]
    assert pixels.shape == values.shape
    visible = values[..., -1] > 0.05 if channels in (2, 4) else np.ones(values.shape[:2], bool)
    assert np.abs(pixels - values)[visible].max() < 7 / 255
    assert np.abs(pixels - values)[visible].mean() < 1.5 / 255


def made_space(dtype: str, channels: int) -> str:
    gray, colour = ("grey16", "rgb16") if dtype == "uint16" else ("b-w", "srgb")
    return gray if channels < 3 else colour


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation: int, tmp_path: Path) -> None:
    """A picture that is stored turned is seen upright, as by Pillow's own turn."""
    from PIL import ImageOps

    path = tmp_path / "a.jpg"
    image = Image.fromarray(codes(smooth(), "uint8"))
    image.save(path, quality=98, exif=made.exif(orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    pixels = seen(page_of(path, tmp_path / "page"), "before")
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).max() <= 6


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_other_colour_spaces(dtype: str, tmp_path: Path) -> None:
    """A picture with a profile is seen in the colours that the profile gives, in Display P3."""
    values, path = 0.2 + 0.6 * smooth(), tmp_path / "a.tif"
    stored = values if dtype == "float32" else codes(values, dtype)
    profile = made.profile("p3")
    tags = [(34675, "B", len(profile), profile, True)]
    tifffile.imwrite(path, stored, photometric="rgb", extratags=tags)
    page = page_of(path, tmp_path / "page")
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    plain = Image.fromarray(codes(values, "uint8"))
    done = ImageCms.profileToProfile(plain, source, ImageCms.createProfile("sRGB"))
    difference = np.abs(seen(page, "before").astype(int) - np.asarray(done))
    assert np.percentile(difference, 99) <= 6
    assert difference.mean() < 1.5
    told = entries(page)[0]
    tile = next((page / told["place"] / told["before"]["tiles"]).glob("*/*.jpg"))
    wide = np.asarray(Image.open(tile))  # and without loss: the codes of Display P3 themselves
    assert np.abs(wide.astype(int) - np.asarray(plain)).mean() < 1.5


def test_wide_profile_is_not_taken_for_srgb(tmp_path: Path) -> None:
    """The comparison above would see codes that were passed on as sRGB."""
    values = np.full((64, 64, 3), (0.9, 0.3, 0.2), np.float32)
    path = tmp_path / "a.png"
    Image.fromarray(codes(values, "uint8")).save(path, icc_profile=made.profile("p3"))
    red = seen(page_of(path, tmp_path / "page"), "before")[32, 32]
    assert red[0] > 235  # sRGB needs more red for the same colour
    assert red[1] < 70


@pytest.mark.parametrize("suffix", [".exr", ".hdr"])
def test_linear_light(suffix: str, tmp_path: Path) -> None:
    """Linear pictures keep their light beyond white, fine to 0.3 %."""
    light = smooth() * np.float32(8)
    path = tmp_path / f"a{suffix}"
    made.openimageio(path, light)
    page = page_of(path, tmp_path / "page")
    coarse = 0.02 if suffix == ".hdr" else 0.003
    pixels = seen(page, "before")
    assert np.abs(pixels - light).max() <= coarse * 8
    bright = light > 0.5
    if suffix == ".exr":
        assert (np.abs(pixels - light)[bright] <= coarse * light[bright]).all()
    assert entries(page)[0]["before"]["kind"] == "js"
    assert (page / entries(page)[0]["place"] / entries(page)[0]["before"]["thumbnail"]).is_file()


def test_light_that_is_no_number(tmp_path: Path) -> None:
    """NaN is seen as black, infinity as the largest light, and transparent light on black."""
    light = np.full((8, 8, 4), 0.5, np.float32)
    light[..., 3] = 1
    light[0, 0, :3], light[0, 1, :3], light[1, 0] = np.nan, np.inf, 0
    light[2, 2] = 0.2, 0.2, 0.2, 0.5  # as OpenEXR stores it: half of 0.4
    path = tmp_path / "a.exr"
    made.openimageio(path, light)
    pixels = seen(page_of(path, tmp_path / "page"), "before")
    assert (pixels[0, 0] == 0).all()
    assert (pixels[0, 1] > 60000).all()
    assert (pixels[1, 0] == 0).all()
    assert pixels[2, 2] == pytest.approx(0.2, rel=0.003)
    assert pixels[4, 4] == pytest.approx(0.5, rel=0.003)


def test_levels_have_half_the_size(tmp_path: Path) -> None:
    """Smaller levels are the means of the larger ones, and tiles meet without a seam."""
    values = smooth(3, 700, 1100)
    path = tmp_path / "a.png"
    Image.fromarray(codes(values, "uint8")).save(path)
    page = page_of(path, tmp_path / "page")
    full, half = seen(page, "before"), seen(page, "before", below=1)
    assert full.shape == (700, 1100, 3)
    assert half.shape == (350, 550, 3)
    assert np.abs(full.astype(int) - codes(values, "uint8")).max() <= 6
    means = full.reshape(350, 2, 550, 2, 3).mean((1, 3))
    assert np.abs(half - means).max() <= 6


def test_light_tiles_meet(tmp_path: Path) -> None:
    """A picture of several tiles of light is whole."""
    from drht_plugin.io import write_hdr

    light = smooth(3, 600, 700) * np.float32(4)
    write_hdr(tmp_path / "a.exr", light)
    pixels = seen(page_of(tmp_path / "a.exr", tmp_path / "page"), "before")
    assert np.abs(pixels - light).max() <= 0.003 * 4


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (511, 2), (300, 1)])
def test_sizes(size: tuple[int, int], tmp_path: Path) -> None:
    """Pictures of one row, column or pixel, and those a little larger than a tile, are shown."""
    path = tmp_path / "a.png"
    gray = np.full(size, 90, np.uint8)
    Image.fromarray(gray).save(path)
    pixels = seen(page_of(path, tmp_path / "page"), "before")
    assert pixels.shape == (*size, 1)
    assert np.abs(pixels.astype(int) - 90).max() <= 2
