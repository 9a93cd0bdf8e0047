"""Lossy pictures stay lossy, of about their size, with the chroma that they had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import io_samples as made
import numpy as np
import pytest
import pyvips
from PIL import Image
from strategies import corrector

from drht_plugin import correct_file, io
from drht_plugin.colour import icc
from drht_plugin.colour.spaces import space_of

STUB = corrector()
EXAMPLE = Path(__file__).parents[2] / "examples/pictures/golden_gate_bright.jpg"


def photograph(width: int = 640) -> Image.Image:
    """A photograph with detail."""
    with Image.open(EXAMPLE) as picture:
        return picture.convert("RGB").resize((width, width * 2 // 3))


def jxl(path: Path, quality: int, profile: bytes | None = None) -> Path:
    pixels = np.asarray(photograph())
    options: dict[str, Any] = {"compression": f"jpegxl:{quality}"}
    made.openimageio(path, pixels, icc=profile, **options)
    return path


def sources(folder: Path, suffix: str, quality: int) -> Path:
    path = folder / f"a{suffix}"
    if suffix == ".jxl":
        return jxl(path, quality)
    photograph().save(path, quality=quality)
    return path


def unchanged(source: Path, target: Path, **options: Any) -> tuple[str, ...]:
    return correct_file(source, target, corrector=STUB, strength=0, **options).dropped


@pytest.mark.parametrize("quality", [45, 70, 90])
@pytest.mark.parametrize("suffix", [".webp", ".avif", ".jxl"])
def test_the_size_is_kept(suffix: str, quality: int, tmp_path: Path) -> None:
    """A WebP, AVIF or JPEG XL picture is written in about the size that it had, at any quality."""
    source = sources(tmp_path, suffix, quality)
    unchanged(source, tmp_path / f"b{suffix}")
    sizes = [path.stat().st_size for path in (source, tmp_path / f"b{suffix}")]
    assert 0.85 < sizes[1] / sizes[0] < 1.15


@pytest.mark.parametrize(
    ("source", "target"), [(".jpg", ".jxl"), (".jpg", ".webp"), (".webp", ".jpg")]
)
def test_the_size_is_kept_in_another_format(source: str, target: str, tmp_path: Path) -> None:
    """From one lossy format to another, too, so that none grows to a lossless file's size."""
    path = sources(tmp_path, source, 80)
    unchanged(path, tmp_path / f"b{target}")
    assert 0.8 < (tmp_path / f"b{target}").stat().st_size / path.stat().st_size < 1.2


@pytest.mark.parametrize("quality", [60, 95])
@pytest.mark.parametrize("subsampling", ["4:2:0", "4:4:4"])
def test_avif_keeps_its_chroma(subsampling: str, quality: int, tmp_path: Path) -> None:
    """4:2:0 stays 4:2:0 at high quality, and 4:4:4 stays 4:4:4 at low quality."""
    photograph().save(tmp_path / "a.avif", quality=quality, subsampling=subsampling)
    unchanged(tmp_path / "a.avif", tmp_path / "b.avif")
    flags = [(tmp_path / name).read_bytes() for name in ("a.avif", "b.avif")]
    chroma = [data[data.index(b"av1C") + 6] & 0x0C for data in flags]
    assert chroma == [0x0C if subsampling == "4:2:0" else 0] * 2


def test_lossless_jpeg_xl_stays_lossless(tmp_path: Path) -> None:
    """Exact pixels come back exact; a quality that is asked for makes them lossy."""
    pixels = np.asarray(photograph())
    made.openimageio(tmp_path / "a.jxl", pixels)
    unchanged(tmp_path / "a.jxl", tmp_path / "b.jxl")
    np.testing.assert_array_equal(made.stored(tmp_path / "b.jxl"), pixels)
    unchanged(tmp_path / "a.jxl", tmp_path / "c.jxl", quality=80)
    sizes = [(tmp_path / name).stat().st_size for name in ("b.jxl", "c.jxl")]
    assert sizes[1] < sizes[0] / 3


def test_lossy_jpeg_xl_keeps_the_colours_of_a_profile(tmp_path: Path) -> None:
    """A profile of primaries and a curve becomes an equal one, which is said."""
    dropped = unchanged(jxl(tmp_path / "a.jxl", 85, made.profile("p3")), tmp_path / "b.jxl")
    before, after = (io.read_picture(tmp_path / name) for name in ("a.jxl", "b.jxl"))
    codes = np.random.default_rng(0).random((64, 3))
    spaces = [space_of(each.carrier.metadata.icc, colours=3) for each in (before, after)]
    light = [space.to_srgb(space.decode(codes)) for space in spaces]
    np.testing.assert_allclose(light[1], light[0], atol=3e-3)
    assert any("ICC profile" in part for part in dropped)
    error = np.abs(after.pixels.astype(int) - before.pixels).mean()
    assert 0 < error < 4


def test_a_profile_that_lossy_jpeg_xl_cannot_keep_is_stored_losslessly(tmp_path: Path) -> None:
    """A gray profile of its own gamma keeps its bytes, as the picture is then lossless."""
    profile = icc.gray_profile(icc.parametric_tag(1.8))
    with Image.open(EXAMPLE) as picture:
        gray = picture.convert("L").resize((300, 200))
    gray.save(tmp_path / "a.jpg", quality=80, icc_profile=profile)
    dropped = unchanged(tmp_path / "a.jpg", tmp_path / "b.jxl")
    assert bytes(made.header(tmp_path / "b.jxl").getattribute("ICCProfile")) == profile
    assert not any("profile" in part for part in dropped)


@pytest.mark.parametrize("suffix", [".webp", ".avif"])
def test_deep_and_transparent_pictures_too(suffix: str, tmp_path: Path) -> None:
    """The estimate takes alpha, and 10 bits, and pictures smaller than its sample."""
    pixels = made.values(4, "uint8", 48, 56)
    made.pillow(tmp_path / f"a{suffix}", pixels, quality=70)
    unchanged(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}")
    if suffix == ".avif":
        deep = np.asarray(photograph()).astype(np.uint16) << 8
        image = pyvips.Image.new_from_array(deep).copy(interpretation="rgb16")
        image.heifsave(str(tmp_path / "c.avif"), compression="av1", bitdepth=10, Q=70)
        unchanged(tmp_path / "c.avif", tmp_path / "d.avif")
        sizes = [(tmp_path / name).stat().st_size for name in ("c.avif", "d.avif")]
        assert 0.85 < sizes[1] / sizes[0] < 1.15
