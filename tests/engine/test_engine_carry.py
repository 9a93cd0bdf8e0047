"""Detail of lifted shadows is the input's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import picture, seeds

from drht_plugin.engine.smoothing import box_mean
from drht_plugin.engine.survey.rules.carry import _noise_level, carry_detail

Float = npt.NDArray[np.float32]


def texture(seed: int, low: float, high: float, height: int = 64, width: int = 96) -> Float:
    """Fine grey structure between two codes."""
    values = np.random.default_rng(seed).uniform(low, high, (height, width, 1))
    return np.repeat(values, 3, 2).astype(np.float32)


def contrast(image: Float) -> float:
    """Standard deviation of the logarithm."""
    return float(np.log(image[..., 0] + 2 / 255).std())


@given(seeds, st.floats(0.3, 1.75))
def test_what_is_lifted_by_little_stays(seed: int, gain: float) -> None:
    """T is bit for bit what it was where it is brighter than the input by less than 1.75."""
    ldr = picture(40, 56, 3, "float32", seed, (0.1, 0.5))
    corrected = (ldr * np.float32(gain)).astype(np.float32)
    assert carry_detail(ldr, corrected, wrap=False).tobytes() == corrected.tobytes()


def test_blurred_shadows_get_their_detail_back() -> None:
    """A dark texture that T lifts to a flat grey has its contrast again, and T's brightness."""
    rows, columns = np.indices((64, 96))
    waves = 0.045 + 0.008 * np.sin(rows / 2) * np.cos(columns / 3)
    ldr = np.repeat(waves[..., None], 3, 2).astype(np.float32)
    flat = np.full_like(ldr, 0.4)
    result = carry_detail(ldr, flat, wrap=False)
    assert contrast(flat) < 1e-6
    assert contrast(result) > 0.8 * contrast(ldr)
    correlation = np.corrcoef(np.log(result[..., 0].ravel()), np.log(ldr[..., 0].ravel() + 2 / 255))
    assert correlation[0, 1] > 0.9
    assert abs(float(result.mean()) - 0.4) < 0.04


@pytest.mark.parametrize("sigma", [0.0, 0.002, 0.01])
def test_noise_is_measured(sigma: float) -> None:
    """Noise is known within a tenth, over slopes, edges and flats alike."""
    rows, columns = np.indices((192, 256))
    clean = 0.1 + 0.05 * np.sin(rows / 20) + 0.1 * (columns > 100)
    noisy = clean + np.random.default_rng(3).normal(0, sigma, clean.shape)
    everywhere = np.ones(clean.shape, bool)
    assert abs(_noise_level(noisy, everywhere, False) - sigma) < 0.1 * sigma + 1e-4
    assert _noise_level(noisy, ~everywhere, True) == 0


def test_noise_is_left_behind() -> None:
    """Of noise in a flat shadow, less than half is carried into a flat T; of an edge, more."""
    columns = np.indices((96, 128))[1]
    clean = np.where(columns < 64, 0.04, 0.05)
    noisy = clean + np.random.default_rng(4).normal(0, 0.002, clean.shape)
    ldr = np.repeat(noisy[..., None], 3, 2).astype(np.float32)
    result = carry_detail(ldr, np.full_like(ldr, 0.3), wrap=False)
    left = max(contrast(result[:, h]) / contrast(ldr[:, h]) for h in (slice(56), slice(72, None)))
    assert left < 0.4
    sides = [np.log(picture[..., 0] + 2 / 255)[:, 60:68].mean(0) for picture in (ldr, result)]
    before, after = (float(side[-1] - side[0]) for side in sides)
    assert after > 1.5 * left * before


def test_what_is_lifted_by_one_gain_stays_about_as_it_is() -> None:
    """T that has the input's detail keeps it."""
    ldr = np.repeat(np.linspace(0.03, 0.08, 96 * 64).reshape(64, 96, 1), 3, 2).astype(np.float32)
    corrected = (np.float32(5) * (ldr + np.float32(2 / 255)) - np.float32(2 / 255)).clip(0, 1)
    assert np.abs(carry_detail(ldr, corrected, wrap=False) - corrected).max() < 1e-3


@given(st.integers(0, 95))
def test_panoramas_turn(columns: int) -> None:
    """A panorama shifted round its turn gives the shifted result."""
    ldr, corrected = texture(3, 0.02, 0.06), texture(4, 0.2, 0.5)
    expected = np.roll(carry_detail(ldr, corrected, wrap=True), columns, 1)
    turned = carry_detail(np.roll(ldr, columns, 1), np.roll(corrected, columns, 1), wrap=True)
    np.testing.assert_allclose(turned, expected, atol=1e-6)


@pytest.mark.parametrize("wrap", [False, True])
def test_mean(wrap: bool) -> None:
    """Means are those of windows, mirrored at the edges or periodic."""
    plane = np.random.default_rng(0).random((40, 50))
    padded = np.pad(plane, ((5, 5), (0, 0)), mode="symmetric")
    across = ((0, 0), (5, 5))
    padded = np.pad(padded, across, mode="wrap") if wrap else np.pad(padded, across, "symmetric")
    expected = np.lib.stride_tricks.sliding_window_view(padded, (11, 11)).mean((2, 3))
    np.testing.assert_allclose(box_mean(plane, 5, wrap), expected, atol=1e-12)


def test_a_side_of_the_least_length() -> None:
    """The shortest overview is wide enough for the filter."""
    ldr, corrected = texture(5, 0, 0.05, 128, 128), texture(6, 0.3, 0.9, 128, 128)
    assert np.isfinite(carry_detail(ldr, corrected, wrap=False)).all()
