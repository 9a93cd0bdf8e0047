"""The last touch: exposure and white balance after the correction, and the presets."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import rgb
from strategies import DTYPES, LUMA, Image, corrector, display, dtypes, picture, same, seeds

import drht_plugin
from drht_plugin import Corrector, InputError, Scene, Strength, Window, render
from drht_plugin.bridge import transfer
from drht_plugin.colour.spaces import space_of
from drht_plugin.engine.strength import PRESETS, RANGES, Controls
from drht_plugin.engine.touch import touch_of, white_gains

STUB = corrector()
WIDE = rgb("prophoto")
NEAR = {"uint8": 1, "uint16": 16, "float16": 2e-3, "float32": 2e-4}
"""Largest difference of the renderers in units of the dtype; of floats also relative."""

touches = st.builds(
    lambda exposure, temperature, tint: {
        "exposure": exposure,
        "temperature": temperature,
        "tint": tint,
    },
    st.floats(-3, 3),
    st.floats(-100, 100),
    st.floats(-100, 100),
)


@lru_cache(maxsize=1)
def correctors() -> tuple[Corrector, Corrector]:
    return Corrector(device="cpu", backend="numba"), Corrector(device="cpu", backend="torch")


def colours_of(image: Image) -> slice:
    channels = 1 if image.ndim == 2 else image.shape[2]
    return slice(3 if channels >= 3 else 1)


def gray_ramp(dtype: str, count: int = 4096) -> Image:
    """All tones of gray as one row, in three channels."""
    white = np.iinfo(dtype).max if dtype[0] == "u" else 1
    ramp = np.linspace(0, white, count).round() if dtype[0] == "u" else np.linspace(0, 1, count)
    return np.repeat(ramp[None, :, None], 3, 2).astype(dtype)


@settings(max_examples=30)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 90)),
    st.sampled_from([None, 1, 2, 3, 4]),
    dtypes,
    st.sampled_from(["srgb", "linear"]),
    st.sampled_from([1, 2, 6]),
    st.sampled_from([0.0, 0.7, 1.0, 1.6, 2.0]),
    touches,
    seeds,
)
def test_both_renderers_touch_alike(
    size: tuple[int, int],
    channels: int | None,
    dtype: str,
    transfer: str,
    orientation: int,
    strength: float,
    touch: dict[str, float],
    seed: int,
) -> None:
    """Both renderers give the same touched pixels, and leave alpha as it is."""
    numba, tensors = correctors()
    image = picture(*size, channels, dtype, seed)
    scene = numba.survey(image, transfer=transfer, orientation=orientation)
    applied = Strength(strength, **touch)
    expected, made = (c.render(scene, image, strength=applied) for c in (numba, tensors))
    assert made.dtype == expected.dtype
    wide = [each.astype(np.float64) for each in (made, expected)]
    scale = 1 if dtype[0] == "u" else np.maximum(1, abs(wide[1]))
    assert (abs(wide[0] - wide[1]) <= NEAR[dtype] * scale).all()
    if channels in (2, 4):
        assert same(expected[..., -1], image[..., -1])


@pytest.mark.parametrize("backend", [0, 1])
@pytest.mark.parametrize("detail", ["guided", "network"])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_any_tiling_touches_alike(backend: int, detail: str, dtype: str) -> None:
    """Bands and windows do not change the bits of a touched picture."""
    made_by = correctors()[backend]
    image = picture(190, 210, 3, dtype)
    scene = made_by.survey(image)
    applied = Strength(1.4, exposure=0.7, temperature=30, tint=-20, denoise=0.5)
    tile = {"guided": (None, 7, 60), "network": (176, 176, 176)}[detail]
    whole = made_by.render(scene, image, strength=applied, detail=detail, tile=tile[0])
    for rows in tile[1:]:
        part = made_by.render(scene, image, strength=applied, detail=detail, tile=rows)
        assert same(part, whole)
    if detail == "guided" and backend == 0:
        for window in (Window(0, 0), Window(17, 33), Window(189, 209)):
            part = render(scene, image[window.top :, window.left :], window, strength=applied)
            assert same(part, whole[window.top :, window.left :].copy())


def test_large_pictures_are_touched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pixels are copied at once, the result is the same, for every orientation."""
    applied = Strength(exposure=1, tint=5)
    image = picture(61, 43, 4, "uint8")
    for orientation in (1, 3, 6):
        scene = STUB.survey(image, orientation=orientation)
        whole = STUB.render(scene, image, strength=applied)
        with monkeypatch.context() as context:
            context.setattr("drht_plugin.engine.render.guided._COPIED_PIXELS", 200)
            assert same(STUB.render(scene, image, strength=applied), whole)


@given(st.sampled_from([None, 1, 2, 3, 4]), dtypes, st.sampled_from(["srgb", "linear"]), seeds)
@settings(max_examples=20)
def test_nothing_asked_for_changes_nothing(
    channels: int | None, dtype: str, transfer: str, seed: int
) -> None:
    """Strength 0 without a touch is the input bit for bit, and a touch of 0 is no touch."""
    image = picture(33, 47, channels, dtype, seed)
    assert same(STUB.correct(image, strength=0, transfer=transfer, denoise=2), image)
    plain = STUB.correct(image, transfer=transfer)
    none: dict[str, Any] = {"exposure": 0, "temperature": 0.0, "tint": -0.0}
    assert same(STUB.correct(image, transfer=transfer, **none), plain)
    if (channels or 1) < 3:
        # There is no colour to balance.
        assert same(STUB.correct(image, transfer=transfer, temperature=80, tint=9), plain)


@given(
    st.sampled_from([None, 2, 3, 4]),
    st.sampled_from(["float16", "float32"]),
    st.floats(-3, 3),
    seeds,
)
@settings(max_examples=20)
def test_linear_floats_are_multiplied(
    channels: int | None, dtype: str, exposure: float, seed: int
) -> None:
    """At strength 0, exposure multiplies linear floats by 2^EV, above white and below 0 too."""
    image = picture(20, 31, channels, dtype, seed, (-0.2, 5.0))
    made = STUB.correct(image, strength=0, exposure=exposure, transfer="linear")
    colours = colours_of(image)
    given = image[..., colours] if image.ndim == 3 else image
    got = made[..., colours] if image.ndim == 3 else made
    if exposure == 0:
        assert same(made, image)
    expected = (given.astype(np.float32) * np.float32(2**exposure)).astype(dtype)
    assert same(got.copy(), expected.copy())


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_floats_stay_finite(dtype: str) -> None:
    """The largest floats do not become infinite."""
    image = np.full((4, 5, 3), np.finfo(dtype).max, dtype)
    for one in correctors():
        for encoding in ("linear", "srgb"):
            scene = one.survey(image / 2, transfer=encoding)
            made = one.render(scene, image, strength=Strength(0, exposure=3))
            assert np.isfinite(made).all()


@given(st.floats(-3, 3), st.floats(-100, 100), st.floats(-100, 100))
def test_float_display_codes_are_scaled_in_linear_light(
    exposure: float, temperature: float, tint: float
) -> None:
    """Light of display-encoded floats is multiplied, by sRGB's curve, above white too."""
    image = picture(6, 200, 3, "float32", 5, (-0.1, 1.8))
    made = STUB.correct(image, strength=0, exposure=exposure, temperature=temperature, tint=tint)
    gains = 2**exposure * white_gains(temperature, tint)
    expected = transfer.srgb_encode(transfer.srgb_decode(image.astype(np.float64)) * gains)
    assert abs(made - expected).max() < 1e-5 * max(1, abs(expected).max())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("encoding", ["srgb", "linear"])
@pytest.mark.parametrize("exposure", [-3, -1, -0.25, 0.25, 1, 3])
def test_tones_keep_their_order(dtype: str, encoding: str, exposure: float) -> None:
    """Gray stays gray and in order; black and, where lifted, white stay; little else is white."""
    ramp = gray_ramp(dtype)
    made = STUB.correct(ramp, strength=0, exposure=exposure, transfer=encoding)
    assert (made == made[..., :1]).all()
    tones = made[0, :, 0].astype(np.int64)
    white = np.iinfo(dtype).max
    assert tones[0] == 0
    assert (np.diff(tones) >= 0).all()
    light: Any = ramp[0, :, 0] / white
    if encoding == "srgb":
        light = transfer.srgb_decode(light)
    low = light * 2**exposure <= 0.4
    expected: Any = light * 2**exposure
    if encoding == "srgb":
        expected = transfer.srgb_encode(expected)
    # Below the shoulder each tone is the multiplication, rounded once.
    assert abs(tones - expected * white)[low].max() <= 0.5 + 1e-5 * white
    if exposure > 0:
        assert tones[-1] == white
        assert (light[tones >= white * (1 - 1 / 510)] > 0.5).all()
    else:
        assert tones[-1] < white


def test_no_bands_but_those_of_codes() -> None:
    """A touched ramp of 8-bit codes has no steps beyond what one rounding leaves."""
    ramp = gray_ramp("uint8", 256)
    for exposure in (0.5, 1.0, -1.0):
        once = STUB.correct(ramp, strength=0, exposure=exposure)[0, :, 0].astype(np.float64)
        fine = (
            STUB.correct((ramp.astype(np.uint16) * 257), strength=0, exposure=exposure)[0, :, 0]
            / 257
        )
        assert abs(once - fine).max() <= 0.5 + 1 / 64


@given(st.floats(-100, 100), st.floats(-100, 100))
def test_white_balance(temperature: float, tint: float) -> None:
    """Gains keep the luminance of gray; warmer is red over blue, more magenta is less green."""
    gains = white_gains(temperature, tint)
    assert (gains > 0).all()
    assert gains @ LUMA == pytest.approx(1, abs=1e-6)
    warmer, pinker = white_gains(temperature + 1, tint), white_gains(temperature, tint + 1)
    assert warmer[0] / warmer[2] > gains[0] / gains[2]
    assert pinker[1] < gains[1]
    np.testing.assert_allclose(white_gains(0, 0), 1, atol=1e-12)


def test_white_moves_as_mired_say() -> None:
    """50 mired warmer than D65 is the colour of a black body of 4907 K, within 100 K."""
    gains = white_gains(50, 0)
    matrix = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = matrix @ (gains)
    x, y = xyz[:2] / xyz.sum()
    n = (x - 0.3320) / (0.1858 - y)
    kelvin = 449 * n**3 + 3525 * n**2 + 6823.3 * n + 5520.33  # McCamy 1992
    # D65 is a little off the locus, and the shift starts there.
    assert kelvin == pytest.approx(1e6 / (1e6 / 6504 + 50), abs=100)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transfer_", ["srgb", "linear"])
def test_own_primaries(dtype: str, transfer_: str) -> None:
    """In a wide gamut, the same light is multiplied as in sRGB: gray looks the same."""
    balance: Controls = {"strength": 0, "temperature": 40, "tint": 15}
    gray = np.full((8, 8, 3), 0.4)
    white = np.iinfo(dtype).max if dtype[0] == "u" else 1
    image = (gray * white).astype(dtype)
    wide = STUB.correct(image, profile=WIDE, transfer=transfer_, **balance)
    space = space_of(WIDE, colours=3, linear=transfer_ == "linear")
    codes = display(wide)
    light = codes if transfer_ == "linear" else space.decode(codes)
    grays = gray if transfer_ == "linear" else space.decode(display(image))
    shown = space.to_srgb(light) / space.to_srgb(grays)
    tolerance = 0.03 if dtype == "uint8" else 5e-3
    np.testing.assert_allclose(shown[0, 0], white_gains(40, 15), rtol=tolerance)


def test_a_profile_is_kept_in_the_scene(tmp_path: Any) -> None:
    """A scene that was saved touches in the picture's own curve, as before."""
    image = picture(30, 40, 3, "uint16")
    scene = STUB.survey(image, profile=WIDE)
    scene.save(tmp_path / "a.scene")
    loaded = Scene.load(tmp_path / "a.scene")
    assert loaded == scene
    applied = Strength(exposure=1, temperature=20)
    expected = STUB.render(scene, image, strength=applied)
    assert same(STUB.render(loaded, image, strength=applied), expected)
    assert same(STUB.correct(image, profile=WIDE, exposure=1, temperature=20), expected)
    plain = STUB.survey(image)
    assert plain.profile is None
    assert plain != scene


@settings(max_examples=20)
@given(st.sampled_from([1, 3]), dtypes, st.floats(1, 2), seeds)
def test_more_strength_stays_in_range_and_goes_on(
    channels: int, dtype: str, strength: float, seed: int
) -> None:
    """Above 1, luma goes on from T in the same direction, and ends before black and white."""
    image = picture(40, 60, channels, dtype, seed)
    scene = STUB.survey(image)
    weights = LUMA.astype(np.float64) if channels == 3 else np.ones(1)
    x, full, more = (
        display(each)[..., :channels].clip(0, 1) @ weights
        for each in (
            image,
            STUB.render(scene, image),
            STUB.render(scene, image, strength=Strength(strength)),
        )
    )
    code = {"uint8": 2 / 255, "float16": 2e-3}.get(dtype, 1e-4)
    assert (more >= -code).all()
    assert (more <= 1 + code).all()
    assert ((more - full) * np.sign(full - x) >= -code)[abs(full - x) > 1 / 32].all()
    assert (abs(more - full) <= (strength - 1) * abs(full - x) + code).all()


@given(st.sampled_from([*PRESETS]), st.sampled_from([*RANGES]))
def test_presets(preset: str, name: str) -> None:
    """A preset sets its values; one that is given counts instead, were it the default."""
    assert Strength.of(preset) == Strength(**PRESETS[preset])
    default = getattr(Strength(), name)
    mine = Strength.of(preset, **{name: default})
    others = {k: v for k, v in PRESETS[preset].items() if k != name}
    assert mine == Strength(**others)
    image = picture(20, 30, 3, "uint8")
    assert same(
        STUB.correct(image, preset=preset), STUB.correct(image, **cast(Controls, PRESETS[preset]))
    )


def test_unknown_controls_are_refused() -> None:
    """A control by another name is a TypeError, as for any function."""
    with pytest.raises(TypeError, match="brightness"):
        STUB.correct(picture(8, 8), brightness=1)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="preset"):
        drht_plugin.Strength.of("none-such")


def test_denoise_removes_more_noise() -> None:
    """In network detail, more denoising leaves less noise in a shadow; guided stays."""
    numba, tensors = correctors()
    random = np.random.default_rng(3)
    stripes = 1 + 0.3 * np.sign(np.sin(np.arange(192) / 5))[None, :, None]
    flat = 0.1 * stripes * np.linspace(0.8, 1.2, 192)[:, None, None] * np.ones(3)
    noisy = flat + 0.004 * random.standard_normal(flat.shape)
    image = (255 * noisy.clip(0, 1)).astype(np.uint8)
    for one in (numba, tensors):
        scene = one.survey(image)
        assert scene.lifted_noise > 0

        def rough(denoise: float, scene: Scene = scene, one: Corrector = one) -> float:
            made = one.render(scene, image, strength=Strength(denoise=denoise), detail="network")
            return float(np.diff(made.astype(np.float64), axis=0).std())

        assert rough(0) > 1.08 * rough(1)
        assert rough(1) > 1.01 * rough(2)
        guided = one.render(scene, image, strength=Strength(denoise=2), detail="guided")
        assert same(guided, one.render(scene, image, detail="guided"))


def test_the_estimate_is_not_touched() -> None:
    """The HDR estimate has no controls, and a scene is the same whatever is asked for later."""
    image = picture(30, 40, 3, "float32")
    sink = np.empty_like(image)
    scene = STUB.stream(image, sink, exposure=2, temperature=-30, strength=1.5)
    assert scene == STUB.survey(image)
    assert same(sink, STUB.correct(image, exposure=2, temperature=-30, strength=1.5))


def test_touches_are_made_once() -> None:
    """The curves of a touch are computed once for all windows of a picture."""
    scene = STUB.survey(picture(30, 40, 3, "uint8"))
    applied = Strength(exposure=1)
    assert touch_of(scene, applied) is touch_of(scene, applied)
    assert touch_of(scene, Strength(0.5, denoise=0)) is None


@pytest.mark.parametrize("detail", ["guided", "network"])
@pytest.mark.parametrize("backend", [0, 1])
def test_the_touch_comes_after_the_correction(detail: str, backend: int) -> None:
    """In both details, the light of the corrected picture is multiplied."""
    made_by = correctors()[backend]
    image = picture(90, 110, 4, "float32", 2, (0.0, 0.4))
    scene = made_by.survey(image)
    plain, touched = (
        made_by.render(scene, image, detail=detail, strength=Strength(exposure=exposure))
        for exposure in (0, 1)
    )
    light = transfer.srgb_decode(plain[..., :3].astype(np.float64))
    assert abs(touched[..., :3] - transfer.srgb_encode(2 * light)).max() < 1e-4
    assert same(touched[..., 3].copy(), image[..., 3].copy())
