"""What `correct` promises of any array, whatever the networks say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    DTYPES,
    channel_counts,
    corrector,
    display,
    dtypes,
    luma,
    picture,
    quantised,
    same,
    seeds,
    sizes,
)

import drht_plugin
from drht_plugin import Strength
from drht_plugin.bridge import transfer

STUB = corrector()
CODE = 1 / 256 + 1e-6
"""The largest change that `shadows=0` or `highlights=0` lets through, at luma changes of 1/64."""


@given(sizes, channel_counts, dtypes, seeds)
def test_pixels_in_pixels_out_alike(
    size: tuple[int, int], channels: int | None, dtype: str, seed: int
) -> None:
    """Shape and dtype come back for every kind of array; values are finite; the input is intact."""
    image = picture(*size, channels, dtype, seed)
    before = image.copy()
    result = STUB.correct(image)
    assert result.shape == image.shape
    assert result.dtype == image.dtype
    assert np.isfinite(result).all()
    assert same(image, before)
    assert not np.shares_memory(image, result)


@given(sizes, channel_counts, dtypes, st.sampled_from(["srgb", "linear"]), seeds)
def test_strength_zero_is_the_input(
    size: tuple[int, int], channels: int | None, dtype: str, transfer: str, seed: int
) -> None:
    """Strength 0 gives every bit of the input, floats below 0 and above 1 included."""
    span = (0.0, 1.0) if dtype[0] == "u" else (-3.0, 9.0)
    image = picture(*size, channels, dtype, seed, span)
    image.flat[0] = 0 if dtype[0] == "u" else -0.0
    assert same(STUB.correct(image, strength=0, transfer=transfer), image)


@given(st.sampled_from([2, 4]), dtypes, st.sampled_from(["srgb", "linear"]), seeds)
def test_alpha_is_untouched(channels: int, dtype: str, transfer: str, seed: int) -> None:
    """Alpha comes back bit for bit, whatever it holds, while colours change."""
    image = picture(33, 47, channels, dtype, seed)
    alpha = np.random.default_rng(seed).random((33, 47)) * 4 - 1
    image[..., -1] = quantised(alpha.clip(0, 1) if dtype[0] == "u" else alpha, dtype)
    result = STUB.correct(image, transfer=transfer)
    assert same(result[..., -1].copy(), image[..., -1].copy())
    assert not np.array_equal(result[..., :-1], image[..., :-1])


@given(st.sampled_from([2, 4]), dtypes, st.sampled_from(["guided", "network"]), seeds)
def test_hidden_colours_weigh_in_nowhere(channels: int, dtype: str, detail: str, seed: int) -> None:
    """Other colours under alpha 0 leave every visible pixel as it is, bit for bit."""
    image = picture(60, 45, channels, dtype, seed)
    image[10:40, 5:30, -1] = 0
    other = image.copy()
    hidden = image[..., -1] == 0
    colours = picture(60, 45, channels, dtype, seed + 1)
    other[hidden, :-1] = colours[hidden, :-1]
    assert not np.array_equal(image, other)
    made, again = (STUB.correct(given, detail=detail) for given in (image, other))
    assert same(made[~hidden], again[~hidden])


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("dtype", DTYPES)
def test_all_hidden(channels: int, dtype: str) -> None:
    """A picture that is all transparent is corrected without complaint."""
    image = picture(20, 30, channels, dtype)
    image[..., -1] = 0
    result = STUB.correct(image)
    assert np.isfinite(result).all()
    assert not result[..., -1].any()


@given(dtypes, seeds)
def test_gray_kinds_agree(dtype: str, seed: int) -> None:
    """H×W, H×W×1 and opaque gray with alpha give the same gray values."""
    image = picture(40, 30, None, dtype, seed)
    opaque = np.stack([image, quantised(np.ones((40, 30)), dtype)], -1)
    expected = STUB.correct(image)
    assert same(STUB.correct(image[..., None])[..., 0], expected)
    assert same(STUB.correct(opaque)[..., 0].copy(), expected)


def test_gray_picture_as_rgb() -> None:
    """Three equal channels come out as the gray picture does, where the networks add no colour."""
    gray = picture(50, 70, None, "float32")
    rgb = np.repeat(gray[..., None], 3, -1)
    result = STUB.correct(rgb, detail="guided")
    assert np.abs(result - STUB.correct(gray, detail="guided")[..., None]).max() < 0.01
    assert np.ptp(result, axis=-1).max() < 1e-3


def test_sixteen_bits_stay_sixteen_bits() -> None:
    """A 16-bit ramp has far more than 256 levels after the shipped networks' correction."""
    ramp = np.tile(np.arange(0, 65536, 16, dtype=np.uint16), (64, 1))
    result = drht_plugin.correct(np.repeat(ramp[..., None], 3, -1))
    assert len(np.unique(result[32, :, 1])) > 1024


@given(seeds, st.floats(1, 1e6), st.floats(1.001, 4))
def test_float_highlights_ride_on_white(seed: int, light: float, factor: float) -> None:
    """What lies above white in a float picture is added to white's corrected value, in order."""
    image = picture(40, 50, 3, "float32", seed)
    results = []
    for value in (1.0, light, light * factor):
        image[10, 20] = value
        results.append(STUB.correct(image))
    white, bright, brighter = (r[10, 20].astype(np.float64) for r in results)
    assert (white <= 1).all()
    np.testing.assert_allclose(bright - white, np.float32(light) - 1, rtol=1e-6, atol=1e-6)
    assert (brighter > bright).all()
    elsewhere = np.ones((40, 50), bool)
    elsewhere[10, 20] = False
    assert same(results[0][elsewhere], results[2][elsewhere])


def test_lights_beyond_integers_count_as_white() -> None:
    """The largest floats are white in the overview, not black by an overflow."""
    image = picture(40, 50, 3, "float32")
    image[:20], other = 1.0, image.copy()
    other[:20] = 3e38
    assert same(STUB.correct(image)[20:], STUB.correct(other)[20:])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transfer", ["srgb", "linear"])
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_black_and_white(dtype: str, transfer: str, level: float) -> None:
    """Wholly black and wholly white pictures come out finite and even, by the shipped networks."""
    image = quantised(np.full((30, 40, 3), level), dtype)
    result = display(drht_plugin.correct(image, transfer=transfer))
    assert np.isfinite(result).all()
    assert (result >= 0).all()
    assert (result <= 1.001).all()


def test_memmap(tmp_path: Path) -> None:
    """A mapped file is corrected as its array is, into another mapped file."""
    image = picture(30, 40, 3, "uint16")
    source = np.memmap(tmp_path / "in", np.uint16, "w+", shape=image.shape)
    source[:] = image
    source.flush()
    mapped = np.memmap(tmp_path / "in", np.uint16, "r", shape=image.shape)
    target = np.memmap(tmp_path / "out", np.uint16, "w+", shape=image.shape)
    assert STUB.correct(mapped, out=target) is target
    target.flush()
    stored = np.fromfile(tmp_path / "out", np.uint16).reshape(image.shape)
    assert same(stored, STUB.correct(image))


@pytest.mark.parametrize(("dtype", "channels"), [("uint8", 3), ("float32", 4), ("float32", None)])
def test_views_are_as_good_as_copies(dtype: str, channels: int | None) -> None:
    """Reversed, strided, transposed, Fortran-ordered and read-only arrays equal their copies."""
    image = picture(44, 60, channels, dtype)
    fixed = image.copy()
    fixed.flags.writeable = False
    for view in (
        image[::-1],
        image[:, ::-1],
        image[::2, 1::3],
        image.swapaxes(0, 1),
        np.asfortranarray(image),
        fixed,
    ):
        assert same(STUB.correct(view), STUB.correct(view.copy()))


@pytest.mark.parametrize("channels", [None, 3])
def test_linear_equals_encoded(channels: int | None) -> None:
    """A scene-linear picture is corrected as its display-encoded twin, within 0.01, 0.0005 mean.

    The overview holds 65536 steps of light, which are coarser near black for linear pictures.
    """
    encoded = picture(40, 60, channels, "float32")
    linear = transfer.srgb_decode(encoded).astype(np.float32)
    result = transfer.srgb_encode(STUB.correct(linear, transfer="linear").astype(np.float64))
    difference = np.abs(result - STUB.correct(encoded))
    assert difference.max() < 0.01
    assert difference.mean() < 5e-4
    radiance = STUB.estimate_hdr(linear, transfer="linear")
    np.testing.assert_allclose(radiance, STUB.estimate_hdr(encoded), rtol=0.02, atol=2e-3)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_linear_kinds_agree(dtype: str) -> None:
    """Linear integers and halves give the linear float picture's result, within their steps."""
    image = picture(40, 60, 3, dtype, span=(0.1, 1))
    wide = display(image).astype(np.float32)
    result = display(STUB.correct(image, transfer="linear"))
    step = {"uint8": 0.51 / 255, "uint16": 0.51 / 65535, "float16": 2**-11}[dtype]
    assert np.abs(result - STUB.correct(wide, transfer="linear")).max() < step + 2e-5


@given(seeds)
def test_shadows_and_highlights(seed: int) -> None:
    """Without shadows luma never rises, without highlights it never falls, beyond a code."""
    image = picture(40, 60, 3, "float32", seed)
    full = luma(STUB.correct(image)) - luma(image)
    assert full.max() > 0.05
    assert full.min() < -0.03
    no_lift = luma(STUB.correct(image, shadows=0)) - luma(image)
    no_drop = luma(STUB.correct(image, highlights=0)) - luma(image)
    assert no_lift.max() < CODE
    assert no_drop.min() > -CODE
    np.testing.assert_allclose(no_lift[full < -1 / 32], full[full < -1 / 32], atol=1e-6)
    np.testing.assert_allclose(no_drop[full > 1 / 32], full[full > 1 / 32], atol=1e-6)


@given(dtypes, channel_counts, seeds)
def test_neither_shadows_nor_highlights(dtype: str, channels: int | None, seed: int) -> None:
    """With both at 0 every integer and half comes back as it was, floats within rounding."""
    image = picture(30, 40, channels, dtype, seed)
    result = STUB.correct(image, shadows=0, highlights=0)
    if dtype == "float32":
        np.testing.assert_allclose(result, image, rtol=1e-6)
    else:
        assert np.array_equal(result, image)


@given(st.floats(0, 1), seeds)
def test_strength_goes_straight(strength: float, seed: int) -> None:
    """A strength between 0 and 1 is that share of the way from the input to the full result."""
    image = picture(30, 40, 3, "float32", seed)
    expected = image + strength * (STUB.correct(image) - image)
    np.testing.assert_allclose(STUB.correct(image, strength=strength), expected, atol=1e-6)


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_threads_and_repeats(dtype: str, channels: int | None) -> None:
    """One thread, two threads, a second call and calls side by side give the same bits."""
    image = picture(90, 120, channels, dtype)
    expected = STUB.correct(image)
    for threads in (1, 2):
        assert same(corrector(threads=threads).correct(image), expected)
    assert same(STUB.correct(image), expected)
    with ThreadPoolExecutor(4) as pool:
        assert all(same(r, expected) for r in pool.map(STUB.correct, [image] * 8))


def test_correct_is_a_corrector() -> None:
    """`correct` gives what `Corrector` gives with the same settings, by the shipped networks."""
    image = picture(40, 60, 4, "uint16")
    image[..., :3] //= 8  # as a picture that is exposed well is left alone
    settings: dict[str, Any] = {
        "strength": 0.9,
        "shadows": 0.7,
        "highlights": 0.4,
        "detail": "guided",
        "transfer": "linear",
        "wrap": True,
    }
    expected = drht_plugin.Corrector().correct(image, **settings)
    assert same(drht_plugin.correct(image, device="cpu", threads=1, **settings), expected)
    for name in ("strength", "shadows", "highlights", "transfer", "wrap"):
        fewer = {k: v for k, v in settings.items() if k != name}
        assert not same(drht_plugin.correct(image, **fewer), expected), name


def test_survey_then_render_is_correct() -> None:
    """Survey and render of the whole is what `correct` does, so that a slider may render again."""
    image = picture(40, 60, 3, "uint8")
    scene = STUB.survey(image)
    for applied in (Strength(), Strength(0.3, 0.5, 1)):
        settings = {name: getattr(applied, name) for name in ("strength", "shadows", "highlights")}
        assert same(STUB.render(scene, image, strength=applied), STUB.correct(image, **settings))


@pytest.mark.parametrize("channels", [None, 1, 2, 3, 4])
def test_radiance(channels: int | None) -> None:
    """The HDR estimate is float32 in 0..64, without alpha, white of y = 1.5 at 1.5^2.2."""
    image = picture(40, 60, channels, "float32")
    flat = np.ones_like(image)
    for each in (image, flat):
        radiance = STUB.estimate_hdr(each)
        colours = {None: (), 1: (1,), 2: (1,), 3: (3,), 4: (3,)}[channels]
        assert radiance.shape == (40, 60, *colours)
        assert radiance.dtype == np.float32
        assert (radiance >= 0).all()
        assert (radiance <= 64).all()
    np.testing.assert_allclose(radiance, 1.5**2.2, rtol=1e-3)
