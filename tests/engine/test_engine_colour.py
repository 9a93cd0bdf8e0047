"""One picture in the codes of several colour spaces: one look; and nothing dulled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import profiles as made
import pytest
import pyvips
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage.color import deltaE_ciede2000
from strategies import PlainNetworks, StubNetworks, corrector, picture

import drht_plugin
from drht_plugin import Cicp, Corrector, DrhtWarning, InputError, correct_file, vips
from drht_plugin.colour.spaces import space_of
from drht_plugin.engine.survey.network_view import to_network_space
from drht_plugin.io import read_picture

Array = npt.NDArray[Any]

STUB, PLAIN = corrector(), corrector(PlainNetworks())
EXAMPLES = Path(__file__).parents[2] / "examples/pictures"
PHOTOS = Path(__file__).parents[3] / "shared/data"
SPACES = ("p3", "adobe", "prophoto")
MEAN, P95 = 1.0, 2.5
"""ΔE00 between results in different spaces, at most."""


@pytest.fixture(scope="module")
def shipped() -> Corrector:
    return Corrector(device="cpu")


def sixteen(codes: Array) -> Array:
    """Codes in 0..1 as uint16."""
    return np.rint(codes * 65535).astype(np.uint16)


def lab(pixels: Array, name: str) -> Array:
    """CIELAB of integer codes of a space."""
    return made.lab(made.xyz(pixels / np.iinfo(pixels.dtype).max, name))


def differences(one: Array, other: Array) -> tuple[float, float]:
    """Mean and 95th percentile of ΔE00."""
    each = deltaE_ciede2000(one, other)  # type: ignore[no-untyped-call]
    return float(each.mean()), float(np.percentile(each, 95))


def photo(path: Path) -> Array:
    """SRGB codes in 0..1, at most 512 pixels a side."""
    with Image.open(path) as image:
        image.thumbnail((512, 512))
        return np.asarray(image.convert("RGB")) / 255


def of_photos(folder: str, *names: str) -> list[Any]:
    absent = pytest.mark.skipif(not (PHOTOS / folder).is_dir(), reason=f"{folder} is absent")
    return [pytest.param(PHOTOS / folder / name, marks=absent, id=name) for name in names]


@pytest.mark.parametrize(
    "path",
    [
        *(
            pytest.param(EXAMPLES / name, id=name)
            for name in (
                "golden_gate_dark.jpg",
                "golden_gate_bright.jpg",
                "st_fagans_window.jpg",
            )
        ),
        *of_photos("photos_dev", "bmvc_002b_overexposed.jpg", "dicm_11.jpg", "dicm_34.jpg"),
        *of_photos("photos_train", "budgie_casa_mila.jpg"),
    ],
)
def test_spaces_look_alike(path: Path, shipped: Corrector) -> None:
    """Results in sRGB, Display P3, Adobe RGB and ProPhoto are within the bounds of each other."""
    codes = photo(path)
    results = {"srgb": lab(shipped.correct(sixteen(codes)), "srgb")}
    assert differences(lab(sixteen(codes), "srgb"), results["srgb"])[0] > 2
    for name in SPACES:
        pixels = sixteen(made.converted(codes, "srgb", name))
        results[name] = lab(shipped.correct(pixels, profile=made.rgb(name)), name)
    names = list(results)
    for i, one in enumerate(names):
        for other in names[i + 1 :]:
            mean, p95 = differences(results[one], results[other])
            assert mean <= MEAN, (one, other)
            assert p95 <= P95, (one, other)


def test_the_survey_is_that_of_srgb() -> None:
    """What the networks see of a picture is the same in any space, to a thousandth of white."""
    shown: list[Array] = []

    class Watched(StubNetworks):
        def __call__(self, ldr: Any, _known: object = None) -> Any:
            shown.append(ldr)
            return super().__call__(ldr)

    watching = corrector(Watched())
    codes = picture(200, 300, 3, "float32", 3) * np.array([1, 0.6, 0.3])
    watching.survey(sixteen(codes))
    for name in SPACES:
        pixels = sixteen(made.converted(codes, "srgb", name))
        watching.survey(pixels, profile=made.rgb(name))
        watching.survey(
            made.to_light(name, pixels / 65535).astype(np.float32),
            transfer="linear",
            profile=made.rgb(name),
        )
    watching.survey(sixteen(made.converted(codes, "srgb", "p3")), profile=Cicp(12, 13))
    assert len(shown) == 8
    for each in shown[1:]:
        np.testing.assert_allclose(each, shown[0], atol=1e-3)


@given(st.integers(0, 1 << 16), st.sampled_from(SPACES))
def test_what_is_left_alone_stays(seed: int, name: str) -> None:
    """Networks that change nothing change nothing, of colours that sRGB does not hold either."""
    random = np.random.default_rng(seed)
    blocks = random.random((8, 10, 3)).repeat(12, 0).repeat(12, 1)
    pixels = sixteen(blocks)
    result = PLAIN.correct(pixels, profile=made.rgb(name))
    assert np.abs(result.astype(int) - pixels).max() <= 40  # of 65535


@pytest.mark.parametrize("name", SPACES)
def test_strong_colours_are_not_dulled(name: str) -> None:
    """Colours beyond sRGB lose no more of their strength than their luma moves."""
    random = np.random.default_rng(3)
    light = np.array([[0.9, 0.02, 0.02], [0.02, 0.9, 0.02], [0.6, 0.6, 0.01], [0.02, 0.5, 0.5]])
    blocks = light[random.integers(0, 4, (6, 8))].repeat(24, 0).repeat(24, 1)
    blocks *= np.linspace(0.05, 1, blocks.shape[1])[None, :, None]
    codes = made.to_codes(name, blocks)
    pixels = sixteen(codes)
    result = STUB.correct(pixels, profile=made.rgb(name))

    def facts(values: Array) -> tuple[Array, Array]:
        """Luminance, and how far a colour is from gray of it."""
        seen_ = made.xyz(values / 65535, name)
        gray = seen_[..., 1:2] * made.matrix("srgb").sum(1)
        return seen_[..., 1], np.linalg.norm(seen_ - gray, axis=-1) / seen_[..., 1]

    luma, strength = facts(pixels)
    moved, kept = facts(result)
    outside = (np.linalg.solve(made.matrix("srgb"), made.xyz(codes, name)[..., None]) < -0.005).any(
        (-1, -2)
    )
    assert outside.mean() > 0.2
    loss = np.log(strength / kept)[outside]
    change = np.abs(np.log(moved / luma))[outside]
    assert change.mean() > 0.15
    assert loss.mean() < 0.1 * change.mean()
    assert (loss <= change + 0.05).mean() > 0.97


def test_tables_are_their_matrix(shipped: Corrector) -> None:
    """A profile of tables gives what one of a matrix gives, but for the table's steps."""
    codes = photo(EXAMPLES / "golden_gate_dark.jpg")
    pixels = sixteen(made.converted(codes, "srgb", "adobe"))
    one, other = (
        lab(shipped.correct(pixels, profile=profile), "adobe")
        for profile in (made.tables("adobe"), made.rgb("adobe"))
    )
    mean, p95 = differences(one, other)
    assert mean < 0.3
    assert p95 < 1


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_a_profile_of_srgb_changes_no_bit(dtype: str) -> None:
    """Neither does one of sRGB's curve for gray, nor code points."""
    image = picture(60, 80, 3, dtype)
    expected = STUB.correct(image)
    for profile in (made.rgb("srgb"), Cicp(1, 13)):
        np.testing.assert_array_equal(STUB.correct(image, profile=profile), expected)
    gray = picture(60, 80, 1, dtype)
    result = STUB.correct(gray, profile=made.gray(made.SRGB_CURVE))
    np.testing.assert_array_equal(result, STUB.correct(gray))


@pytest.mark.parametrize("alpha", [False, True])
def test_gray(alpha: bool) -> None:
    """Gray of another curve looks as the same gray of sRGB's does."""
    plain = picture(120, 160, 1, "float32", 1).astype(float)
    power = made.to_light("srgb", plain) ** (1 / 1.8)
    codes = [sixteen(np.concatenate([p, p * 0 + 1][: 1 + alpha], -1)) for p in (plain, power)]
    expected = STUB.correct(codes[0])[..., 0] / 65535
    result = STUB.correct(codes[1], profile=made.gray(made.gamma(1.8)))[..., 0] / 65535
    shown = made.to_codes("srgb", result**1.8)
    assert np.abs(shown - expected).mean() < 0.01
    assert np.abs(expected - plain[..., 0]).mean() > 0.05


def test_radiance_is_of_the_own_primaries() -> None:
    """The HDR estimate of a wide picture is that of the sRGB one, in the profile's primaries."""
    codes = picture(120, 160, 3, "float32", 1) * np.array([1, 0.7, 0.5])
    plain = STUB.estimate_hdr(sixteen(codes))
    wide = STUB.estimate_hdr(sixteen(made.converted(codes, "srgb", "p3")), profile=made.rgb("p3"))
    back = wide @ np.linalg.solve(made.matrix("srgb"), made.matrix("p3")).T
    assert np.abs(back - plain).mean() < 0.01
    assert np.abs(back - plain).mean() < 0.3 * np.abs(wide - plain).mean()


def test_white_and_black_stay() -> None:
    """What is clipped has nothing outside sRGB, and comes back as the networks have it."""
    ends = np.zeros((32, 32, 3), np.float32)
    ends[:16] = 1
    view = to_network_space(ends, space_of(made.rgb("prophoto"), colours=3), colours=3)
    np.testing.assert_allclose(view.codes, ends, atol=1e-6)
    assert np.abs(view.out_of_gamut).max() < 1e-12
    np.testing.assert_allclose(view.restore(view.codes), ends, atol=1e-6)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (b"nonsense", r"not ICC \(8 bytes\)"),
        (made.gray(made.gamma(2.2)), "gray pictures; expected one for RGB"),
        ("sRGB", "is a str"),
    ],
)
def test_arrays_with_what_is_no_profile(profile: Any, words: str) -> None:
    """It is refused before anything is read."""

    class Unread:
        shape, dtype = (9, 9, 3), np.dtype(np.uint8)

        def __getitem__(self, rows: slice) -> Any:
            raise AssertionError("was read")

        def __setitem__(self, rows: slice, pixels: Any) -> None:
            raise AssertionError("was written")

    for call in (STUB.survey, lambda image, **k: STUB.stream(image, image, **k)):
        with pytest.raises(InputError, match=words):
            call(Unread(), profile=profile)


# Files ----------------------------------------------------------------------------------------


def wide() -> Array:
    """A P3 picture of 8 bits with colours beyond sRGB."""
    codes = picture(96, 128, 3, "float32", 2, (0.0, 0.4)) * np.array([1, 0.3, 0.2])
    return np.rint(codes * 255).astype(np.uint8)


def test_files_say_it_by_themselves(tmp_path: Path) -> None:
    """A file's ICC profile, and cICP before it, count as the same profile given for its pixels."""
    pixels, profile = wide(), made.rgb("p3")
    expected = STUB.correct(pixels, profile=profile)
    assert np.abs(expected.astype(int) - STUB.correct(pixels)).max() > 2
    for name in ("a.png", "a.tif"):
        Image.fromarray(pixels).save(tmp_path / name, icc_profile=profile)
        correct_file(tmp_path / name, tmp_path / f"out-{name}", corrector=STUB)
        np.testing.assert_array_equal(read_picture(tmp_path / f"out-{name}").pixels, expected)
    plain = pyvips.Image.new_from_array(pixels).pngsave_buffer()
    chunk = made.png_chunk(b"cICP", bytes([12, 13, 0, 1]))
    other = made.png_chunk(b"iCCP", made.iccp(made.rgb("prophoto")))
    (tmp_path / "c.png").write_bytes(plain[:33] + chunk + other + plain[33:])
    correct_file(tmp_path / "c.png", tmp_path / "out-c.png", corrector=STUB)
    made_ = read_picture(tmp_path / "out-c.png")
    assert np.array_equal(made_.pixels, STUB.correct(pixels, profile=Cicp(12, 13)))
    assert made_.carrier.metadata.cicp == (12, 13)


def avif(path: Path, pixels: Array, points: tuple[int, int]) -> None:
    """An exact AVIF that names its colours by code points."""
    data = bytearray(
        pyvips.Image.new_from_array(pixels).heifsave_buffer(compression="av1", lossless=True)
    )
    at = data.index(b"colrnclx") + 8
    data[at : at + 4] = np.array(points, ">u2").tobytes()
    path.write_bytes(data)


def test_nclx(tmp_path: Path) -> None:
    """An AVIF's nclx counts, and becomes a profile of the same space in the result."""
    pixels = wide()
    avif(tmp_path / "a.avif", pixels, (12, 13))
    expected = STUB.correct(pixels, profile=Cicp(12, 13))
    for suffix in (".avif", ".png"):
        target = tmp_path / f"out{suffix}"
        correct_file(tmp_path / "a.avif", target, corrector=STUB)
        result = read_picture(target)
        profile = result.carrier.metadata.icc
        assert profile is not None
        light = np.random.default_rng(1).random((9, 3))
        spaces = [space_of(each, colours=3) for each in (profile, Cicp(12, 13))]
        one, other = (space.to_srgb(space.decode(light)) for space in spaces)
        np.testing.assert_allclose(one, other, atol=2e-4)
        if suffix == ".png":
            np.testing.assert_array_equal(result.pixels, expected)
    alike = lab(result.pixels, "p3"), lab(STUB.correct(pixels, profile=made.rgb("p3")), "p3")
    mean, p95 = differences(*alike)
    assert mean <= MEAN
    assert p95 <= P95


@pytest.mark.parametrize("profile", [b"junk" * 100, made.rgb("p3")[:300]])
def test_a_damaged_profile_does_not_cost_the_picture(profile: bytes, tmp_path: Path) -> None:
    """The file is corrected as sRGB, without the profile, and the report says so."""
    pixels = wide()
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    report = correct_file(tmp_path / "a.png", tmp_path / "b.png", corrector=STUB)
    assert "ICC profile (damaged)" in report.dropped
    result = read_picture(tmp_path / "b.png")
    np.testing.assert_array_equal(result.pixels, STUB.correct(pixels))
    assert result.carrier.metadata.icc is None


def test_a_profile_for_gray_does_not_cost_the_picture(tmp_path: Path) -> None:
    """An RGB file with one is corrected as sRGB, keeps it, and a warning says so."""
    pixels, profile = wide(), made.gray(made.gamma(2.2))
    Image.fromarray(pixels).save(tmp_path / "a.png", icc_profile=profile)
    with pytest.warns(DrhtWarning, match=r"a\.png: sRGB is assumed: the profile is"):
        correct_file(tmp_path / "a.png", tmp_path / "b.png", corrector=STUB)
    result = read_picture(tmp_path / "b.png")
    np.testing.assert_array_equal(result.pixels, STUB.correct(pixels))
    assert result.carrier.metadata.icc == profile


def test_the_command_says_it(tmp_path: Path) -> None:
    """One line on stderr, in the command's words, and success; HLG is said to be sRGB too."""
    Image.fromarray(wide()).save(tmp_path / "a.png", icc_profile=b"junk")
    avif(tmp_path / "b.avif", wide(), (9, 18))
    done = subprocess.run(
        [sys.executable, "-m", "drht_plugin.cli", "correct", "a.png", "b.avif", "--device", "cpu"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stderr.strip().splitlines()
    assert "drht: a.png: not kept: ICC profile (damaged)" in said
    assert any(line.startswith("drht: b.avif: sRGB is assumed: transfer is 18") for line in said)
    assert "Warning" not in done.stderr


# libvips --------------------------------------------------------------------------------------


def with_profile(pixels: Array, profile: bytes) -> pyvips.Image:
    image = pyvips.Image.new_from_array(pixels).copy()
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    return image


def test_libvips_goes_by_the_profile() -> None:
    """The image's profile counts; a bad one is said, and the image taken for sRGB."""
    pixels = wide()
    result = vips.correct(with_profile(pixels, made.rgb("p3")), device="cpu").numpy()
    expected = drht_plugin.correct(pixels, profile=made.rgb("p3"), device="cpu")
    np.testing.assert_array_equal(result, expected)
    with pytest.warns(DrhtWarning, match="sRGB is assumed for the image"):
        result = vips.correct(with_profile(pixels, b"junk"), device="cpu").numpy()
    np.testing.assert_array_equal(result, drht_plugin.correct(pixels, device="cpu"))
