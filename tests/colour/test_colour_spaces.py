"""Profiles and code points against LittleCMS, and against nonsense."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import profiles as made
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageCms

from drht_plugin import Cicp, InputError
from drht_plugin.colour.spaces import SRGB, space_of

Array = npt.NDArray[Any]
NEAR = 1e-3

LINE = np.linspace(0, 1, 1024)
RGB = {
    **{name: made.rgb(name) for name in made.PRIMARIES},
    "power": made.rgb("p3", (made.parametric(0, 2.2),) * 3),
    "lifted power": made.rgb("adobe", (made.parametric(1, 2.4, 0.9, 0.1),) * 3),
    "power with a floor": made.rgb(
        "srgb", (made.parametric(2, 2.4, 0.99 ** (1 / 2.4) - 0.09, 0.09, 0.01),) * 3
    ),
    "all parts": made.rgb(
        "p3",
        (made.parametric(4, 2.4, 0.998 ** (1 / 2.4) - 0.055, 0.055, 0.08, 0.04, 0.002, 0.001),) * 3,
    ),
    "samples": made.rgb("adobe", (made.sampled(LINE**2.1),) * 3),
    "three curves": made.rgb("p3", (made.gamma(1.8), made.gamma(2.2), made.gamma(2.5))),
    "straight": made.rgb("srgb", (made.sampled(np.zeros(0)),) * 3),
    "Pillow's": ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "libvips'": bytes(
        pyvips.Image.black(1, 1, bands=3)
        .copy(interpretation="srgb")
        .icc_export(output_profile="p3")
        .get("icc-profile-data")
    ),
}
GRAY = {
    "power": made.gray(made.gamma(2.2)),
    "samples": made.gray(made.sampled(LINE**1.7)),
    "lightness": made.gray(made.parametric(0, 1.1), pcs=b"Lab "),
}
_TO_SRGB = np.linalg.inv(made.matrix("srgb"))


def by_littlecms(profile: bytes, codes: Array) -> Array:
    """Linear sRGB, unbounded, of codes n×3 or n×1 in 0..1; NaN near the ends of its CIELAB."""
    sixteen = np.rint(codes * 65535).astype(np.uint16)[None]
    image = pyvips.Image.new_from_array(sixteen)
    image = image.copy(interpretation="rgb16" if codes.shape[1] == 3 else "grey16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    lab = image.icc_import(embedded=True, intent="relative", pcs="lab").numpy()[0].astype(float)
    lab[(np.abs(lab[:, 1:]) > 110).any(1)] = np.nan
    middle = (lab[:, 0] + 16) / 116
    f = np.stack([middle + lab[:, 1] / 500, middle, middle - lab[:, 2] / 200], -1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    return (xyz * [0.9642, 1.0, 0.8249]) @ _TO_SRGB.T


def some_codes(colours: int) -> Array:
    """Random ones, and a ramp of gray."""
    random = np.random.default_rng(1).random((500, colours))
    return np.concatenate([random, np.linspace(0, 1, 65)[:, None].repeat(colours, 1)])


@pytest.mark.parametrize("name", RGB)
def test_rgb_is_littlecms(name: str) -> None:
    """Linear sRGB of every kind of curve and matrix is LittleCMS's to 1e-3, and goes back."""
    space, codes = space_of(RGB[name], colours=3), some_codes(3)
    light = space.decode(codes)
    linear = space.to_srgb(light)
    expected = by_littlecms(RGB[name], codes)
    inside = ~np.isnan(expected[:, 0])
    assert inside.mean() > 0.7
    np.testing.assert_allclose(linear[inside], expected[inside], atol=NEAR)
    again = space.encode(space.from_srgb(linear, light).clip(0, 1))
    np.testing.assert_allclose(space.decode(again), light, atol=1e-6)


@pytest.mark.parametrize("name", GRAY)
def test_gray_is_littlecms(name: str) -> None:
    """Gray too, and stays gray."""
    space, codes = space_of(GRAY[name], colours=1), some_codes(1)
    light = space.decode(codes)
    linear = space.to_srgb(light)
    assert (linear == linear[:, :1]).all()
    np.testing.assert_allclose(linear, by_littlecms(GRAY[name], codes), atol=NEAR)
    np.testing.assert_allclose(space.from_srgb(linear, light), light, atol=1e-9)


@pytest.mark.parametrize("name", ["p3", "adobe", "prophoto"])
def test_white_stays_white(name: str) -> None:
    """White is sRGB's white to the last bits, so that what is clipped looks clipped."""
    space = space_of(made.rgb(name), colours=3)
    np.testing.assert_allclose(space.to_srgb(np.ones((1, 3))), 1, atol=1e-12)


def test_what_is_srgb_is_taken_for_it() -> None:
    """Profiles that mean sRGB, and code points for it, are sRGB itself, so that no bit changes."""
    for profile in (RGB["srgb"], RGB["Pillow's"], Cicp(1, 13), Cicp(2, 2), None):
        assert space_of(profile, colours=3) is SRGB
    assert space_of(made.gray(made.SRGB_CURVE), colours=1) is SRGB
    # Of linear values only the primaries count.
    assert space_of(RGB["straight"], colours=3, linear=True) is SRGB
    assert space_of(RGB["straight"], colours=3) is not SRGB


@pytest.mark.parametrize("name", ["p3", "prophoto"])
def test_tables_are_looked_up(name: str) -> None:
    """A profile of tables gives what its table says, and the way back finds the codes again."""
    space, codes = space_of(made.tables(name), colours=3), some_codes(3)
    light = space.decode(codes)
    linear = space.to_srgb(light)
    bounded = (np.abs(made.lab(made.xyz(codes, name))[:, 1:]) < 120).all(-1)
    expected = made.xyz(codes, name) @ _TO_SRGB.T
    # Between its places a table is a straight line.
    assert np.abs(linear - expected)[bounded].mean() < 2e-3
    start = space.decode((codes + 0.03).clip(0, 1))
    found = space.encode(space.from_srgb(linear, start).clip(0, 1))
    assert np.abs(space.to_srgb(space.decode(found)) - linear)[bounded].max() < 1e-3
    assert np.abs(found - codes)[bounded].mean() < 2e-3


def test_code_points_are_their_profile() -> None:
    """P3 by code points is P3 by its profile."""
    points, profile = space_of(Cicp(12, 13), colours=3), space_of(made.rgb("p3"), colours=3)
    light = points.decode(some_codes(3))
    np.testing.assert_allclose(points.to_srgb(light), profile.to_srgb(light), atol=2e-4)


@pytest.mark.parametrize(
    ("profile", "colours", "words"),
    [
        (b"", 3, r"not ICC \(0 bytes\)"),
        (b"no profile" * 50, 3, r"not ICC \(500 bytes\)"),
        (made.rgb("p3")[:400], 3, "cut short"),
        (made.rgb("p3"), 1, "RGB pictures; expected one for gray"),
        (GRAY["power"], 3, "gray pictures; expected one for RGB"),
        (made.profile(b"CMYK", {}), 3, "CMYK pictures; expected RGB or GRAY"),
        (made.profile(b"RGB ", {}), 3, "lacks rXYZ, gXYZ"),
        (made.profile(b"GRAY", {}), 1, "lacks kTRC"),
        (made.rgb("p3", (made.gamma(0),) * 3), 3, "exponent 0"),
        (made.rgb("p3", (made.sampled(LINE[::-1]),) * 3), 3, "does not rise"),
        (made.profile(b"RGB ", {b"A2B0": b"mft2" + bytes(60)}), 3, "cannot be used"),
        ("p3", 3, "is a str; expected the bytes"),
        (12, 3, "is a int; expected the bytes"),
    ],
)
def test_what_is_no_profile(profile: Any, colours: int, words: str) -> None:
    """It is refused, and the message says why."""
    with pytest.raises(InputError, match=words):
        space_of(profile, colours=colours)


@pytest.mark.parametrize("points", [(3, 13), (1, 16), (9, 18), (1.0, 13), (True, 13)])
def test_unknown_code_points(points: Any) -> None:
    """Reserved ones, and those of pictures brighter than white, are refused."""
    with pytest.raises(InputError, match="expected one of"):
        Cicp(*points)


def test_tables_of_linear_values() -> None:
    """Tables are of display codes: with linear values they are refused."""
    with pytest.raises(InputError, match="expected one with a matrix"):
        space_of(made.tables("p3", 5), colours=3, linear=True)


@settings(max_examples=150)
@given(
    st.sampled_from([made.rgb("prophoto"), GRAY["samples"], RGB["all parts"]]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=6),
    st.floats(0, 1),
)
def test_damaged_profiles(profile: bytes, damage: list[tuple[float, int]], cut: float) -> None:
    """Whatever happens to its bytes, a profile is refused, or gives finite numbers."""
    data = bytearray(profile)
    for place, value in damage:
        data[int(place * len(data))] = value
    data = data[: len(data) if cut > 0.5 else int(2 * cut * len(data))]
    colours = 1 if profile is GRAY["samples"] else 3
    try:
        space = space_of(bytes(data), colours=colours)
    except InputError:
        return
    light = space.decode(some_codes(colours))
    linear = space.to_srgb(light)
    assert np.isfinite(light).all()
    assert np.isfinite(linear).all()
    assert np.isfinite(space.encode(space.from_srgb(linear, light).clip(0, 1))).all()
