"""What each expansion operator's paper claims."""

import numpy as np
import pytest
from numpy.typing import NDArray

from drht_plugin.bridge.transfer import srgb_decode
from drht_plugin.evaluation.methods import EXPANDERS, expansion
from drht_plugin.evaluation.methods._bilateral import bilateral

Array = NDArray[np.float32]

every_expander = pytest.mark.parametrize("name", EXPANDERS)


def gray_ramp(low: float = 0.0, high: float = 1.0) -> Array:
    """A slow gray ramp, rows alike."""
    row = np.linspace(low, high, 256, dtype=np.float32)
    return np.repeat(np.tile(row, (8, 1))[..., None], 3, axis=2)


@every_expander
def test_monotone(name: str) -> None:
    """Along a ramp, brighter stays brighter."""
    result = EXPANDERS[name](gray_ramp())[4, :, 0]
    assert (np.diff(result) >= -1e-6).all()


@every_expander
def test_colour_ratios_stay(name: str) -> None:
    """Light is scaled, and its colour stays."""
    picture = gray_ramp(0.2, 0.9) * np.array([1.0, 0.8, 0.6], np.float32)
    before, after = srgb_decode(picture), EXPANDERS[name](picture)
    bright = after.max(-1) > 0.01
    np.testing.assert_allclose(
        after[bright] / after[bright].max(-1, keepdims=True),
        before[bright] / before[bright].max(-1, keepdims=True),
        rtol=1e-3,
    )


def test_linear_is_the_srgb_curve() -> None:
    """Codes come out as IEC 61966-2-1 has them: 0.5 as 0.2140, the clip point as 1."""
    picture = gray_ramp()
    picture[0, 0] = 0.5
    result = EXPANDERS["linear"](picture)
    assert result[0, 0] == pytest.approx(0.21404, abs=1e-4)
    assert result.max() == pytest.approx(1.0)


def test_landis_expands_the_upper_half_alone() -> None:
    """Luminance up to 0.5 stays, and the clip point comes to the display's peak."""
    picture = gray_ramp()
    before, after = srgb_decode(picture), EXPANDERS["landis"](picture)
    low = before <= 0.5
    np.testing.assert_allclose(after[low], before[low], rtol=1e-5)
    assert (after[~low] > before[~low]).all()
    assert after.max() == pytest.approx(expansion.PEAK, rel=1e-5)


def test_akyuz_is_linear() -> None:
    """With γ = 1 the range is stretched in proportion: darkest to 0, brightest to 1."""
    picture = gray_ramp(0.2, 0.8)
    light, result = srgb_decode(picture), EXPANDERS["akyuz"](picture)
    expected = (light - light.min()) / (light.max() - light.min())
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_masia_is_one_power() -> None:
    """Log output over log input is the same everywhere; black and the clip point stay."""
    picture = gray_ramp()
    light, result = srgb_decode(picture), EXPANDERS["masia"](picture)
    inside = (light > 0.01) & (light < 0.95)
    power = np.log(result[inside]) / np.log(light[inside])
    assert np.ptp(power) < 1e-2
    assert result[0, 0, 0] == 0
    assert result[0, -1, 0] == pytest.approx(1.0)


def test_masia_gamma_rises_with_exposure() -> None:
    """The paper's rule: a picture with more clipped pixels gets a steeper curve."""

    def curve(picture: Array) -> float:
        result = EXPANDERS["masia"](picture)
        at = int(np.argmin(np.abs(picture[0, :, 0] - 0.6)))
        return float(np.log(result[0, at, 0]) / np.log(srgb_decode(picture)[0, at, 0]))

    assert curve(np.clip(gray_ramp(0, 1.6), 0, 1)) > curve(gray_ramp()) > curve(gray_ramp(0, 0.7))


def test_kovaleski_oliveira_leaves_the_unclipped_alone() -> None:
    """Without a clipped pixel it is the sRGB decoding."""
    picture = gray_ramp(0, 0.98)
    np.testing.assert_allclose(
        EXPANDERS["kovaleski-oliveira"](picture), srgb_decode(picture), rtol=1e-6
    )


def test_kovaleski_oliveira_expands_clipped_areas_fourfold() -> None:
    """The inside of a clipped area is raised by four; what lies beyond an edge stays."""
    picture = np.full((64, 96, 3), 0.3, np.float32)
    picture[:, 48:] = 1.0
    result = EXPANDERS["kovaleski-oliveira"](picture)
    assert result[32, 80, 0] == pytest.approx(4.0, rel=1e-3)
    np.testing.assert_allclose(result[:, :32], srgb_decode(picture)[:, :32], rtol=1e-3)


def test_huo_expands_bright_surroundings() -> None:
    """Dark surroundings keep their light, bright ones are raised, at most to the peak's bound."""
    picture = np.full((96, 128, 3), 0.1, np.float32)
    picture[30:60, 80:110] = 0.95
    gain = EXPANDERS["huo"](picture)[..., 0] / srgb_decode(picture)[..., 0]
    assert gain[80, 10] < 1.25
    assert 2 < gain[45, 95] <= (1 + expansion.PEAK**0.86) ** (1 / 0.86) + 0.1
    assert gain.min() >= 1


def test_bilateral_keeps_edges_and_means() -> None:
    """The grid averages within tones and not across them, and keeps a constant."""
    random = np.random.default_rng(2)
    plane = np.where(np.arange(80) < 40, 0.2, 0.8) + random.uniform(-0.02, 0.02, (60, 80))
    noisy = plane.astype(np.float32)
    result = bilateral(noisy, noisy, 8.0, 0.1)
    assert result[:, :40].std() < 0.4 * noisy[:, :40].std()
    assert result[:, 42:].mean() - result[:, :38].mean() == pytest.approx(0.6, abs=0.02)
    constant = np.full((5, 7), 0.25, np.float32)
    np.testing.assert_allclose(bilateral(constant, noisy[:5, :7], 3.0, 0.2), 0.25, rtol=1e-6)
