"""Colours that files state outside a profile: kept, or made a profile, and seen by the survey."""

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import png_bytes
import profiles
import pytest
import pyvips
import tifffile
from faults import fault
from meaning_judges import shown
from numpy.typing import NDArray
from PIL import Image, ImageCms
from signal_samples import colours, png
from strategies import corrector
from tiff_bytes import tiff_bytes

from drht_plugin import DrhtWarning, correct_file
from drht_plugin import vips as drht_vips
from drht_plugin.io import read_picture

STUB = corrector()
P3 = png_bytes.primaries(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
ADOBE = png_bytes.primaries(0.3127, 0.329, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def avif(path: Path, pixels: NDArray[Any], points: tuple[int, int]) -> None:
    """Write an AVIF whose box nclx names its colours."""
    image = pyvips.Image.new_from_array(pixels)
    data = bytearray(image.heifsave_buffer(compression="av1", lossless=True))
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = struct.pack(">HH", *points)
    path.write_bytes(data)


def seen(path: Path) -> NDArray[Any]:
    """CIELAB of a file's colours as LittleCMS sees them by its profile."""
    with Image.open(path) as image:
        icc = image.info["icc_profile"]
        lab = ImageCms.createProfile("LAB")
        source = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        change = ImageCms.buildTransform(
            source, lab, "RGB", "LAB", ImageCms.Intent.RELATIVE_COLORIMETRIC
        )
        found = np.asarray(ImageCms.applyTransform(image.convert("RGB"), change))
    return np.stack([found[..., 0] / 2.55, *np.moveaxis(found[..., 1:].view(np.int8), -1, 0)], -1)


def meant(pixels: NDArray[Any], space: str, gamma: float | None) -> NDArray[Any]:
    """CIELAB of codes of a space, or of its primaries and a power."""
    codes = pixels / 255
    light = profiles.to_light(space, codes) if gamma is None else codes**gamma
    return profiles.lab(light @ profiles.matrix(space).T)


SIGNALS: dict[str, tuple[tuple[tuple[bytes, bytes], ...], str, float | None]] = {
    "cHRM": ((P3,), "p3", None),
    "gAMA": ((png_bytes.gamma(1.8),), "srgb", 1.8),
    "gAMA+cHRM": ((png_bytes.gamma(2.2 * 1.05), ADOBE), "adobe", 2.2 * 1.05),
    "linear": ((png_bytes.gamma(1.0),), "srgb", 1.0),
    "cICP": (((b"cICP", bytes((12, 13, 0, 1))),), "p3", None),
    "cICP before iCCP": (
        (
            (b"cICP", bytes((12, 13, 0, 1))),
            (b"iCCP", profiles.iccp(profiles.rgb("adobe"))),
        ),
        "p3",
        None,
    ),
    "iCCP before gAMA": (
        ((b"iCCP", profiles.iccp(profiles.rgb("p3"))), png_bytes.gamma(1.0)),
        "p3",
        None,
    ),
}


@pytest.mark.parametrize("suffix", [".tif", ".jpg", ".webp", ".avif"])
@pytest.mark.parametrize("name", SIGNALS)
def test_colours_become_a_profile(name: str, suffix: str, tmp_path: Path) -> None:
    """LittleCMS sees in other formats what the chunks of a PNG mean."""
    chunks, space, gamma = SIGNALS[name]
    pixels = png(tmp_path / "a.png", *chunks)
    target = tmp_path / f"b{suffix}"
    correct_file(tmp_path / "a.png", target, corrector=STUB, strength=0)
    error = np.abs(seen(target) - meant(pixels, space, gamma)).max(-1)
    assert np.median(error) < 1.5
    assert error.mean() < 2.5


@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_profile_of_another_kind_costs_itself(mode: str, tmp_path: Path) -> None:
    """JPEG XL, whose encoder refuses one, gets the picture without it, and the report says so."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture = Image.fromarray(colours()).convert(mode)
    picture.save(tmp_path / "a.png", icc_profile=profile)
    source, target = tmp_path / "a.png", tmp_path / "b.jxl"
    with pytest.warns(DrhtWarning, match="sRGB is assumed"):
        report = correct_file(source, target, corrector=STUB, strength=0)
    assert report.dropped == ("ICC profile (for pictures of another kind)",)
    found = read_picture(target).pixels
    np.testing.assert_array_equal(found.squeeze(), np.asarray(picture))


@pytest.mark.parametrize("name", SIGNALS)
def test_the_survey_sees_the_colours(name: str, tmp_path: Path) -> None:
    """A correction is that of a profile of the same colours, in files and by libvips."""
    chunks, _, _ = SIGNALS[name]
    pixels = png(tmp_path / "a.png", *chunks)
    correct_file(tmp_path / "a.png", tmp_path / "b.tif", corrector=STUB)
    correct_file(tmp_path / "a.png", tmp_path / "b.png", corrector=STUB)
    result = tifffile.imread(tmp_path / "b.tif")
    with Image.open(tmp_path / "b.tif") as image:
        icc = image.info["icc_profile"]
    np.testing.assert_array_equal(result, shown(tmp_path / "b.png") * 255)
    change = result.astype(int) - STUB.correct(pixels, profile=icc)
    assert np.abs(change).max() <= 1
    image = pyvips.Image.new_from_file(str(tmp_path / "a.png"))
    attached = drht_vips.correct(image, strength=0).get("icc-profile-data")
    assert attached == icc


@pytest.mark.parametrize("name", SIGNALS)
def test_png_keeps_its_chunks(name: str, tmp_path: Path) -> None:
    """From PNG to PNG, what states the colours stays as it is."""
    chunks, _, _ = SIGNALS[name]
    png(tmp_path / "a.png", *chunks)
    correct_file(tmp_path / "a.png", tmp_path / "b.png", corrector=STUB, strength=0)
    written = (tmp_path / "b.png").read_bytes()
    for kind, data in chunks:
        assert (kind if kind == b"iCCP" else kind + data) in written
    assert written.count(b"iCCP") == sum(kind == b"iCCP" for kind, _ in chunks)


def test_srgb_chunk_outranks_gamma(tmp_path: Path) -> None:
    """A PNG in sRGB gets no profile, whatever gAMA says; nor does gAMA's value for sRGB."""
    for name, chunks in (
        ("a", [(b"sRGB", b"\0"), png_bytes.gamma(1.0)]),
        ("b", [(b"gAMA", b"\0\0\xb1\x8f")]),
    ):
        png(tmp_path / f"{name}.png", *chunks)
        correct_file(tmp_path / f"{name}.png", tmp_path / f"{name}.tif", corrector=STUB, strength=0)
        with Image.open(tmp_path / f"{name}.tif") as image:
            assert "icc_profile" not in image.info


def test_gray_gets_a_gray_profile(tmp_path: Path) -> None:
    """The gamma of a gray PNG becomes a profile for gray."""
    png(tmp_path / "a.png", png_bytes.gamma(1.8), P3, gray=True)
    correct_file(tmp_path / "a.png", tmp_path / "b.tif", corrector=STUB, strength=0)
    with Image.open(tmp_path / "b.tif") as image:
        assert image.info["icc_profile"][16:20] == b"GRAY"


@pytest.mark.parametrize("transfer", [16, 18])
@pytest.mark.parametrize("source", ["png", "avif"])
def test_pq_and_hlg_are_kept(source: str, transfer: int, tmp_path: Path) -> None:
    """Code points beyond white stay in PNG and AVIF, and become a profile's elsewhere."""
    first = tmp_path / f"a.{source}"
    if source == "png":
        png(first, (b"cICP", bytes((9, transfer, 0, 1))))
    else:
        avif(first, colours(), (9, transfer))
    for target in ("b.png", "b.avif", "b.tif"):
        with pytest.warns(DrhtWarning, match="sRGB is assumed"):
            correct_file(first, tmp_path / target, corrector=STUB, strength=0)
    assert b"cICP" + bytes((9, transfer, 0, 1)) in (tmp_path / "b.png").read_bytes()
    assert b"nclx" + struct.pack(">HH", 9, transfer) in (tmp_path / "b.avif").read_bytes()
    for name in ("b.png", "b.avif"):
        with Image.open(tmp_path / name) as image:
            assert "icc_profile" not in image.info
    with Image.open(tmp_path / "b.tif") as image:
        assert b"cicp" + bytes(4) + bytes((9, transfer, 0, 1)) in image.info["icc_profile"]
    with pytest.warns(DrhtWarning, match="beyond white"):
        correct_file(tmp_path / "b.tif", tmp_path / "c.tif", corrector=STUB, strength=0)


@pytest.mark.parametrize("points", [(1, 13), (12, 13), (9, 13), (1, 4), (12, 8)])
def test_nclx_is_kept(points: tuple[int, int], tmp_path: Path) -> None:
    """An AVIF's code points stand in the new AVIF, whose pixels Pillow can read."""
    avif(tmp_path / "a.avif", colours(), points)
    correct_file(tmp_path / "a.avif", tmp_path / "b.avif", corrector=STUB, strength=0)
    assert b"nclx" + struct.pack(">HH", *points) in (tmp_path / "b.avif").read_bytes()
    np.testing.assert_allclose(shown(tmp_path / "b.avif"), colours() / 255, atol=20 / 255)


def test_nclx_p3() -> None:
    """A kept file in Display P3: its colours come out in AVIF, PNG and TIFF."""
    source = fault("nclx_p3.avif")
    assert read_picture(source).carrier.metadata.cicp == (12, 13)


@pytest.mark.parametrize("suffix", [".avif", ".png", ".tif"])
def test_nclx_p3_in_other_files(suffix: str, tmp_path: Path) -> None:
    """A kept AVIF in Display P3 looks the same in each result, by its profile."""
    source, target = fault("nclx_p3.avif"), tmp_path / f"b{suffix}"
    correct_file(source, target, corrector=STUB, strength=0)
    with Image.open(source) as image:
        expected = meant(np.asarray(image), "p3", None)
    assert np.abs(seen(target) - expected).mean() < 2
    data = target.read_bytes()
    assert suffix != ".avif" or b"nclx\0\x0c\0\x0d" in data
    assert suffix != ".png" or b"cICP\x0c\x0d\0\1" in data


def test_tiff_primaries(tmp_path: Path) -> None:
    """PrimaryChromaticities stay in TIFF, without a profile, and become one in PNG."""
    white = [3127, 10000, 3290, 10000]
    places = [68, 100, 32, 100, 265, 1000, 69, 100, 15, 100, 6, 100]
    fields = {318: (5, white), 319: (5, places)}
    (tmp_path / "a.tif").write_bytes(tiff_bytes(colours(), photometric=2, bits=8, fields=fields))
    for name in ("b.tif", "b.png"):
        correct_file(tmp_path / "a.tif", tmp_path / name, corrector=STUB, strength=0)
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        tags = file.pages.first.tags
        assert tags[318].value == tuple(white)
        assert tags[319].value == tuple(places)
        assert 34675 not in tags
    error = np.abs(seen(tmp_path / "b.png") - meant(colours(), "p3", None))
    assert error.mean() < 1


def test_adobe_rgb_by_exif(tmp_path: Path) -> None:
    """A JPEG that names Adobe RGB in EXIF alone gets a profile of it; a profile outranks EXIF."""
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0xA001] = 65535
    exif.get_ifd(0x8769)[0xA005] = {1: "R03", 2: b"0100"}
    picture = Image.fromarray(colours())
    for name, icc, space in (("a", None, "adobe"), ("b", profiles.rgb("p3"), "p3")):
        source, target = tmp_path / f"{name}.jpg", tmp_path / f"{name}-out.png"
        picture.save(source, exif=exif.tobytes(), icc_profile=icc, quality=98, subsampling=0)
        correct_file(source, target, corrector=STUB, strength=0)
        assert np.median(np.abs(seen(target) - meant(colours(), space, None))) < 1.5


def test_a_damaged_chunk_costs_itself(tmp_path: Path) -> None:
    """Absurd gAMA and cHRM chunks, and a profile that cannot be unpacked, cost no picture."""
    bad = [
        (b"gAMA", bytes(4)),
        (b"cHRM", bytes(32)),
        (b"iCCP", b"x\0\0" + zlib.compress(b"y" * 200)[:-9]),
        (b"cICP", b"\1"),
    ]
    for chunk in bad:
        png(tmp_path / "a.png", chunk)
        picture = read_picture(tmp_path / "a.png")
        np.testing.assert_array_equal(picture.pixels, colours())
