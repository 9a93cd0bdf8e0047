"""What each corrector's paper claims."""

import numpy as np
import pytest
from numpy.typing import NDArray

from drht_plugin.evaluation.methods import CORRECTORS, basic, cape, l0s, lime, smf, wvm
from drht_plugin.evaluation.methods._colour import luma
from drht_plugin.evaluation.methods._wls import base, smooth

Array = NDArray[np.float32]


def flat(code: float, height: int = 32, width: int = 48) -> Array:
    return np.full((height, width, 3), code, np.float32)


def two_tones(low: float, high: float, height: int = 32, width: int = 64) -> Array:
    plane = np.full((height, width), low, np.float32)
    plane[:, width // 2 :] = high
    return plane


def textured(plane: Array, amount: float = 0.03) -> Array:
    noise = np.random.default_rng(3).uniform(-amount, amount, plane.shape)
    return np.clip(plane + noise, 0, 1).astype(np.float32)


def colour(plane: Array) -> Array:
    tint = np.array([1.0, 0.9, 0.8], np.float32)
    return plane[..., None] * tint


def test_auto_levels_clips_half_a_per_cent() -> None:
    """The 0.5 and 99.5 percentiles of the luma go to 0 and 1, and channel ratios stay."""
    ramp = np.linspace(0.2, 0.6, 4000, dtype=np.float32).reshape(40, 100)
    result = CORRECTORS["auto-levels"](np.repeat(ramp[..., None], 3, axis=2))
    assert (result[..., 0] <= 1e-6).mean() == pytest.approx(0.005, abs=0.001)
    assert (result[..., 0] >= 1 - 1e-6).mean() == pytest.approx(0.005, abs=0.001)
    tinted = colour(ramp)
    result = CORRECTORS["auto-levels"](tinted)
    inside = (result.max(-1) < 1) & (result.min(-1) > 0.05)
    np.testing.assert_allclose(
        result[inside, 2] / result[inside, 0], 0.8, rtol=1e-4, err_msg="colour changed"
    )


@pytest.mark.parametrize("level", [0.1, 0.3, 0.9])
@pytest.mark.parametrize("name", ["gamma", "fusion-gamma"])
def test_gamma_reaches_the_mean(name: str, level: float) -> None:
    """The mean luma comes to 0.45 from dark and from bright."""
    picture = colour(textured(np.full((40, 50), level, np.float32)))
    assert luma(CORRECTORS[name](picture)).mean() == pytest.approx(basic.MEAN_LUMA, abs=0.005)


def test_clahe_raises_local_contrast() -> None:
    """Weak texture gets stronger on a dark and on a bright ground alike."""
    picture = colour(textured(two_tones(0.2, 0.7, 64, 128), 0.02))
    result = CORRECTORS["clahe"](picture)
    for side in (slice(8, 56), slice(72, 120)):
        assert luma(result)[:, side].std() > 1.2 * luma(picture)[:, side].std()


def test_fusion_takes_detail_from_both_ends() -> None:
    """Dark texture is lifted more than bright texture is, and bright texture is not clipped."""
    picture = colour(textured(two_tones(0.1, 0.85, 64, 128), 0.02))
    result = CORRECTORS["fusion"](picture)
    gain = [
        luma(result)[:, side].mean() / luma(picture)[:, side].mean()
        for side in (slice(8, 56), slice(72, 120))
    ]
    assert gain[0] > 1.3 * gain[1]
    assert result.max() < 1


def test_lime_illumination_bounds() -> None:
    """The map starts as the largest channel and, refined, stays between its extremes."""
    picture = colour(textured(two_tones(0.1, 0.7)))
    initial, refined = picture.max(-1) + lime.DARKEST, lime.illumination(picture)
    assert initial.min() <= refined.min()
    assert refined.max() <= initial.max()


def test_lime_keeps_structure_and_drops_texture() -> None:
    """The refined map is flat where the picture has texture, and keeps the step between tones."""
    picture = colour(textured(two_tones(0.2, 0.7)))
    refined = lime.illumination(picture)
    assert refined[:, :28].std() < 0.5 * picture.max(-1)[:, :28].std()
    assert refined[:, 40:].mean() - refined[:, :24].mean() > 0.4


def test_lime_brightens_the_dark() -> None:
    """No pixel gets darker, and dark ones gain more than bright ones."""
    picture = colour(textured(two_tones(0.1, 0.7)))
    result = CORRECTORS["lime"](picture)
    assert (result >= picture - 1e-6).all()
    gain = result[..., 0] / picture[..., 0]
    assert gain[:, :28].mean() > 1.2 * gain[:, 36:].mean()


def test_cape_leaves_a_bright_picture() -> None:
    """Where no base is dark there is nothing to lift."""
    bright = textured(np.full((32, 32), 0.8, np.float32)) * 100
    assert cape.lift(bright) == 1.0


def test_cape_lift_is_the_paper_s() -> None:
    """It is P35 of the bright over P95 of the dark, at most 2."""
    plane = 100 * two_tones(0.4, 0.6)
    assert cape.lift(plane) == pytest.approx(1.5)
    assert cape.lift(100 * two_tones(0.1, 0.9)) == 2.0
    assert cape.lift(100 * two_tones(0.1, 0.2)) == 1.0


def test_cape_lifts_salient_shadows() -> None:
    """A small dark thing on a bright ground, which is salient, is lifted; the ground is not."""
    plane = np.full((64, 96), 0.75, np.float32)
    plane[20:44, 36:60] = 0.25
    plane[:4, :4], plane[-4:, -4:] = 0.0, 1.0
    picture = colour(textured(plane, 0.01))
    before = luma(basic.auto_levels(picture))
    after = luma(CORRECTORS["cape"](picture))
    assert after[26:38, 42:54].mean() > 1.3 * before[26:38, 42:54].mean()
    assert after[50:60, 8:28].mean() == pytest.approx(before[50:60, 8:28].mean(), abs=0.03)


def test_wvm_constraints_and_energy() -> None:
    """Both r ≤ 0 and s ≤ l hold at every pixel, and the energy falls at each iteration."""
    value = textured(two_tones(0.15, 0.6), 0.1)
    parts = wvm.decompose(value)
    assert (parts.reflectance <= 0).all()
    assert (parts.illumination >= np.log(np.maximum(value, np.float32(1 / 255)))).all()
    assert len(parts.energies) > 5
    assert all(
        later < earlier for earlier, later in zip(parts.energies, parts.energies[1:], strict=False)
    )


def test_wvm_illumination_is_smoother_than_the_picture() -> None:
    """Texture goes to the reflectance: the illumination has less of it than the input."""
    value = textured(np.full((48, 48), 0.5, np.float32), 0.3)
    light = np.exp(wvm.decompose(value).illumination)
    assert np.abs(np.diff(light)).mean() < 0.8 * np.abs(np.diff(value)).mean()


def test_wvm_brightens() -> None:
    """With γ = 2.2 on the illumination, and R·L about S, no pixel gets darker."""
    picture = colour(textured(two_tones(0.1, 0.6)))
    assert (CORRECTORS["wvm"](picture) >= picture - 0.01).all()


def test_l0s_keeps_steps() -> None:
    """A step between two tones comes through; texture beside it does not."""
    plane = two_tones(0.3, 0.7)
    smoothed = l0s.smooth(textured(plane, 0.02))
    np.testing.assert_allclose(smoothed, plane, atol=0.02)


def test_l0s_flattens_ramps() -> None:
    """A gentle ramp becomes few flat treads: almost no pixel keeps a gradient."""
    ramp = np.tile(np.linspace(0.2, 0.5, 128, dtype=np.float32), (16, 1))
    steps = np.abs(np.diff(l0s.smooth(ramp), axis=1))
    assert (steps > 1e-3).mean() < 0.1


def test_smf_smooths_texture_and_stops_at_boundaries() -> None:
    """Texture loses most of its variance, while a boundary keeps most of its contrast."""
    plane = two_tones(0.3, 0.7, 64, 128)
    noisy = textured(plane, 0.03)
    smoothed = smf.smooth(noisy)
    assert smoothed[:, :48].std() < 0.4 * noisy[:, :48].std()
    assert smoothed[:, 80:].mean() - smoothed[:, :48].mean() > 0.9 * 0.4


def test_smf_edges_are_boundaries_not_texture() -> None:
    """A boundary is an edge; texture of a fifth of its contrast is not."""
    confidence = smf.edges(textured(two_tones(0.3, 0.7, 64, 128), 0.04))
    assert confidence[:, 64].min() > 0.5
    assert np.median(confidence[:, :48]) < 0.15


@pytest.mark.parametrize("name", ["smf", "l0s", "djf"])
def test_layers_compress_the_base(name: str) -> None:
    """In a dark picture the shadows gain more than the lights, and stay darker than them."""
    plane = two_tones(0.08, 0.6, 64, 128)
    plane[:32] = 0.08
    picture = colour(textured(plane, 0.02))
    before, after = luma(picture), luma(CORRECTORS[name](picture))
    dark, bright = np.s_[44:, 12:44], np.s_[44:, 84:116]
    assert after[dark].mean() / before[dark].mean() > 1.3 * (
        after[bright].mean() / before[bright].mean()
    )
    assert after[dark].mean() < after[bright].mean()


@pytest.mark.parametrize("name", ["smf", "l0s", "djf"])
def test_layers_darken_the_pale(name: str) -> None:
    """A pale picture with a white in it comes out darker in the mean."""
    plane = textured(np.full((64, 96), 0.7, np.float32), 0.05)
    plane[:32, :32] = 1.0
    picture = colour(plane)
    assert CORRECTORS[name](picture).mean() < picture.mean() - 0.02


def test_weighted_least_squares_solves_its_system() -> None:
    """The iterative solver agrees with a dense one, to a fraction of an 8-bit step."""
    random = np.random.default_rng(5)
    height, width = 13, 18
    target = random.random((height, width)).astype(np.float32)
    wx, wy = (10 ** random.uniform(-2, 3, (2, height, width))).astype(np.float32)
    index = np.arange(height * width).reshape(height, width)
    matrix = np.eye(height * width)
    links = [
        (index[:, :-1], index[:, 1:], wx[:, :-1]),
        (index[:-1], index[1:], wy[:-1]),
    ]
    for here, there, weight in links:
        for i, j, w in zip(here.ravel(), there.ravel(), weight.ravel(), strict=True):
            matrix[[i, j, i, j], [i, j, j, i]] += [w, w, -w, -w]
    expected = np.linalg.solve(matrix, target.ravel()).reshape(height, width)
    np.testing.assert_allclose(smooth(target, wx, wy), expected, atol=5e-4)


def test_base_layer_keeps_edges() -> None:
    """The base loses texture and keeps the step."""
    noisy = textured(two_tones(0.3, 0.7))
    layer = base(noisy)
    assert layer[:, :28].std() < 0.5 * noisy[:, :28].std()
    assert layer[:, 36:].mean() - layer[:, :28].mean() > 0.36
