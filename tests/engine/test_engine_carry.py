"""Detail of lifted shadows is the input's."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import picture, seeds

from drht_plugin.engine.carry import _RADIUS, _mean, carried

Float = npt.NDArray[np.float32]


def texture(seed: int, low: float, high: float, height: int = 64, width: int = 96) -> Float:
    """Fine grey structure between two codes."""
    values = np.random.default_rng(seed).uniform(low, high, (height, width, 1))
    return np.repeat(values, 3, 2).astype(np.float32)


def contrast(image: Float) -> float:
    """Standard deviation of the logarithm."""
    return float(np.log(image[..., 0] + 2 / 255).std())


@given(seeds, st.floats(0.3, 1.9))
def test_what_is_lifted_by_less_than_two_stays(seed: int, gain: float) -> None:
    """T is bit for bit what it was where its luma is less than twice the input's."""
    ldr = picture(40, 56, 3, "float32", seed, (0.1, 0.5))
    corrected = (ldr * np.float32(gain)).astype(np.float32)
    assert carried(ldr, corrected, wrap=False).tobytes() == corrected.tobytes()


def test_blurred_shadows_get_their_detail_back() -> None:
    """A dark texture that T lifts to a flat grey has its contrast again, and T's brightness."""
    ldr = texture(1, 0.04, 0.05)
    flat = np.full_like(ldr, 0.4)
    result = carried(ldr, flat, wrap=False)
    assert contrast(flat) < 1e-6
    assert contrast(result) > 0.8 * contrast(ldr)
    correlation = np.corrcoef(np.log(result[..., 0].ravel()), np.log(ldr[..., 0].ravel() + 2 / 255))
    assert correlation[0, 1] > 0.9
    assert abs(float(result.mean()) - 0.4) < 0.04


def test_what_is_lifted_by_one_gain_stays_about_as_it_is() -> None:
    """T that has the input's detail keeps it."""
    ldr = texture(2, 0.03, 0.08)
    corrected = (np.float32(5) * (ldr + np.float32(2 / 255)) - np.float32(2 / 255)).clip(0, 1)
    assert np.abs(carried(ldr, corrected, wrap=False) - corrected).max() < 1e-3


@given(st.integers(0, 95))
def test_panoramas_turn(columns: int) -> None:
    """A panorama shifted round its turn gives the shifted result."""
    ldr, corrected = texture(3, 0.02, 0.06), texture(4, 0.2, 0.5)
    expected = np.roll(carried(ldr, corrected, wrap=True), columns, 1)
    turned = carried(np.roll(ldr, columns, 1), np.roll(corrected, columns, 1), wrap=True)
    np.testing.assert_allclose(turned, expected, atol=1e-6)


@pytest.mark.parametrize("wrap", [False, True])
def test_mean(wrap: bool) -> None:
    """Means are those of windows, mirrored at the edges or periodic."""
    plane = np.random.default_rng(0).random((40, 50))
    padded = np.pad(plane, ((_RADIUS, _RADIUS), (0, 0)), mode="symmetric")
    across = ((0, 0), (_RADIUS, _RADIUS))
    padded = np.pad(padded, across, mode="wrap") if wrap else np.pad(padded, across, "symmetric")
    side = 2 * _RADIUS + 1
    expected = np.lib.stride_tricks.sliding_window_view(padded, (side, side)).mean((2, 3))
    np.testing.assert_allclose(_mean(plane, wrap), expected, atol=1e-12)


def test_a_side_of_the_least_length() -> None:
    """The shortest overview is wide enough for the filter."""
    ldr, corrected = texture(5, 0, 0.05, 128, 128), texture(6, 0.3, 0.9, 128, 128)
    assert np.isfinite(carried(ldr, corrected, wrap=False)).all()
