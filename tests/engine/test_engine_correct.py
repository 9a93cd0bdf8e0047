"""What `correct` promises of any array, whatever the networks say."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from strategies import (
    DTYPES,
    Image,
    channel_counts,
    corrector,
    display,
    dtypes,
    luma,
    picture,
    quantised,
    seeds,
    sizes,
)

import drht_plugin
from drht_plugin import InputError, Strength
from drht_plugin.bridge import transfer
from drht_plugin.engine import plan as plan_module
from drht_plugin.engine.survey import overview as overview_module
from drht_plugin.engine.survey import sampled as sampled_module

STUB = corrector()
CODE = 1 / 256 + 1e-6
"""The largest change that `shadows=0` or `highlights=0` lets through, at luma changes of 1/64."""


def same(a: Image, b: Image) -> bool:
    """Equal in shape, type and every bit."""
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("channels", [None, 2, 3])
def test_not_finite_is_refused_by_place(
    bad: float, dtype: str, channels: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NaN and infinity are refused with value, row, column and channel, in any band of rows."""
    monkeypatch.setattr(sampled_module, "_BAND_PIXELS", 100)
    image = picture(31, 21, channels, dtype)
    place = (27, 13) if channels is None else (27, 13, channels - 1)
    image[place] = bad
    words = f"holds {bad} at row 27, column 13, channel {(channels or 1) - 1}; expected finite"
    for call in (STUB.correct, STUB.estimate_hdr):
        with pytest.raises(InputError, match=words):
            call(image)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("strength", [0, 1])
def test_not_finite_is_refused_where_the_survey_does_not_look(
    dtype: str, strength: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad value between the rows that the overview reads is refused by its place in the image."""
    monkeypatch.setattr(overview_module, "row_step", lambda height, cells: 9)
    image = picture(31, 21, 3, dtype)
    scene = STUB.survey(image)
    image[27, 13, 1] = np.inf
    assert STUB.survey(image).ldr.tobytes() == scene.ldr.tobytes()
    words = "holds inf at row 27, column 13, channel 1; expected finite"
    with pytest.raises(InputError, match=words):
        STUB.correct(image, strength=strength)
    with pytest.raises(InputError, match=words):
        STUB.estimate_hdr(image)
    with pytest.raises(InputError, match=words):
        drht_plugin.render(
            scene, image[20:, 10:], drht_plugin.Window(20, 10), strength=Strength(strength)
        )


class Foreign:
    """Has a shape and a dtype that numpy does not know."""

    shape = (3, 3)
    dtype = "no such type"


@pytest.mark.parametrize(
    ("image", "given_words"),
    [
        (np.zeros((0, 5), np.uint8), r"\(0, 5\)"),
        (np.zeros((5, 0, 3), np.float32), r"\(5, 0, 3\)"),
        (np.zeros(7, np.uint8), r"\(7,\)"),
        (np.zeros((2, 2, 5), np.uint8), r"\(2, 2, 5\)"),
        (np.zeros((2, 2, 0), np.uint8), r"\(2, 2, 0\)"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"\(1, 2, 2, 3\)"),
        (np.float32(1), r"\(\)"),
        (np.zeros((2, 2), np.int32), "int32"),
        (np.zeros((2, 2), np.float64), "float64"),
        (np.zeros((2, 2), bool), "bool"),
        (np.zeros((2, 2), complex), "complex128"),
        (np.zeros((2, 2), ">u2"), ">u2"),
        (np.zeros((2, 2), object), "object"),
        ([[1, 2], [3, 4]], "a list"),
        (None, "a NoneType"),
        ("photo.jpg", "a str"),
        (torch.zeros(2, 2, dtype=torch.uint8), "a Tensor of torch.uint8"),
        (Foreign(), "no such type"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_other_images_are_refused(image: Any, given_words: str) -> None:
    """What is no image of the contract is refused, saying what was given and what is accepted."""
    for call in (drht_plugin.correct, drht_plugin.estimate_hdr, STUB.correct):
        with pytest.raises(InputError, match=f"{given_words}.*expected") as refused:
            call(image)
        assert "uint8" in str(refused.value) or "1×1" in str(refused.value)


ALIKE = np.zeros((4, 6, 3), np.uint8)
READ_ONLY = ALIKE.copy()
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"transfer": "gamma"}, "transfer is 'gamma'; expected one of srgb, linear"),
        ({"transfer": None}, "transfer is None; expected"),
        ({"detail": "fast"}, "detail is 'fast'; expected one of auto, guided"),
        *(
            ({name: value}, f"{name} is .*; expected a number from 0 to 1")
            for name in ("strength", "shadows", "highlights")
            for value in (-0.1, 1.01, float("nan"), "1", None)
        ),
        ({"out": np.zeros((4, 6), np.uint8)}, r"out is uint8 \(4, 6\); .* uint8 \(4, 6, 3\)"),
        ({"out": np.zeros((4, 6, 3), np.int8)}, r"out is int8 .*expected an array of uint8"),
        ({"out": [1]}, "out is list; expected an array"),
        ({"out": READ_ONLY}, "out is read-only; expected"),
        ({"threads": 0}, "threads is 0; expected a whole number from 1"),
        ({"threads": 1.5}, "threads is 1.5; expected a whole number"),
        ({"device": "abacus"}, "device 'abacus' is unknown; expected auto, cpu"),
        ({"device": "cuda:99"}, "device 'cuda:99' is not on this machine; expected auto, cpu"),
        ({"model": "none-such"}, "model 'none-such' is neither shipped .*default.* nor"),
    ],
    ids=str,
)
def test_other_arguments_are_refused(arguments: dict[str, Any], words: str) -> None:
    """Arguments out of range are refused, saying what was given and what is accepted."""
    with pytest.raises(InputError, match=words):
        drht_plugin.correct(ALIKE, **arguments)


def test_numpy_numbers_are_numbers() -> None:
    """A strength may be any of numpy's numbers."""
    image = picture(20, 30)
    numbers: list[Any] = [np.float32(0.5), np.float64(0.5), np.float16(0.5)]
    for number in numbers:
        assert same(STUB.correct(image, strength=number), STUB.correct(image, strength=0.5))
    one: Any = np.int64(1)
    assert same(STUB.correct(image, strength=one), STUB.correct(image))


@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_out_is_used_and_returned(strength: float) -> None:
    """The result goes into `out`, which is returned, even if it is a view of something else."""
    image = picture(30, 40, 3, "uint8")
    expected = STUB.correct(image, strength=strength)
    whole, frame = np.zeros((30, 40, 3), np.uint8), np.full((36, 90, 3), 77, np.uint8)
    for out in (whole, frame[3:33, 5:85:2]):
        assert STUB.correct(image, strength=strength, out=out) is out
        assert np.array_equal(out, expected)
    frame[3:33, 5:85:2] = 77
    assert (frame == 77).all()


def test_overlapping_out_is_refused() -> None:
    """An `out` that shares memory with the image is refused before anything is written."""
    frame = picture(40, 40, 3, "uint8")
    before = frame.copy()
    for out in (frame[:30], frame[5:35], frame[:30][::-1]):
        with pytest.raises(InputError, match="shares memory"):
            STUB.correct(frame[:30], out=out)
    assert same(frame, before)


def test_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress rises from near 0 to exactly 1, over survey and render."""
    for module in (sampled_module, plan_module):
        monkeypatch.setattr(module, "_BAND_PIXELS", 120)
    for call in (partial(STUB.correct, detail="guided"), STUB.estimate_hdr):
        seen: list[float] = []
        call(picture(60, 40, 3, "uint8"), progress=seen.append)
        assert len(seen) == 40
        assert 0 < seen[0] < 0.05
        assert seen == sorted(seen)
        assert seen[-1] == 1


@pytest.mark.parametrize("last", [1, 15, 30])
def test_what_progress_raises_stops_the_work(last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of the callback comes through, and nothing more is done."""
    for module in (sampled_module, plan_module):
        monkeypatch.setattr(module, "_BAND_PIXELS", 120)
    out = np.full((60, 40, 3), 7, np.uint8)
    calls = 0

    def stop(share: float) -> None:
        nonlocal calls
        calls += 1
        if calls == last:
            raise drht_plugin.Cancelled("enough")

    with pytest.raises(drht_plugin.Cancelled, match="enough"):
        STUB.correct(picture(60, 40, 3, "uint8"), detail="guided", out=out, progress=stop)
    assert calls == last
    rendered = max(0, 3 * (last - 20))
    assert (out[rendered:] == 7).all()


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
